"""The words in which two texts differ."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.output.word_diff import DiffRun, diff_runs

TEXTS = st.lists(st.sampled_from(["the", "sea", "is", "calm", "\n", "  ", "blue,", "море"]), max_size=40).map(" ".join)


@given(TEXTS, TEXTS)
def test_the_runs_of_a_text_are_the_text(one, other):
    found = diff_runs(one, other)
    if found is not None:
        for text, runs in zip((one, other), found, strict=True):
            assert "".join(run.text for run in runs) == text
            assert all(run.text for run in runs)
            assert not any(a.is_own and b.is_own for a, b in pairwise(runs))


@given(TEXTS.filter(str.strip))
def test_equal_texts_have_no_word_of_their_own(text):
    assert diff_runs(text, text) == ([DiffRun(text, False)], [DiffRun(text, False)])


def test_words_beside_each_other_are_one_run():
    found = diff_runs("the sea is deep and  blue today", "the sea is calm today")
    assert found is not None
    assert found[0] == [DiffRun("the sea is ", False), DiffRun("deep and  blue", True), DiffRun(" today", False)]
    assert found[1] == [DiffRun("the sea is ", False), DiffRun("calm", True), DiffRun(" today", False)]


def test_texts_with_hardly_a_word_in_common_are_not_marked():
    assert diff_runs("one two three four five", "six seven eight nine ten") is None
    assert diff_runs("", "") is None
