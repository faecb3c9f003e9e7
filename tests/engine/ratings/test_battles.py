"""What a verdict is worth, whichever place the model had on the page."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from battle_builder import BattleBuilder, battles_from_judgments
from hypothesis import given
from hypothesis import strategies as st

from engine.formats.battles_file import games_of_rows, strong_weight
from engine.labels import Label
from engine.ratings.battles import Battles, common_opponent


class Judged(NamedTuple):
    question_id: str
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...] = (True, True)
    probabilities: tuple[dict[Label, float] | None, ...] = ()


def test_the_model_is_b_in_the_first_game_and_a_in_the_second() -> None:
    battles = battles_from_judgments({("judge", "model"): [Judged("q", ("B>>A", "A>B"))]}, "baseline")
    assert battles.points.tolist() == [1.0, 1.0]
    assert battles.strong.tolist() == [1.0, 0.0]
    assert battles.game.tolist() == [1, 2]
    assert battles.weights(3).tolist() == [3.0, 1.0]


def test_a_game_without_a_verdict_is_kept_apart_from_one_that_was_not_played() -> None:
    judgments = {("judge", "model"): [Judged("q", (None, "A=B")), Judged("r", (None, "A>B"), (False, True))]}
    battles = battles_from_judgments(judgments, "baseline")
    assert len(battles) == 3
    assert battles.labelled.tolist() == [False, True, True]
    assert math.isnan(battles.points[0])


def test_several_judges_are_pooled_under_their_names() -> None:
    judged = [Judged("q", ("A>B", "A>B"))]
    battles = battles_from_judgments({("strict", "model"): judged, ("kind", "model"): judged}, "baseline")
    assert battles.judges == ("kind", "strict")
    assert battles.judge.tolist() == [1, 1, 0, 0]


def test_only_chosen_questions_or_first_games_can_be_taken() -> None:
    judged = [Judged("q", ("A>B", "B>A")), Judged("r", ("A=B", "A=B"))]
    battles = battles_from_judgments({("judge", "model"): judged}, "baseline")
    assert battles.of_questions(["r", "unknown"]).points.tolist() == [0.5, 0.5]
    assert battles.first_games().points.tolist() == [0.0, 0.5]


def test_the_common_opponent_is_the_model_in_every_game() -> None:
    builder = BattleBuilder()
    assert common_opponent(builder.build()) is None
    builder.add("q", "base", "one", 1.0)
    assert common_opponent(builder.build()) == "base"
    builder.add("q", "two", "base", 1.0)
    assert common_opponent(builder.build()) == "base"
    builder.add("q", "two", "one", 1.0)
    assert common_opponent(builder.build()) is None


GAMES = st.lists(st.tuples(st.sampled_from((0.0, 0.5, 1.0)), st.booleans()), min_size=1, max_size=2)


@given(games=GAMES, weight=st.integers(2, 6))
def test_games_written_as_repeated_rows_come_back_with_the_same_points(
    games: list[tuple[float, bool]], weight: int
) -> None:
    known = [(points, strong and points != 0.5) for points, strong in games]
    rows = [points for points, strong in known for _ in range(weight if strong else 1)]
    back = games_of_rows(rows, weight)
    assert back is not None
    assert sum((1 + (weight - 1) * game.strong) * game.points for game in back) == pytest.approx(sum(rows))
    assert sum(1 + (weight - 1) * game.strong for game in back) == len(rows)
    one_strong_of_two = sum(strong for _, strong in known) == 1 and len(known) == 2
    if weight > 2 and not (one_strong_of_two and rows[0] == rows[-1]):
        assert [(game.points, bool(game.strong)) for game in back] == known


def test_four_equal_rows_do_not_tell_which_game_was_strong() -> None:
    games = games_of_rows([1.0] * 4, 3)
    assert games is not None
    assert [game.strong for game in games] == [0.5, 0.5]


def test_rows_that_cannot_be_two_games_are_not_forced_into_them() -> None:
    assert games_of_rows([1.0, 0.0, 1.0, 1.0], 3) is None
    assert games_of_rows([1.0] * 5, 3) is None
    assert games_of_rows([1.0, 1.0, 0.0], 3) is None


@pytest.mark.parametrize(
    ("comparisons", "weight"),
    [
        ([[1.0, 1.0], [1.0] * 4, [0.0] * 6], 3),
        ([[1.0], [1.0, 0.0]], 3),
        ([[1.0, 0.5], [1.0] * 5 + [0.0], [1.0] * 10], 5),
        ([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]], 2),
        ([[1.0] * 3, [1.0, 0.5], [1.0, 0.0, 1.0, 0.0, 1.0]], 3),
        ([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.5]], None),
    ],
)
def test_the_weight_of_a_file_is_found_from_the_rows_of_its_comparisons(
    comparisons: list[list[float]], weight: int | None
) -> None:
    assert strong_weight(comparisons) == weight


def test_games_keep_their_names_and_the_probabilities_of_their_judge() -> None:
    odds = [0.1, 0.2, 0.3, 0.2, 0.2]
    builder = BattleBuilder()
    builder.add("q2", "base", "zebra", 1.0, strong=1.0, game=1, judge="two")
    builder.add("q1", "other", "ant", 0.0, game=2, judge="one", odds=odds)
    builder.add("q2", "other", "zebra", math.nan, game=1, judge="one")
    battles = builder.build()
    assert (battles.questions, battles.judges) == (("q1", "q2"), ("one", "two"))
    assert battles.models == ("ant", "base", "other", "zebra")
    named = [
        (battles.questions[q], battles.models[a], battles.models[b], battles.judges[j])
        for q, a, b, j in zip(battles.question, battles.model_a, battles.model_b, battles.judge, strict=True)
    ]
    assert named == [("q2", "base", "zebra", "two"), ("q1", "other", "ant", "one"), ("q2", "other", "zebra", "one")]
    assert battles.points[:2].tolist() == [1.0, 0.0]
    assert (battles.strong.tolist(), battles.game.tolist()) == ([1.0, 0.0, 0.0], [1, 2, 1])
    assert battles.odds is not None
    assert battles.odds[1].tolist() == odds
    assert math.isnan(battles.odds[0][0])


def pairs_of(battles: Battles) -> list[tuple[str, str, str]]:
    columns = zip(battles.question.tolist(), battles.model_a.tolist(), battles.model_b.tolist(), strict=True)
    return [(battles.questions[q], battles.models[a], battles.models[b]) for q, a, b in columns]


def test_one_name_for_the_baselines_of_several_questions_can_be_given_and_taken_back() -> None:
    builder = BattleBuilder()
    games = [("h1", "o3", "m"), ("c1", "gemini", "m"), ("c1", "gemini", "o3"), ("h1", "gemini", "o3")]
    for question, model_a, model_b in games:
        builder.add(question, model_a, model_b, 1.0)
    builder.add("h1", "gemini", "m", 0.0)  # against the baseline of another question
    own = {"h1": "o3", "c1": "gemini"}
    joined = builder.build().under_one_name(own, "o3 + gemini")
    expected = [("h1", "o3 + gemini", "m"), ("c1", "o3 + gemini", "m"), ("c1", "o3 + gemini", "o3")]
    assert pairs_of(joined) == [*expected, ("h1", "gemini", "o3 + gemini")]
    assert joined.models == ("gemini", "m", "o3", "o3 + gemini")
    assert pairs_of(joined.with_names("o3 + gemini", own)) == games
    writing = joined.of_questions(["c1"]).renamed("o3 + gemini", "gemini")
    assert pairs_of(writing) == [("c1", "gemini", "m"), ("c1", "gemini", "o3")]
    assert writing.models == ("gemini", "m", "o3")  # sorted, and none without a game
