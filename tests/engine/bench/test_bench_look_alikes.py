"""Names that are different and look the same, to people or to a file system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.names import look_alikes, same_on_disk


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("aya-23-8B", "аya-23-8B"),  # a Cyrillic a
        ("aya-23-8B", "Aya-23-8b"),
        ("model-1", "model\u20111"),
        ("model", "mo\u200bdel"),
        ("model", "model "),
        ("ＧＰＴ-4", "GPT-4"),
        ("café", "cafe\u0301"),
        ("llama_3", "llama-3"),
    ],
)
def test_names_that_look_alike_are_found(one, other):
    assert look_alikes([one, other, "something else", one]) == [tuple(sorted((one, other)))]


def test_names_that_differ_visibly_are_left_alone():
    assert look_alikes(["model-1", "model-2", "model-1-instruct", "модель", "模型", "", "m0del-1"]) == []


def test_case_and_the_writing_of_accents_are_one_on_some_disks():
    assert same_on_disk(["Model", "model", "аya", "aya", "café", "cafe\u0301"]) == [
        ("Model", "model"),
        ("cafe\u0301", "café"),
    ]


@given(st.lists(st.text(max_size=8), max_size=6))
def test_what_is_one_on_disk_also_looks_alike_and_every_group_has_different_names(names):
    together = [set(group) for group in look_alikes(names)]
    for group in same_on_disk(names):
        assert len(set(group)) == len(group) > 1
        assert any(set(group) <= alike for alike in together)
