"""Agreement of two raters: known values, limits that hold, and ratings that cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from engine.review.agreement import agreement, wilson

ratings = st.lists(st.tuples(st.sampled_from("wtl"), st.sampled_from("wtl")), min_size=1, max_size=60)


@given(ratings)
def test_kappa_is_that_of_scikit_learn_and_lies_within_its_limits(pairs: list[tuple[str, str]]):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    told = agreement(first, second)
    assert told is not None
    assert told.raw == sum(a == b for a, b in pairs) / len(pairs)
    assert told.raw_lower <= told.raw <= told.raw_upper
    if told.kappa is None:
        assert len({*first, *second}) == 1
    else:
        assert told.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)
        assert told.kappa_lower is not None
        assert told.kappa_upper is not None
        assert -1 <= told.kappa_lower <= told.kappa + 1e-9
        assert told.kappa - 1e-9 <= told.kappa_upper <= 1 + 1e-9


def test_a_textbook_table():
    """50 grants read by two people: 20 times both yes, 15 times both no, 5 and 10 times not the same."""
    told = agreement("y" * 20 + "y" * 5 + "n" * 10 + "n" * 15, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    assert told is not None
    assert (told.pairs, told.agreed) == (50, 35)
    assert told.kappa == pytest.approx(0.4)


def test_perfect_agreement_is_not_certain_from_a_few_items():
    told = agreement("wwltlwl" * 2, "wwltlwl" * 2)
    assert told is not None
    assert told.kappa == pytest.approx(1.0)
    assert told.kappa_upper == pytest.approx(1.0)
    assert told.kappa_lower is not None
    assert 0.5 < told.kappa_lower < 0.9


def test_nothing_to_compare_is_none_and_unequal_lengths_are_an_error():
    assert agreement([], []) is None
    with pytest.raises(ValueError, match="item by item"):
        agreement(["w"], [])


def test_shares_without_trials_may_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(("same", "items"), [(0.3, 37), (0.6, 37), (0.8, 100), (0.95, 37), (0.95, 100)])
def test_the_limits_of_kappa_hold_what_they_promise(same: float, items: int):
    """Two raters of whom the second repeats the first with a probability and else says anything."""
    random = np.random.default_rng(0)
    frequencies = np.array([0.6, 0.15, 0.25])
    held = rounds = 0
    for _ in range(1500):
        first = random.choice(3, items, p=frequencies)
        second = np.where(random.random(items) < same, first, random.choice(3, items, p=frequencies))
        told = agreement(first.tolist(), second.tolist())
        if told is not None and told.kappa_lower is not None and told.kappa_upper is not None:
            rounds += 1
            held += told.kappa_lower <= same <= told.kappa_upper
    assert 0.92 <= held / rounds <= 0.99
