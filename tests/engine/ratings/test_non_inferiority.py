"""Non-inferiority: the paired, clustered difference is that of `compare`; its limits are exact for few outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.ratings.bounded_difference import difference
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.ratings.evidence import Origin, evidence
from engine.ratings.gate import questions_for
from engine.ratings.limits import student_quantile
from engine.ratings.outcomes import outcome_table
from engine.ratings.paired import PairedRatings


def games(seed: int, questions: int = 60):
    """Battles of two models against a base; the second model misses some questions, some games have no verdict."""
    rng, builder = np.random.default_rng(seed), BattleBuilder()
    for number in range(questions):
        for model in ("a", "b"):
            if model == "b" and rng.random() < 0.1:
                continue
            for game in (1, 2):
                points = rng.choice([0.0, 0.5, 1.0, np.nan], p=[0.35, 0.2, 0.4, 0.05])
                builder.add(f"q{number:03}", "base", model, points, strong=float(rng.random() < 0.3), game=game)
    return builder.build()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3]), st.booleans())
def test_evidence_adds_up_to_the_table_that_is_rated(seed: int, weight: int, first_only: bool) -> None:
    battles = games(seed)
    options = RatingOptions(baseline="base", weight=weight, first_game_only=first_only)
    found = evidence(battles, options, Origin())
    table = outcome_table(battles.first_games() if first_only else battles, "base", weight)
    for column, (_, model) in enumerate(table.pairs):
        mine = found.models[battles.models[model]]
        assert sum(filter(None, mine.won)) == pytest.approx(table.won[:, column].sum())
        assert sum(filter(None, mine.total)) == pytest.approx(table.total[:, column].sum())
    assert found.problem() == ""


def test_evidence_separates_missing_questions_from_unparsed_ones() -> None:
    builder = BattleBuilder()
    builder.add("q1", "base", "a", 1.0, game=1)
    builder.add("q1", "base", "b", float("nan"), game=1)
    builder.add("q2", "base", "a", 0.5, game=1)
    origin = Origin({"q1": "text"}, {"a": {"judge": ["s1", None]}}, {"a": ["t1"]})
    found = evidence(builder.build(), RatingOptions(baseline="base"), origin)
    assert (found.questions, found.compared_with) == (["q1", "q2"], ["text", None])
    assert (found.models["b"].won, found.models["b"].total) == ([0.0, None], [0.0, None])
    assert (found.models["a"].settings, found.models["a"].sampling) == ({"judge": ["s1", None]}, ["t1"])


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_the_error_of_the_difference_is_the_clustered_one_of_compare(seed: int) -> None:
    battles = games(seed)
    options = RatingOptions(baseline="base", rounds=10)
    paired = PairedRatings(rate_battles(battles, options), options).difference(0, 1)
    table = outcome_table(battles, "base", 3)
    both = (table.total > 0).all(axis=1)
    won, total = table.won[both], table.total[both]
    found = difference(won[:, 0], total[:, 0], (won[:, 1], total[:, 1]), 0.025, 6.0)
    assert paired is not None
    assert found.questions == paired.questions
    assert found.std_error == pytest.approx(paired.std_error)
    assert found.difference == pytest.approx(paired.rate_a - paired.rate_b)
    reach = stats.t.ppf(0.975, found.questions - 1) * found.std_error
    assert (found.lower, found.upper) == pytest.approx((found.difference - reach, found.difference + reach), abs=0.02)


@pytest.mark.parametrize("probability", [0.9, 0.95, 0.975, 0.995])
@pytest.mark.parametrize("freedom", [10, 29, 500])
def test_quantiles_are_those_of_student(probability: float, freedom: int) -> None:
    assert student_quantile(freedom, probability) == pytest.approx(stats.t.ppf(probability, freedom), rel=2e-3)


def test_two_models_that_never_differ_are_not_taken_for_the_same_beyond_doubt() -> None:
    same = np.array([1.0, 0.0] * 20), np.ones(40)
    found = difference(*same, same, 0.025, 1.0)
    assert (found.difference, found.std_error) == (0.0, 0.0)
    assert -0.1 < found.lower < -0.05
    assert found.upper == pytest.approx(-found.lower)


def test_the_baseline_is_even_without_any_error_of_its_own() -> None:
    won, total = np.array([1.0, 0.0, 1.0, 1.0] * 25), np.ones(100)
    found = difference(won, total, None, 0.025, 1.0)
    assert (found.reference_rate, found.rate) == (0.5, 0.75)
    assert found.std_error == pytest.approx(won.std(ddof=1) / 10.0)
    exact = stats.binomtest(75, 100).proportion_ci(0.95, "exact")  # Clopper and Pearson
    assert (found.lower, found.upper) == pytest.approx((exact.low - 0.5, exact.high - 0.5), abs=0.004)


def test_rare_strong_losses_count_as_possible_where_none_was_seen() -> None:
    """A model that ties 30 of 30 may still lose 12 % strongly: 0.88^30 is 2 %."""
    won, total = np.ones(30), np.full(30, 2.0)
    found = difference(won, total, None, 0.025, 6.0)
    share = 1.0 - 0.025 ** (1 / 30)
    assert found.lower == pytest.approx((1.0 - share) / (2.0 * (1.0 - share) + 6.0 * share) - 0.5, abs=0.005)
    assert found.upper == pytest.approx(-found.lower, abs=0.001)


def test_the_questions_that_are_needed_give_the_power_that_is_promised() -> None:
    needed = questions_for(0.5, 0.05, 0.025)
    assert needed == 785  # ((1.96 + 0.8416) * 0.5 / 0.05) ** 2
    error = 0.5 / np.sqrt(needed)
    assert stats.norm.cdf((0.05 - 1.96 * error) / error) == pytest.approx(0.8, abs=0.002)


def test_limits_of_many_questions_are_normal_unless_rare_strong_losses_skew_them() -> None:
    rng = np.random.default_rng(5)
    total = np.full(5000, 2.0)
    even = rng.choice([0.0, 1.0, 2.0], size=5000, p=[0.3, 0.4, 0.3])
    found = difference(even, total, None, 0.05, 6.0)
    assert (found.difference - found.lower) / found.std_error == pytest.approx(1.645, abs=0.03)
    assert (found.upper - found.difference) / found.std_error == pytest.approx(1.645, abs=0.03)
    rare = np.where(rng.random(5000) < 0.0004, 0.0, 1.0)  # nearly always a tie
    assert 0 < np.count_nonzero(rare == 0.0) < 5
    found = difference(rare, np.where(rare == 0.0, 6.0, 2.0), None, 0.05, 6.0)
    assert (found.difference - found.lower) / found.std_error > 1.75
