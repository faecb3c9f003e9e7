"""The rows say what was measured, what it rests on, and what to beware of."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from battle_builder import battles_from_judgments
from msgspec import UNSET

from engine.errors import RatingError
from engine.labels import LABELS, Label
from engine.ratings.battles import Battles
from engine.ratings.estimate import BenchFacts, rate_battles
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions, Row, leaderboard
from engine.ratings.model_stats import ModelStats
from engine.records import Question


class Judged(NamedTuple):
    question_id: str
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...] = (True, True)
    probabilities: tuple[dict[Label, float] | None, ...] = ()


QUESTIONS = tuple(
    Question(f"q{number:02}", ("?",), category="code" if number % 2 else "prose", cluster=f"topic-{number // 20}")
    for number in range(40)
)
FACTS = BenchFacts(name="little", judges=("judge",), questions=QUESTIONS)
OPTIONS = LeaderboardOptions(baseline="base", rounds=200)


def verdicts(seed: int, questions: tuple[Question, ...] = QUESTIONS) -> list[Judged]:
    rng = random.Random(seed)
    return [Judged(question.id, (rng.choice(LABELS), rng.choice(LABELS))) for question in questions]


def board(
    judgments: dict[tuple[str, str], list[Judged]],
    options: LeaderboardOptions = OPTIONS,
    facts: BenchFacts = FACTS,
) -> Leaderboard:
    return leaderboard(rate_battles(battles_from_judgments(judgments, options.baseline), options), options, facts)


def row_of(result: Leaderboard, model: str) -> Row:
    return next(row for row in result.rows if row.model == model)


def test_models_are_ranked_by_falling_score_with_the_baseline_at_fifty() -> None:
    always = {"good": ("B>A", "A>B"), "bad": ("A>>B", "B>>A"), "even": ("A=B", "A=B")}
    result = board({("judge", name): [Judged(q.id, labels) for q in QUESTIONS] for name, labels in always.items()})
    assert [(row.rank, row.model, row.score) for row in result.rows] == [
        (1, "good", 100.0),
        (2, "base", 50.0),
        (3, "even", 50.0),
        (4, "bad", 0.0),
    ]
    baseline = row_of(result, "base")
    assert (baseline.lower, baseline.upper) == (50.0, 50.0)
    assert (baseline.questions, baseline.games, baseline.missing, baseline.unparsed) == (0, 0, 0, 0)


def test_the_json_has_the_fields_that_others_rely_on() -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(board({("judge", "model"): verdicts(1)})))
    assert list(decoded)[:9] == ["bench", "judges", "baseline", "ci", "rounds", "seed", "weight", "rows", "warnings"]
    assert list(decoded)[9:] == ["limits", "noise", "answer"]
    assert list(decoded["rows"][0]) == [
        *("rank", "model", "score", "lower", "upper"),
        *("avg_tokens", "questions", "games", "unparsed", "missing"),
    ]
    assert decoded["rows"][0]["avg_tokens"] is None


def test_counts_tell_verdicts_from_games_without_one_and_questions_never_judged() -> None:
    judged = [
        Judged("q00", ("A>B", "A=B")),
        Judged("q01", (None, "A=B")),
        Judged("q02", (None, None)),
        Judged("q03", (None, "A>B"), (False, True)),
    ]
    result = board({("judge", "model"): judged})
    model = row_of(result, "model")
    assert (model.questions, model.games, model.unparsed, model.missing) == (3, 4, 3, 36)
    assert any("model (36 of 40)" in text for text in result.warnings)
    assert any("model (3 of 7 games)" in text for text in result.warnings)


def test_first_games_only_counts_first_games_only() -> None:
    options = msgspec.structs.replace(OPTIONS, first_game_only=True)
    result = board({("judge", "model"): [Judged(q.id, ("B>A", "B>A")) for q in QUESTIONS]}, options)
    model = row_of(result, "model")
    assert (model.score, model.games) == (100.0, 40)
    assert result.first_game_only is True


def test_the_weight_decides_between_many_plain_and_few_strong_verdicts() -> None:
    judgments = {("judge", "model"): [Judged(q.id, ("B>>A", "B>A")) for q in QUESTIONS]}
    scores = {w: row_of(board(judgments, msgspec.structs.replace(OPTIONS, weight=w)), "model").score for w in (1, 3)}
    assert scores == {1: 50.0, 3: 75.0}


def test_elo_stands_beside_the_percentages() -> None:
    options = msgspec.structs.replace(OPTIONS, elo=True)
    result = board({("judge", "model"): verdicts(3), ("judge", "sure"): [Judged("q00", ("B>A", "A>B"))]}, options)
    model, sure = row_of(result, "model"), row_of(result, "sure")
    assert model.elo == pytest.approx(1000 + 400 * np.log10(model.score / (100 - model.score)))
    assert model.elo_lower < model.elo < model.elo_upper  # type: ignore[operator]
    assert (sure.score, sure.elo, sure.elo_upper) == (100.0, None, None)
    assert row_of(result, "base").elo == 1000.0


def test_average_tokens_are_cut_like_the_published_ones() -> None:
    lengths = {"model": {"q00": 10, "q01": 11, "q02": None}, "base": {"q00": None}}
    result = board({("judge", "model"): verdicts(1)}, facts=msgspec.structs.replace(FACTS, token_lengths=lengths))
    assert row_of(result, "model").avg_tokens == 10
    assert row_of(result, "base").avg_tokens is None


def test_pooled_judges_give_the_mean_of_their_battles() -> None:
    kind = [Judged(q.id, ("B>A", "A>B")) for q in QUESTIONS]
    strict = [Judged(q.id, ("A>B", "B>A")) for q in QUESTIONS[:20]]
    options = msgspec.structs.replace(OPTIONS, full_stats=True)
    facts = msgspec.structs.replace(FACTS, judges=("kind", "strict"))
    result = board({("kind", "model"): kind, ("strict", "model"): strict}, options, facts)
    model = row_of(result, "model")
    assert model.score == pytest.approx(100 * 80 / 120)
    assert (model.questions, model.games, model.missing) == (40, 120, 0)
    assert isinstance(model.stats, ModelStats)
    assert model.stats.judges == {"kind": 100.0, "strict": 0.0}
    assert any("different numbers of questions: model (kind: 40, strict: 20)" in text for text in result.warnings)


def test_full_stats_take_the_games_apart() -> None:
    judged = [
        Judged("q00", ("B>>A", "A>B")),  # won twice, once strongly
        Judged("q01", ("B>A", "B>>A")),  # won as B, lost strongly as A: the place decided
        Judged("q02", ("A=B", "A>>B")),
        Judged("q03", (None, "B>A")),
    ]
    result = board({("judge", "model"): judged}, msgspec.structs.replace(OPTIONS, full_stats=True))
    stats = row_of(result, "model").stats
    assert isinstance(stats, ModelStats)
    assert (stats.wins, stats.ties, stats.losses) == (4, 1, 2)
    assert (stats.strong_wins, stats.strong_losses) == (2, 1)
    assert stats.unweighted == pytest.approx(100 * 4.5 / 7)
    assert stats.game_1 == pytest.approx(100 * (3 + 1 + 0.5) / 5)
    assert stats.game_2 == pytest.approx(100 * (1 + 3) / 8)
    assert (stats.question_wins, stats.question_ties, stats.question_losses) == (2, 0, 2)
    assert stats.flips == 1
    assert stats.std_error > 0
    assert row_of(result, "base").stats is UNSET


def test_groups_have_leaderboards_of_their_own_questions() -> None:
    prose_only = [Judged(q.id, ("B>A", "A>B") if q.category == "prose" else ("A>B", "B>A")) for q in QUESTIONS]
    lengths = {"model": {q.id: 100 if q.category == "prose" else 300 for q in QUESTIONS}}
    result = board(
        {("judge", "model"): prose_only},
        msgspec.structs.replace(OPTIONS, by="category"),
        msgspec.structs.replace(FACTS, token_lengths=lengths),
    )
    assert row_of(result, "model").score == 50.0
    assert row_of(result, "model").avg_tokens == 200
    assert isinstance(result.groups, list)
    seen = [(group.group, group.questions, group.rows[0].model, group.rows[0].score) for group in result.groups]
    assert seen == [("code", 20, "base", 50.0), ("prose", 20, "model", 100.0)]
    assert result.groups[1].rows[0].avg_tokens == 100
    assert any(
        "2 of 2 groups have fewer than 30 questions" in text and "code, prose" in text for text in result.warnings
    )


def test_a_group_that_cannot_be_rated_says_why_and_spoils_nothing() -> None:
    judged = [Judged(q.id, (None, None)) if q.cluster == "topic-1" else Judged(q.id, ("A>B", "A>B")) for q in QUESTIONS]
    result = board({("judge", "model"): judged}, msgspec.structs.replace(OPTIONS, by="cluster"))
    assert isinstance(result.groups, list)
    assert [len(group.rows) for group in result.groups] == [2, 0]
    assert "no game between two models has a label" in result.groups[1].warnings[0]


def test_groups_need_a_question_set_that_fits_the_battles() -> None:
    options = msgspec.structs.replace(OPTIONS, by="category")
    judgments = {("judge", "model"): [Judged("elsewhere", ("A>B", "A>B"))]}
    with pytest.raises(RatingError, match="category of the questions is not known"):
        board(judgments, options, BenchFacts(name="none"))
    with pytest.raises(RatingError, match="no battle is on a question of little"):
        board(judgments, options)


def test_cautions_are_said_in_plain_words() -> None:
    few = [Judged("q00", ("A>B", "A=B")), Judged("gone", ("A>B", "A=B"))]
    silent = [Judged("q00", (None, None))]
    result = board({("judge", "model"): few, ("judge", "silent"): silent, ("judge", "judge"): few})
    text = " ".join(result.warnings)
    assert "not ranked, no game has a label: silent" in text
    assert "2 questions; below 30 intervals hold the truth but are wide" in text
    assert "also a contestant may favour its own answers: judge" in text
    assert "1 judged question not in the question set" in text
    assert [row.model for row in result.rows] == ["base", "judge", "model"]


def test_a_complete_bench_gives_no_caution() -> None:
    assert board({("judge", "model"): verdicts(1)}).warnings == []


def test_battles_on_other_questions_than_the_benchs_do_not_all_count_as_missing() -> None:
    result = board({("judge", "model"): [Judged(f"other-{n}", ("A>B", "A=B")) for n in range(40)]})
    assert row_of(result, "model").missing == 0


def test_the_order_of_judgments_and_models_changes_nothing() -> None:
    judgments = {("judge", name): verdicts(seed) for seed, name in enumerate(("one", "two", "three"))}
    backwards = {key: judged[::-1] for key, judged in reversed(judgments.items())}
    assert msgspec.json.encode(board(judgments)) == msgspec.json.encode(board(backwards))


def test_a_full_bench_is_ranked_fast() -> None:
    rng = np.random.default_rng(0)
    models, questions, games = 18, 500, 2
    model, question, game = (index.ravel() for index in np.indices((models, questions, games)))
    battles = Battles(
        tuple(f"q{n:03}" for n in range(questions)),
        ("base", *(f"model-{n:02}" for n in range(models))),
        ("judge",),
        question,
        np.zeros_like(model),
        model + 1,
        np.zeros_like(model),
        game + 1,
        rng.choice([0.0, 0.5, 1.0], size=model.shape),
        rng.choice([0.0, 1.0], size=model.shape),
    )
    options = LeaderboardOptions(baseline="base", rounds=1000, full_stats=True)
    begin = time.process_time()
    result = leaderboard(rate_battles(battles, options), options, BenchFacts(name="full"))
    assert time.process_time() - begin < 0.3
    assert len(result.rows) == 19


def test_a_leaderboard_against_one_baseline_never_loads_sklearn_or_polars() -> None:
    program = """
import sys
import numpy as np
from engine.ratings.battles import battles_from_labels
from engine.ratings.estimate import BenchFacts
from engine.ratings.leaderboard import LeaderboardOptions, leaderboard
from engine.ratings.estimate import rate_battles
one = np.ones(1, dtype=int)
battles = battles_from_labels(
    ["q"], ["base", "model"], ["judge"], question=0 * one, model=one, baseline=0, judge=0 * one, game=one, label=3 * one
)
options = LeaderboardOptions(baseline="base")
leaderboard(rate_battles(battles, options), options, BenchFacts(name="b"))
print([name for name in ("sklearn", "polars", "scipy", "aiohttp") if name in sys.modules])
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
