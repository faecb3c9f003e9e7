"""The two question sets the project ships: whole, varied, in the right language and in the layout of generation 1."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

DATA = Path(__file__).parents[2] / "data"
STARTER_SETS = ("starter-ru", "starter-en")
CATEGORIES = {"coding", "maths", "reasoning", "writing", "knowledge"}
CYRILLIC = re.compile(r"[\u0400-\u04ff]")


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    content: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of question.jsonl; a missing, extra or mistyped field fails the decoding."""

    question_id: str
    category: str
    cluster: str
    turns: list[_Turn]


def _raw_lines(name: str) -> list[bytes]:
    content = (DATA / name / "question.jsonl").read_bytes()
    assert content.endswith(b"\n")
    return content[:-1].split(b"\n")


def _questions(name: str) -> list[_Line]:
    return [msgspec.json.decode(line, type=_Line) for line in _raw_lines(name)]


def _texts(name: str) -> list[str]:
    return [turn.content for question in _questions(name) for turn in question.turns]


@pytest.mark.parametrize("name", STARTER_SETS)
def test_every_line_is_a_question_of_generation_1(name: str) -> None:
    for question in _questions(name):
        assert re.fullmatch(r"[0-9a-f]{32}", question.question_id)
        assert question.cluster.strip()
        assert question.turns
        assert all(turn.content == turn.content.strip() != "" for turn in question.turns)


@pytest.mark.parametrize("name", STARTER_SETS)
def test_a_set_has_at_least_forty_questions_and_every_category_has_its_share(name: str) -> None:
    per_category = Counter(question.category for question in _questions(name))
    assert per_category.total() >= 40
    assert set(per_category) == CATEGORIES
    assert min(per_category.values()) >= 8


@pytest.mark.parametrize("name", STARTER_SETS)
def test_a_set_has_conversations_of_two_turns(name: str) -> None:
    assert Counter(len(question.turns) for question in _questions(name))[2] >= 3


@pytest.mark.parametrize("name", STARTER_SETS)
def test_some_topics_hold_several_questions_and_none_spans_two_categories(name: str) -> None:
    questions = _questions(name)
    per_cluster = Counter(question.cluster for question in questions)
    assert sum(size >= 2 for size in per_cluster.values()) >= 5
    assert len({(question.category, question.cluster) for question in questions}) == len(per_cluster)


def test_ids_and_texts_are_unique_across_both_sets() -> None:
    ids = [question.question_id for name in STARTER_SETS for question in _questions(name)]
    texts = [text for name in STARTER_SETS for text in _texts(name)]
    assert len(set(ids)) == len(ids)
    assert len(set(texts)) == len(texts)


def test_every_russian_text_is_written_in_cyrillic() -> None:
    assert [text for text in _texts("starter-ru") if not CYRILLIC.search(text)] == []


def test_no_english_text_holds_cyrillic() -> None:
    assert [text for text in _texts("starter-en") if CYRILLIC.search(text)] == []


@pytest.mark.parametrize("name", STARTER_SETS)
def test_lines_are_short_and_keep_their_letters_unescaped(name: str) -> None:
    lines = _raw_lines(name)
    assert max(map(len, lines)) <= 8_000
    assert not any(rb"\u" in line for line in lines)
