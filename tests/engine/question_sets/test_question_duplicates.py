"""Which questions are the same or nearly, against all pairs compared one by one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.question_sets.duplicates import NEAR, find_duplicates

WORDS = [f"word{number}" for number in range(19)]


def text(seed: int, words: int = 60) -> str:
    drawn = random.Random(seed)
    return " ".join(drawn.choice(WORDS) + str(drawn.randrange(40)) for _ in range(words))


def similarity(one: str, other: str) -> float:
    shingles = [{tuple(words[at : at + 3]) for at in range(len(words) - 2)} for words in (one.split(), other.split())]
    return len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])


def test_case_punctuation_and_spacing_make_no_other_question():
    found = find_duplicates(["What is  BM25?", "unrelated", "what is bm25", "WHAT IS BM25 !"])
    assert found.exact == ((0, 2, 3),)
    assert found.repeated == (2, 3)
    assert found.near == ()


def test_texts_without_words_are_the_same_only_if_they_are():
    assert find_duplicates(["?!", "...", "?!", "1 + 1", "1 - 1"]).exact == ((0, 2), (3, 4))


def test_near_duplicates_are_those_that_a_comparison_of_all_pairs_finds():
    originals = [text(seed) for seed in range(150)]
    changed = []
    for seed, each in enumerate(originals):
        words = each.split()
        for at in random.Random(seed).sample(range(len(words)), seed % 6):
            words[at] = "changed"
        changed.append(" ".join(words))
    texts = [*originals, *changed]
    pairs = {
        (a, b) for a in range(len(texts)) for b in range(a + 1, len(texts))
        if texts[a] != texts[b] and similarity(texts[a], texts[b]) >= NEAR
    }  # fmt: skip
    found = find_duplicates(texts)
    assert len(pairs) >= 40
    assert {pair for group in found.near for pair in [tuple(group)]} == pairs
    assert len(found.exact) == 25  # those with no word changed


@pytest.mark.parametrize("count", [0, 1])
def test_few_texts_have_no_duplicates(count):
    assert find_duplicates(["x"] * count).exact == ()


@given(st.lists(st.text(max_size=30), max_size=20))
def test_groups_are_disjoint_and_in_order(texts):
    found = find_duplicates(texts)
    for groups in (found.exact, found.near):
        places = [place for group in groups for place in group]
        assert len(places) == len(set(places))
        assert all(list(group) == sorted(group) and len(group) > 1 for group in groups)
