"""The table of label arithmetic: a label counts the same whichever place the model had."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.labels import (
    CODES,
    DEFAULT_WEIGHT,
    IS_STRONG,
    LABELS,
    POINTS_OF_B,
    Label,
    Points,
    is_strong,
    mirror,
    points_of_games,
    points_of_model,
    strength,
)

labels = st.sampled_from(LABELS)


def test_codes_are_positions_and_every_table_has_a_value_for_each() -> None:
    assert [CODES[label] for label in LABELS] == [0, 1, 2, 3, 4]
    assert len(POINTS_OF_B) == len(IS_STRONG) == len(LABELS)
    assert DEFAULT_WEIGHT == 3


@pytest.mark.parametrize(
    ("label", "mirrored"), [("A>>B", "B>>A"), ("A>B", "B>A"), ("A=B", "A=B"), ("B>A", "A>B"), ("B>>A", "A>>B")]
)
def test_a_label_mirrors_with_the_places(label: Label, mirrored: Label) -> None:
    assert mirror(label) == mirrored
    assert is_strong(label) == (">>" in label)


@given(label=labels)
def test_the_same_opinion_in_either_game_counts_the_same(label: Label) -> None:
    assert points_of_model(label, 1) == points_of_model(mirror(label), 2)
    assert points_of_model(label, 1) + points_of_model(label, 2) == 1.0
    assert strength(label, 1) == strength(mirror(label), 2) == -strength(label, 2)


def test_the_model_is_b_in_game_1_and_a_in_game_2() -> None:
    assert [points_of_model(label, 1) for label in LABELS] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert [strength(label, 1) for label in LABELS] == [-2, -1, 0, 1, 2]
    assert math.isnan(points_of_model(None, 1))
    assert not is_strong(None)


@given(st.lists(st.sampled_from([*LABELS, None]), max_size=2), st.sampled_from([1.0, 3.0]))
def test_points_of_a_question_are_those_of_its_games(given_labels: list[Label | None], weight: float) -> None:
    won, total = points_of_games(given_labels, weight)
    assert 0.0 <= won <= total <= 2 * weight
    assert points_of_games(given_labels, weight, first_game_only=True).total <= weight


def test_strong_labels_count_as_several_games() -> None:
    assert points_of_games(("B>>A", "B>A"), 3.0) == points_of_games(("B>>A", "B>A")) == Points(3.0, 4.0)
    assert points_of_games(("A=B", None), 3.0) == Points(0.5, 1.0)
