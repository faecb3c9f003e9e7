"""Weights of labels become distributions, and what a file holds for one is not trusted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judging.probabilities import most_probable, normalised, read_probabilities
from engine.labels import LABELS

weights = st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1e6), min_size=1)


@given(weights)
def test_weights_become_a_distribution_over_all_labels_in_their_order(given_weights):
    found = normalised(given_weights)
    if sum(given_weights.values()) == 0:
        assert found is None
        return
    assert list(found) == list(LABELS)
    assert math.fsum(found.values()) == pytest.approx(1, abs=1e-12)
    heaviest = max(given_weights.values())
    assert found[most_probable(found)] == pytest.approx(heaviest / math.fsum(given_weights.values()))


@given(weights.map(normalised).filter(bool))
def test_what_is_a_distribution_is_read_as_it_is(distribution):
    assert read_probabilities(distribution) == distribution


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [0.2] * 5,
        {},
        dict.fromkeys(LABELS, 0.5),
        dict.fromkeys(LABELS, 0.1),
        {"A=B": "1.0"},
        {"A=B": True},
        {"A>B": 1.5, "B>A": -0.5},
        {"A=B": math.nan},
        {"A=B": 1.0, "A>B": "none"},
    ],
)
def test_what_is_no_distribution_is_none(stored):
    assert read_probabilities(stored) is None


def test_rounded_and_absent_ones_are_mended():
    assert read_probabilities({"A>B": 0.333, "A=B": 0.333, "B>A": 0.333, "A>>B": None}) == pytest.approx(
        {"A>>B": 0, "A>B": 1 / 3, "A=B": 1 / 3, "B>A": 1 / 3, "B>>A": 0}
    )


def test_of_equally_probable_labels_the_more_cautious_is_the_verdict():
    assert most_probable(dict.fromkeys(LABELS, 0.2)) == "A=B"
    assert most_probable({"A>>B": 0.4, "A>B": 0.0, "A=B": 0.2, "B>A": 0.4, "B>>A": 0.0}) == "B>A"
    assert normalised({"A=B": math.inf}) is None
