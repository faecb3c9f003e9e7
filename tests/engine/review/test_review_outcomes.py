"""What labels mean for the model, whatever place it had."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.labels import LABELS, strength
from engine.review.labels import is_flip, is_unparsed, outcome, outcome_of_pair

labels = st.sampled_from(LABELS)


def test_in_game_1_the_model_is_b_and_in_game_2_it_is_a():
    assert strength("B>>A", 1) == 2
    assert strength("A>B", 2) == 1
    assert strength("A>>B", 1) == -2
    assert outcome("B>A", 1) == "win"
    assert outcome("B>A", 2) == "loss"
    assert outcome("A=B", 1) == "tie"
    assert outcome(None, 1) is None


def test_games_that_contradict_each_other_are_a_tie_and_a_flip():
    for both in (("B>A", "B>A"), ("A>>B", "A>B"), ("B>>A", "B>A")):
        assert outcome_of_pair(both) == "tie"
        assert is_flip(both)


def test_a_tie_in_one_game_leaves_the_word_to_the_other():
    assert outcome_of_pair(("A=B", "A>B")) == "win"
    assert outcome_of_pair(("A>B", "A=B")) == "loss"
    assert not is_flip(("A=B", "A>B"))


def test_a_game_without_a_verdict_leaves_the_word_to_the_other():
    assert outcome_of_pair((None, "A>>B")) == "win"
    assert outcome_of_pair((None, None)) is None
    assert outcome_of_pair(()) is None


def test_only_a_game_that_was_played_can_be_unparsed():
    assert is_unparsed((None, "A>B"), (True, True))
    assert not is_unparsed((None, "A>B"), (False, True))
