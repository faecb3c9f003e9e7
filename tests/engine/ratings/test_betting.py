"""Bets exclude a score only where the data do, whatever their distribution, and the limits are what bets leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ratings import FEWEST_QUESTIONS
from engine.ratings.betting import (
    BET_WEIGHTS,
    BETS,
    Tally,
    difference_interval,
    interval,
    is_apart,
    log_capital,
    log_capital_apart,
    threshold,
)

LARGEST = 6.0
ONE = [(0.0, 2.0), (1.0, 2.0), (2.0, 2.0), (3.0, 4.0), (1.0, 4.0), (6.0, 6.0), (0.0, 6.0), (0.5, 1.0)]
outcomes = st.lists(st.sampled_from(ONE), min_size=1, max_size=60)
pairs = st.lists(
    st.tuples(st.sampled_from(ONE), st.sampled_from(ONE)).map(lambda both: (*both[0], *both[1])), min_size=1
)


def tally(observed: Sequence[tuple[float, ...]]) -> Tally:
    found = Tally(LARGEST)
    for outcome in observed:
        found.add(outcome)
    return found


@given(outcomes, st.floats(0.01, 0.99))
def test_the_limits_are_the_scores_that_no_bet_excludes(observed: list[tuple[float, float]], score: float) -> None:
    found, counts = tally(observed).arrays()
    lower, upper = interval(found, counts, LARGEST)
    mirrored = np.stack([found[:, 1] - found[:, 0], found[:, 1]], axis=1)
    above = log_capital(found, counts, score, LARGEST) >= threshold()
    below = log_capital(mirrored, counts, 1.0 - score, LARGEST) >= threshold()
    assert 0.0 <= lower <= upper <= 1.0
    if min(abs(score - lower), abs(score - upper)) > 1e-4:
        assert (above, below) == (score < lower, score > upper)


@given(outcomes)
def test_the_order_of_questions_changes_nothing_and_the_loser_gets_the_mirror_image(
    observed: list[tuple[float, float]],
) -> None:
    lower, upper = interval(*tally(observed).arrays(), LARGEST)
    assert interval(*tally(observed[::-1]).arrays(), LARGEST) == pytest.approx((lower, upper))
    lost = [(total - won, total) for won, total in observed]
    assert interval(*tally(lost).arrays(), LARGEST) == pytest.approx((1.0 - upper, 1.0 - lower))


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=5), st.floats(0.05, 0.95))
def test_no_bet_gains_on_average_if_the_hypothesis_holds(masses: list[float], score: float) -> None:
    """One question: the mean capital is at most 1 for every distribution with the score."""
    found = np.array(ONE[: len(masses)])
    shares = np.array(masses) + 1e-3
    truth = float(shares @ found[:, 0] / (shares @ found[:, 1]))
    capital = [np.exp(log_capital(found[[at]], np.ones(1), max(truth, score), LARGEST)) for at in range(len(found))]
    assert float(shares @ np.array(capital) / shares.sum()) <= 1.0 + 1e-9


def test_bets_never_lose_more_than_the_stake_and_are_all_of_the_capital() -> None:
    assert BETS.min() > 0.0
    assert BETS.max() < 1.0
    assert BET_WEIGHTS.sum() == pytest.approx(1.0)


def test_the_fewest_questions_that_decide_are_strong_wins() -> None:
    won = np.array([[LARGEST, LARGEST]])
    decides = [log_capital(won, np.array([float(n)]), 0.5, LARGEST) >= threshold() for n in range(1, 20)]
    assert decides.index(True) + 1 == FEWEST_QUESTIONS


def test_many_wins_are_not_taken_for_certainty_and_no_questions_exclude_nothing() -> None:
    lower, upper = interval(*tally([(2.0, 2.0)] * 30).arrays(), LARGEST)
    assert (0.5 < lower < 0.9, upper) == (True, pytest.approx(1.0))
    assert interval(np.zeros((0, 2)), np.zeros(0), LARGEST) == (0.0, 1.0)
    assert difference_interval(np.zeros((0, 4)), np.zeros(0), LARGEST) == (-1.0, 1.0)


@given(pairs, st.floats(-0.9, 0.9), st.floats(0.0, 0.9))
@settings(max_examples=50, deadline=None)
def test_a_weaker_claim_about_a_difference_is_excluded_first(
    observed: list[tuple[float, ...]], gap: float, more: float
) -> None:
    found, counts = tally(observed).arrays()
    assert (
        log_capital_apart(found, counts, gap, LARGEST) >= log_capital_apart(found, counts, gap + more, LARGEST) - 1e-9
    )


@given(st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_no_bet_on_two_models_gains_on_average_if_they_are_equally_good(masses: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = np.array([(*ONE[rng.integers(8)], *ONE[rng.integers(8)]) for _ in range(6)])
    shares = np.array(masses) + 1e-3
    means = shares @ found
    gap = float(means[0] / means[1] - means[2] / means[3])
    capital = [np.exp(log_capital_apart(found[[at]], np.ones(1), gap, LARGEST)) for at in range(6)]
    assert float(shares @ np.array(capital) / shares.sum()) <= 1.0 + 1e-9


def test_the_same_answers_twice_differ_less_than_two_independent_models() -> None:
    wins = [(float(won), 2.0) for won in (0, 1, 2, 2, 1, 0, 2, 1, 2, 2)] * 12
    alike = tally([(*one, *one) for one in wins]).arrays()
    apart = tally([(*one, *other) for one, other in zip(wins, wins[1:] + wins[:1], strict=True)]).arrays()
    narrow, wide = difference_interval(*alike, LARGEST), difference_interval(*apart, LARGEST)
    assert narrow[0] < 0.0 < narrow[1]
    assert narrow[1] - narrow[0] < 0.8 * (wide[1] - wide[0])


def test_a_difference_is_decided_where_its_limits_leave_out_none() -> None:
    better = tally([(2.0, 2.0, 0.0, 2.0)] * 20 + [(1.0, 2.0, 1.0, 2.0)] * 10)
    lower, upper = difference_interval(*better.arrays(), LARGEST)
    assert 0.0 < lower < 2.0 / 3.0 < upper
    assert is_apart(*better.arrays(), 0.0, LARGEST, threshold())
    assert better.sums() == (50.0, 60.0, 10.0, 60.0)
    assert better.questions == 30
