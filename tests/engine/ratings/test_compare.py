"""Two models are compared on the questions of both, several at once with care for their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.errors import RatingError
from engine.formats.battles_file import load_battles
from engine.ratings.battles import Battles
from engine.ratings.compare import Comparison, compare, possible_ranks
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.limits import holm, rank_ranges, sign_test_p, two_sided_p
from engine.ratings.paired import DirectGames

FACTS = BenchFacts(name="bench", judges=("judge",))
OPTIONS = RatingOptions(baseline="base", rounds=400)


def bench(points: dict[str, list[float | None]]) -> Battles:
    """Each model's points in both games of its questions; None: not judged."""
    builder = BattleBuilder()
    for model, won in points.items():
        for question, share in enumerate(won):
            if share is not None:
                for game in (1, 2):
                    builder.add(f"q{question:03}", "base", model, share, game=game)
    return builder.build()


def pattern(seed: int, share: float, questions: int = 100) -> list[float | None]:
    return [float(won) for won in np.random.default_rng(seed).random(questions) < share]


def compared(points: dict[str, list[float | None]], *models: str) -> Comparison:
    return compare(bench(points), OPTIONS, FACTS, models)


def test_a_difference_is_that_of_the_scores_and_the_other_way_round_its_opposite() -> None:
    points = {"a": pattern(1, 0.7), "b": pattern(2, 0.5)}
    (forth,), (back,) = compared(points, "a", "b").pairs, compared(points, "b", "a").pairs
    assert (forth.model_a, forth.model_b, back.model_a) == ("a", "b", "b")
    assert forth.difference == pytest.approx(forth.score_a - forth.score_b)
    assert (back.difference, back.lower, back.upper) == pytest.approx((-forth.difference, -forth.upper, -forth.lower))
    assert (back.won, back.tied, back.lost) == pytest.approx((forth.lost, forth.tied, forth.won))
    assert forth.won + forth.tied + forth.lost == pytest.approx(100.0)
    assert (
        forth.p_value
        == forth.p_holm
        == pytest.approx(two_sided_p(forth.difference / forth.std_error, forth.questions - 1))
    )


def test_pairing_finds_a_small_difference_that_separate_intervals_do_not() -> None:
    one = pattern(1, 0.5, 200)
    other = [1.0 if index % 16 == 0 else won for index, won in enumerate(one)]
    result = compared({"a": other, "b": one})
    pair = next(pair for pair in result.pairs if {pair.model_a, pair.model_b} == {"a", "b"})
    assert pair.std_error < 0.5 * pair.unpaired_std_error
    assert pair.p_value < 0.05
    assert pair.lower > 0
    assert result.separable.paired > result.separable.intervals


def test_only_questions_of_both_count_with_a_warning() -> None:
    half: list[float | None] = [1.0 if index % 4 else 0.0 for index in range(40)] + [None] * 60
    result = compared({"a": half, "b": pattern(2, 0.5)}, "a", "b")
    (pair,) = result.pairs
    assert pair.questions == 40
    assert pair.score_b == pytest.approx(100 * np.mean(pattern(2, 0.5)[:40]))
    assert any("compared only on the questions that both" in warning for warning in result.warnings)


def test_models_without_a_common_question_are_left_out() -> None:
    result = compared({"a": pattern(1, 0.5)[:50] + [None] * 50, "b": [None] * 50 + pattern(1, 0.5)[50:]}, "a", "b")
    assert result.pairs == []
    assert "1 of 1 pairs" in result.warnings[0]
    assert [model.worst_rank for model in result.models] == [2, 2]


def test_a_model_that_always_wins_is_not_called_certain_after_few_questions() -> None:
    (few,) = compared({"a": [1.0] * 5}, "a", "base").pairs
    (many,) = compared({"a": [1.0] * 100}, "a", "base").pairs
    assert (few.p_value, many.p_value) == (sign_test_p(5), sign_test_p(100))
    assert few.lower < 5.0 < 45.0 < many.lower < many.upper == pytest.approx(50 + 100 * (1 - 0.025**0.01))


def test_the_same_answers_are_not_different() -> None:
    (pair,) = compared({"a": pattern(1, 0.5), "b": pattern(1, 0.5)}, "a", "b").pairs
    assert (pair.difference, pair.p_value, pair.tied) == (0.0, 1.0, 100.0)
    assert pair.lower < 0.0 < pair.upper


def test_none_named_means_all_and_the_baseline_is_one_of_them() -> None:
    result = compared({name: pattern(seed, share) for seed, (name, share) in enumerate([("a", 0.8), ("b", 0.3)])})
    assert [model.model for model in result.models] == ["a", "base", "b"]
    assert [(model.best_rank, model.worst_rank) for model in result.models] == [(1, 1), (2, 2), (3, 3)]
    assert all(pair.difference > 0 for pair in result.pairs)
    assert result.separable.pairs == result.separable.paired == result.separable.holm == 3


def test_an_unknown_name_is_reported_with_the_nearest() -> None:
    with pytest.raises(RatingError, match="modle-a has no judgments") as problem:
        compared({"model-a": pattern(1, 0.5)}, "modle-a", "base")
    assert "did you mean model-a?" in problem.value.hint
    with pytest.raises(RatingError, match="two models"):
        compared({"a": pattern(1, 0.5)}, "a", "a")


def test_games_between_the_two_are_read_from_the_other_battles() -> None:
    direct = BattleBuilder()
    for question in range(60):
        for game in (1, 2):
            direct.add(f"q{question}", "b", "a", float(question % 3 > 0), game=game)
    points = {"a": pattern(1, 0.6), "b": pattern(2, 0.5)}
    (pair,) = compare(bench(points), OPTIONS, FACTS, ("a", "b"), [bench(points), direct.build()]).pairs
    assert isinstance(pair.direct, DirectGames)
    assert (pair.direct.questions, pair.direct.games) == (60, 120)
    assert pair.direct.score == pytest.approx(200 / 3)
    assert pair.direct.lower < 200 / 3 < pair.direct.upper
    assert 0.001 < pair.direct.p_value < 0.05
    (pair,) = compare(bench(points), OPTIONS, FACTS, ("a", "b")).pairs
    assert not isinstance(pair.direct, DirectGames)


def test_in_a_round_robin_strengths_come_from_all_games_and_direct_ones_are_shown() -> None:
    rng = np.random.default_rng(3)
    builder = BattleBuilder()
    for question in range(150):
        for a, b, chance in (("base", "a", 0.7), ("base", "b", 0.55), ("b", "a", 0.65)):
            builder.add(f"q{question}", a, b, float(rng.random() < chance), game=1)
    result = compare(builder.build(), OPTIONS, FACTS, ("a", "b"))
    ratings = rate_battles(builder.build(), OPTIONS)
    rate = dict(zip(ratings.models, ratings.rate, strict=True))
    (pair,) = result.pairs
    assert pair.difference == pytest.approx(100 * (rate["a"] - rate["b"]))
    assert pair.lower < pair.difference < pair.upper
    assert (pair.upper - pair.lower) / 3.92 == pytest.approx(pair.std_error, rel=0.15)
    assert isinstance(pair.direct, DirectGames)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_gives_what_its_steps_say(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for step, index in enumerate(order):
            if p_values[index] * (len(p_values) - step) > alpha:
                break
            rejected.add(index)
        assert rejected == {index for index, p in enumerate(adjusted) if p <= alpha}


def test_rank_ranges_count_who_is_surely_better() -> None:
    better = np.zeros((4, 4), dtype=np.bool_)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    best, worst = rank_ranges(better)
    assert list(zip(best.tolist(), worst.tolist(), strict=True)) == [(1, 2), (1, 3), (2, 4), (3, 4)]


def test_ranks_alone_are_those_of_the_comparison() -> None:
    points = {f"model-{seed}": pattern(seed, 0.3 + 0.05 * seed) for seed in range(8)}
    options = RatingOptions(baseline="base", rounds=1)
    assert possible_ranks(bench(points), options) == compare(bench(points), options, FACTS).models
    named = ("model-1", "model-7", "model-3")
    assert possible_ranks(bench(points), options, named) == compare(bench(points), options, FACTS, named).models


def test_p_values_are_those_of_the_tables() -> None:
    for freedom in (1, 2, 5, 29, 99, 2000):
        for t in (0.0, 0.01, 0.7, -1.96, 3.3, 10.0, 60.0):
            assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9, abs=1e-300)
    assert (sign_test_p(1), sign_test_p(5)) == (1.0, 0.0625)


@pytest.mark.realdata
def test_published_battles_separate_more_pairs_when_paired(shared_data: Path) -> None:
    battles = load_battles(shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl").battles
    options = RatingOptions(baseline="Phi-3-medium-128k-instruct")
    result = compare(battles, options, FACTS)
    assert (result.separable.pairs, result.separable.intervals, result.separable.paired) == (36, 31, 32)
    rows = rate_battles(battles, RatingOptions(baseline=options.baseline, ci="battle"))
    apart = [rows.lower[a] > rows.upper[b] or rows.lower[b] > rows.upper[a] for a in range(9) for b in range(a)]
    assert sum(apart) == 33
    (pair,) = compare(battles, options, FACTS, ("suzume-llama-3-8B-multilingual", options.baseline)).pairs
    assert pair.p_value == pytest.approx(0.052, abs=0.003)
    ratios = [
        pair.std_error / pair.unpaired_std_error
        for pair in result.pairs
        if options.baseline not in (pair.model_a, pair.model_b)
    ]
    assert np.median(ratios) == pytest.approx(0.84, abs=0.02)
