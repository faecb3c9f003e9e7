"""A confidence sequence holds exactly the scores that a sequential test does not refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ratings.confidence_sequence import (
    CrossMoments,
    Moments,
    boundary,
    difference,
    difference_interval,
    interval,
    squared_z,
    strengthened,
    strengthened_cross,
)

outcomes = st.lists(
    st.sampled_from([(0.0, 2.0), (1.0, 2.0), (2.0, 2.0), (3.0, 4.0), (1.0, 4.0), (6.0, 6.0), (0.0, 6.0), (0.5, 1.0)]),
    min_size=1,
    max_size=60,
)


def moments_of(pairs: list[tuple[float, float]]) -> Moments:
    moments = Moments()
    for won, total in pairs:
        moments = moments.plus(won, total)
    return moments


@given(outcomes, st.floats(0.0, 1.0))
def test_the_limits_hold_the_scores_that_the_test_does_not_refuse(
    pairs: list[tuple[float, float]], score: float
) -> None:
    moments = moments_of(pairs)
    lower, upper = interval(moments)
    refused = squared_z(strengthened(moments), score) > boundary(moments.n + 2) ** 2
    assert 0.0 <= lower <= upper <= 1.0
    if min(abs(score - lower), abs(score - upper)) > 1e-9:
        assert refused == (not lower < score < upper)


@given(outcomes)
def test_the_loser_sees_the_mirror_image(pairs: list[tuple[float, float]]) -> None:
    lower, upper = interval(moments_of(pairs))
    below, above = interval(moments_of([(total - won, total) for won, total in pairs]))
    assert (below, above) == pytest.approx((1.0 - upper, 1.0 - lower), abs=1e-9)


def test_the_boundary_is_the_normal_mixture_tuned_to_seventy_questions() -> None:
    def mixture(n: float, rho: float) -> float:  # the formula as the paper has it, times the root of n
        return math.sqrt((n * rho**2 + 1) / (n**2 * rho**2) * math.log((n * rho**2 + 1) / 0.05**2)) * math.sqrt(n)

    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 70)
    for n in (30, 100, 500, 2000):
        assert boundary(n) == pytest.approx(mixture(n, rho))
    for others in (rho / 2, rho * 2):
        assert boundary(70) < mixture(70, others)
    assert boundary(100, alpha=0.01) > boundary(100) > 1.96


def test_thirty_wins_are_not_taken_for_certainty() -> None:
    lower, upper = interval(moments_of([(2.0, 2.0)] * 30))
    assert 0.5 < lower < 0.9
    assert upper == 1.0


def test_before_the_first_question_anything_is_possible() -> None:
    assert interval(Moments()) == (0.0, 1.0)
    assert difference_interval(Moments(), Moments(), CrossMoments()) == (-1.0, 1.0)


def test_the_same_answers_twice_differ_less_than_two_models_that_do_not_know_of_each_other() -> None:
    pairs = [(float(won), 2.0) for won in (0, 1, 2, 2, 1, 0, 2, 1, 2, 2)] * 6
    mirrored = pairs[1:] + pairs[:1]
    alike, apart = CrossMoments(), CrossMoments()
    for mine, same, other in zip(pairs, pairs, mirrored, strict=True):
        alike, apart = alike.plus(*mine, *same), apart.plus(*mine, *other)
    one = moments_of(pairs)
    narrow, wide = difference_interval(one, one, alike), difference_interval(one, one, apart)
    assert narrow[0] < 0.0 < narrow[1]
    assert narrow[1] - narrow[0] < 0.7 * (wide[1] - wide[0])


def test_the_standard_error_of_a_difference_is_that_of_its_linearised_values() -> None:
    rng = np.random.default_rng(3)
    total = rng.choice([2.0, 4.0, 6.0], size=(2, 80))
    won = np.round(total * rng.random((2, 80)))
    cross = CrossMoments()
    for column in range(80):
        cross = cross.plus(won[0, column], total[0, column], won[1, column], total[1, column])
    a, b = (moments_of(list(zip(won[row], total[row], strict=True))) for row in (0, 1))
    share = won.sum(axis=1) / total.sum(axis=1)
    values = (won - share[:, None] * total) / total.mean(axis=1)[:, None]
    error = (values[0] - values[1]).std(ddof=1) / math.sqrt(80)
    estimate, variance = difference(a, b, cross)
    assert estimate == pytest.approx(share[0] - share[1])
    assert math.sqrt(variance) == pytest.approx(error)
    assert difference(strengthened(a), strengthened(b), strengthened_cross(cross, a, b))[1] > variance * 80 / 82
