"""Agreement of two raters, one game a question: known values, limits that hold, and ratings that cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from engine.auditing.agreement import Agreement, agreement, agreement_on
from engine.auditing.intervals import QuestionResampler

SIDES = {"w": 1.0, "t": 0.0, "l": -1.0, "y": 1.0, "n": -1.0}
ratings = st.lists(st.tuples(st.sampled_from("wtl"), st.sampled_from("wtl")), min_size=1, max_size=60)


def of_each_question(first: Sequence[str], second: Sequence[str]) -> Agreement | None:
    questions = [f"q{number}" for number in range(len(first))]
    return agreement_on(questions, [SIDES[each] for each in first], [SIDES[each] for each in second])


@given(ratings)
def test_kappa_is_that_of_scikit_learn_and_lies_within_its_limits(pairs: list[tuple[str, str]]):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = of_each_question(first, second)
    assert found is not None
    same, kappa = found.same_winner, found.kappa
    assert same.value == pytest.approx(100.0 * sum(a == b for a, b in pairs) / len(pairs))
    if len(pairs) > 1:
        assert same.lower is not None
        assert same.upper is not None
        assert same.lower - 1e-9 <= same.value <= same.upper + 1e-9
    if kappa.value is None:
        assert len({*first, *second}) == 1
    else:
        assert kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)
        assert kappa.lower is not None
        assert kappa.upper is not None
        assert -1 <= kappa.lower <= kappa.value + 1e-9
        assert kappa.value - 1e-9 <= kappa.upper <= 1 + 1e-9


def test_a_textbook_table():
    """50 grants read by two people: 20 times both yes, 15 times both no, 5 and 10 times not the same."""
    found = of_each_question("y" * 20 + "y" * 5 + "n" * 10 + "n" * 15, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    assert found is not None
    assert (found.games, found.same_winner.value) == (50, pytest.approx(70.0))
    assert found.kappa.value == pytest.approx(0.4)


def test_perfect_agreement_is_not_certain_from_a_few_items():
    found = of_each_question("wwltlwl" * 2, "wwltlwl" * 2)
    assert found is not None
    for kappa in (found.kappa, found.weighted_kappa):
        assert kappa is not None
        assert kappa.value == pytest.approx(1.0)
        assert kappa.upper == pytest.approx(1.0)
        assert kappa.lower is not None
        assert 0.5 < kappa.lower < 0.9


def test_several_games_of_a_question_count_as_one_question():
    """Ten games of one question each time say no more than one game: the limits are those of five questions."""
    once = agreement_on([f"q{number}" for number in range(5)], [1.0, 1.0, 0.0, -1.0, 1.0], [1.0, 1.0, 0.0, -1.0, 1.0])
    repeated = agreement_on(
        [f"q{number}" for number in range(5)] * 10, [1.0, 1.0, 0.0, -1.0, 1.0] * 10, [1.0, 1.0, 0.0, -1.0, 1.0] * 10
    )
    assert once is not None
    assert repeated is not None
    assert (once.games, repeated.games) == (5, 50)
    assert repeated.kappa == once.kappa
    assert repeated.same_winner == once.same_winner


def test_nothing_to_compare_is_none_and_unequal_lengths_are_an_error():
    assert agreement_on([], [], []) is None
    with pytest.raises(ValueError, match="item by item"):
        agreement_on(["q1"], [1.0], [])


@pytest.mark.parametrize(("same", "items"), [(0.3, 37), (0.6, 37), (0.8, 100), (0.95, 37), (0.95, 100)])
def test_the_limits_of_kappa_hold_what_they_promise(same: float, items: int):
    """Two raters of whom the second repeats the first with a probability and else says anything."""
    random = np.random.default_rng(0)
    frequencies = np.array([0.6, 0.15, 0.25])
    resampler = QuestionResampler(items, 1000, 1)
    held = rounds = 0
    for _ in range(600):
        first = random.choice(3, items, p=frequencies)
        second = np.where(random.random(items) < same, first, random.choice(3, items, p=frequencies))
        found = agreement(np.arange(items), first - 1.0, second - 1.0, resampler)
        if found is not None and found.kappa.lower is not None and found.kappa.upper is not None:
            rounds += 1
            held += found.kappa.lower <= same <= found.kappa.upper
    assert held / rounds >= 0.92
