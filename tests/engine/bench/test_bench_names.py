"""Names of models as file names: ordinary ones unchanged, hostile ones harmless, none lost, shared or confused."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.bench.names import file_stem, is_shortened, look_alikes, model_name, same_on_disk

ORDINARY = [
    "aya-23-8B",
    "Vikhr-7B-instruct_0.5",
    "suzume-llama-3-8B-multilingual-orpo-borda-half",
    "gpt-4-0314",
    "llama3:8b",
    "модель 7B (лучшая)",
    "100%",
    "a%20b",
]
HOSTILE = [
    "../../etc/passwd",
    "Qwen/Qwen2-7B",
    "..",
    ".",
    ".hidden",
    "",
    "a\\b",
    "con",
    "NUL.txt",
    "ends in a dot.",
    "line\nbreak",
    "\x1b[31mred",
    "nul\0byte",
    "half \ud800 pair",
    "x" * 300,
    "я" * 300,
    "/" * 300,
    "Qwen%2FQwen2-7B",
    "%",
]

# Letters that collide on purpose: escapes, their parts, separators, dots, and reserved names.
tricky_names = st.text(alphabet=st.sampled_from("%2F5~ae./\\ con1\n\ud800я"), max_size=12) | st.text(max_size=400)


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_stands_unchanged(name):
    assert file_stem(name) == name


@pytest.mark.parametrize("name", [*ORDINARY, *HOSTILE])
def test_no_name_leaves_its_folder_hides_or_breaks_a_terminal(name):
    stem = file_stem(name)
    assert stem not in ("", ".", "..")
    assert not stem.startswith(".")
    assert stem.isprintable()
    assert PurePosixPath(stem + ".jsonl").parts == (stem + ".jsonl",)
    assert "\\" not in stem
    assert len((stem + ".jsonl.partial").encode()) <= 255


@given(tricky_names)
@example("%")
@example("")
@example("%2525")
def test_a_name_comes_back_from_its_file_unless_it_was_too_long(name):
    stem = file_stem(name)
    assert model_name(stem) == (None if is_shortened(stem) else name)


@given(tricky_names, tricky_names)
@example("Qwen/Qwen2", "Qwen%2FQwen2")
@example("", "%")
@example("x" * 300, file_stem("x" * 300))
@example("x" * 300, "x" * 301)
def test_two_names_never_share_a_file(one, other):
    assert (file_stem(one) == file_stem(other)) == (one == other)


def test_a_file_that_no_name_leads_to_has_no_name():
    assert model_name("con") is None
    assert model_name("trailing space ") is None


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
