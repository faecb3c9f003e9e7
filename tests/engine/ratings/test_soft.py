"""Expected outcomes: what drawing the label over and over would come to, without the noise of the draw."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from battle_builder import BattleBuilder, battles_from_judgments
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.labels import LABELS, Label, points_of_model
from engine.ratings.battles import Battles
from engine.ratings.compare import compare
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions, leaderboard
from engine.ratings.outcomes import SoftReport, game_points, outcome_table
from engine.ratings.power import plan_study

FACTS = BenchFacts(name="bench", judges=("judge",))

distributions = st.lists(st.floats(0.001, 1), min_size=5, max_size=5).map(
    lambda weights: {label: weight / sum(weights) for label, weight in zip(LABELS, weights, strict=True)}
)


class Judged(NamedTuple):
    question_id: str
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...]
    probabilities: tuple[dict[Label, float] | None, ...] = ()


def soft_bench(questions: int = 200, seed: int = 3) -> Battles:
    """Two models whose labels are drawn from the judge's probabilities, which the games of a question share in part."""
    rng = np.random.default_rng(seed)
    builder = BattleBuilder()
    for question in range(questions):
        for model, strength in (("a", 0.4), ("b", -0.3)):
            merit = strength + rng.normal()
            for game in (1, 2):
                heights = np.exp(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) * (merit + 0.3 * rng.normal()))
                odds = heights / heights.sum()
                drawn = int(rng.choice(5, p=odds))
                points, strong = (0.0, 0.0, 0.5, 1.0, 1.0)[drawn], float(drawn in (0, 4))
                builder.add(f"q{question:03}", "base", model, points, strong=strong, game=game, odds=odds.tolist())
    return builder.build()


@given(odds=distributions, game=st.sampled_from((1, 2)), weight=st.integers(1, 5))
@settings(deadline=None)
def test_an_expected_outcome_is_the_mean_over_the_labels(odds: dict[Label, float], game: int, weight: int) -> None:
    label = max(odds, key=odds.__getitem__)
    labels, chances = ((label,), (odds,)) if game == 1 else ((None, label), (None, odds))
    played = (True,) if game == 1 else (False, True)
    battles = battles_from_judgments({("judge", "model"): [Judged("q", labels, played, chances)]}, "base")
    won, total = game_points(battles, weight, soft=True)
    weights = {each: weight if ">>" in each else 1 for each in LABELS}
    assert total[0] == pytest.approx(sum(odds[each] * weights[each] for each in LABELS))
    assert won[0] == pytest.approx(sum(odds[each] * weights[each] * points_of_model(each, game) for each in LABELS))


@given(labels=st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_judge_that_is_certain_is_rated_as_by_its_labels(labels: list[tuple[Label, Label]]) -> None:
    certain = {label: {each: float(each == label) for each in LABELS} for label in LABELS}
    judged = [
        Judged(f"q{number}", pair, (True, True), tuple(certain[label] for label in pair))
        for number, pair in enumerate(labels)
    ]
    battles = battles_from_judgments({("judge", "model"): judged}, "base")
    options = RatingOptions(baseline="base", rounds=50)
    hard, soft = (rate_battles(battles, msgspec.structs.replace(options, soft=soft)) for soft in (False, True))
    for one, other in ((hard.rate, soft.rate), (hard.lower, soft.lower), (hard.upper, soft.upper)):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_game_without_probabilities_counts_by_its_label() -> None:
    odds = dict(zip(LABELS, (0.1, 0.2, 0.2, 0.4, 0.1), strict=True))
    judged = [Judged("q", ("B>A", "A>>B"), (True, True), (odds, None)), Judged("r", (None, "A=B"), (True, True))]
    table = outcome_table(battles_from_judgments({("judge", "model"): judged}, "base"), "base", 3, soft=True)
    np.testing.assert_allclose(table.won, [[0.1 + 0.4 + 0.3 + 3.0], [0.5]])
    np.testing.assert_allclose(table.total, [[0.8 + 0.6 + 3.0], [1.0]])


def soft_board(battles: Battles, **how: bool) -> Leaderboard:
    options = LeaderboardOptions(baseline="base", rounds=400, soft=True, **how)
    return leaderboard(rate_battles(battles, options), options, FACTS)


def test_a_leaderboard_has_both_scores_and_how_much_narrower_the_intervals_are() -> None:
    battles = soft_bench()
    board = soft_board(battles)
    by_label = rate_battles(battles, RatingOptions(baseline="base", rounds=400))
    ratios = []
    for row in board.rows:
        at = by_label.models.index(row.model)
        assert row.label_score == pytest.approx(100 * by_label.rate[at])
        assert (row.label_lower, row.label_upper) == pytest.approx((100 * by_label.lower[at], 100 * by_label.upper[at]))
        if row.model != "base":
            assert row.score != row.label_score
            ratios.append((row.upper - row.lower) / (row.label_upper - row.label_lower))
    assert isinstance(board.soft, SoftReport)
    assert (board.soft.games, board.soft.by_label) == (800, 0)
    assert board.soft.width == pytest.approx(np.mean(ratios))
    assert board.soft.width < 0.95
    assert not any("probabilities" in warning for warning in board.warnings)


def test_games_without_probabilities_are_reported() -> None:
    battles = soft_bench()
    assert battles.odds is not None
    battles.odds[::2] = np.nan
    board = soft_board(battles)
    assert isinstance(board.soft, SoftReport)
    assert (board.soft.games, board.soft.by_label) == (400, 400)
    assert any("400 of 800 games have no probabilities from the judge" in warning for warning in board.warnings)


def test_differences_and_plans_take_expected_outcomes_too() -> None:
    options = RatingOptions(baseline="base", rounds=400, soft=True)
    comparison = compare(soft_bench(), options, FACTS, ("a", "b"))
    by_label = compare(soft_bench(), msgspec.structs.replace(options, soft=False), FACTS, ("a", "b"))
    assert comparison.pairs[0].std_error < by_label.pairs[0].std_error
    assert isinstance(comparison.soft, SoftReport)
    assert comparison.soft.width == pytest.approx(
        (comparison.pairs[0].upper - comparison.pairs[0].lower) / (by_label.pairs[0].upper - by_label.pairs[0].lower)
    )
    assert not isinstance(by_label.soft, SoftReport)
    plan = plan_study(soft_bench(), options, FACTS, [5.0])
    hard = plan_study(soft_bench(), msgspec.structs.replace(options, soft=False), FACTS, [5.0])
    needs = zip(plan.plans[0].needs, hard.plans[0].needs, strict=True)
    assert all(one.questions < other.questions for one, other in needs)
    assert isinstance(plan.soft, SoftReport)
    assert plan.soft.width is not None
    assert 0.5 < plan.soft.width < 1.0


def test_what_cannot_be_is_said() -> None:
    battles = battles_from_judgments({("judge", "model"): [Judged("q", ("A>B", "B>A"), (True, True))]}, "base")
    with pytest.raises(RatingError, match="judge's probabilities") as problem:
        rate_battles(battles, RatingOptions(baseline="base", soft=True))
    assert 'verdict = "soft"' in problem.value.hint
    with pytest.raises(RatingError, match="no rows"):
        rate_battles(soft_bench(5), RatingOptions(baseline="base", soft=True, ci="battle"))
