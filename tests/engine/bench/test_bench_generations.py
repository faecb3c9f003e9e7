"""Both published generations in one file, damaged anywhere: every whole record is read, every bad line is told."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.stored import load_answers, load_judgments, load_questions
from engine.labels import LABELS

TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()) and text.strip() != "$ERROR$")
LABEL = st.sampled_from(LABELS)
DAMAGED = st.sampled_from(
    [b"{", b'{"question_id": "x", "choi', b"[1, 2]", b"null", b"42", b"\x80\xfe", b"\0\0\0\0", b"not json", b'"text"']
)


def question_1(identity: str, text: str) -> dict[str, Any]:
    return {"question_id": identity, "category": "c", "cluster": "k", "turns": [{"content": text}]}


def question_2(identity: str, text: str) -> dict[str, Any]:
    return {"uid": identity, "prompt": text, "category": "c", "subcategory": "k"}


def answer_1(identity: str, text: str) -> dict[str, Any]:
    turns = [{"content": text, "token_len": 3}]
    return {"question_id": identity, "answer_id": "a", "model_id": "m", "choices": [{"index": 0, "turns": turns}]}


def answer_2(identity: str, text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": {"answer": text}}]
    return {"uid": identity, "ans_id": "a", "model": "m", "messages": messages, "metadata": {"token_len": 3}}


def judgment_1(identity: str, label: str) -> dict[str, Any]:
    games = [{"user_prompt": "p", "judgment": f"[[{label}]]", "score": label} for _ in range(2)]
    return {"question_id": identity, "model": "m", "judge": "j", "games": games}


def judgment_2(identity: str, label: str) -> dict[str, Any]:
    games = [{"score": label, "judgment": {"answer": f"[[{label}]]"}, "prompt": []}, None]
    return {"uid": identity, "category": "c", "judge": "j", "model": "m", "baseline": "b", "games": games}


def in_any_shape(one: Any, two: Any, values: Any) -> Any:
    """Files as lists: a record is (make, value), damage is bytes."""
    return st.lists(st.tuples(st.sampled_from([one, two]), values) | DAMAGED, max_size=10)


def written(path: Any, entries: list[Any], newline: bytes) -> dict[str, Any]:
    """Write the file; the values of its whole records by id."""
    values, rows = {}, []
    for number, entry in enumerate(entries):
        if isinstance(entry, bytes):
            rows.append(entry)
        else:
            make, values[f"q{number}"] = entry
            rows.append(json.dumps(make(f"q{number}", entry[1]), ensure_ascii=number % 2 == 0).encode())
    path.write_bytes(b"".join(row + newline for row in rows))
    return values


def bad_lines(entries: list[Any]) -> list[int]:
    return [number for number, entry in enumerate(entries, 1) if isinstance(entry, bytes)]


def told_lines(loaded: Any) -> list[int]:
    return sorted(problem.line for problem in loaded.problems)


NEWLINES = st.sampled_from([b"\n", b"\r\n"])


@given(in_any_shape(question_1, question_2, TEXTS), NEWLINES)
@settings(deadline=None)
def test_questions_of_both_generations_survive_any_damage_around_them(tmp_path_factory, entries, newline):
    path = tmp_path_factory.mktemp("bench") / "question.jsonl"
    values = written(path, entries, newline)
    loaded = load_questions(path)
    assert {question.id: question.turns for question in loaded.items} == {key: (text,) for key, text in values.items()}
    assert {(question.category, question.cluster) for question in loaded.items} <= {("c", "k")}
    assert told_lines(loaded) == bad_lines(entries)


@given(in_any_shape(answer_1, answer_2, TEXTS), NEWLINES)
@settings(deadline=None)
def test_answers_of_both_generations_survive_any_damage_around_them(tmp_path_factory, entries, newline):
    path = tmp_path_factory.mktemp("bench") / "m.jsonl"
    values = written(path, entries, newline)
    loaded = load_answers(path)
    assert {key: answer.turns for key, answer in loaded.items.items()} == {key: (text,) for key, text in values.items()}
    assert {answer.token_len for answer in loaded.items.values()} <= {3}
    assert told_lines(loaded) == bad_lines(entries)


@given(in_any_shape(judgment_1, judgment_2, LABEL), NEWLINES)
@settings(deadline=None)
def test_judgments_of_both_generations_survive_any_damage_around_them(tmp_path_factory, entries, newline):
    path = tmp_path_factory.mktemp("bench") / "m.jsonl"
    values = written(path, entries, newline)
    loaded = load_judgments(path)
    assert {key: judgment.labels[0] for key, judgment in loaded.items.items()} == values
    assert told_lines(loaded) == bad_lines(entries)
