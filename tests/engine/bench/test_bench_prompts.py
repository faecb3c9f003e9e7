"""What a judge was shown, read from the file only when it is looked at; the file may have changed meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.bench.lines import LineSpan
from engine.bench.stored import StoredPrompts

FIRST = {"question_id": "q0", "games": [{"user_prompt": "one " * 30_000}, {"user_prompt": "two"}]}
SECOND = {
    "uid": "q1",
    "games": [{"prompt": [{"role": "system", "content": "S"}, None, {"role": "user", "content": "U"}]}, None],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(FIRST) + "\n" + json.dumps(SECOND) + "\n", "utf-8")
    return path


FIRST_SPAN = LineSpan(0, len(json.dumps(FIRST)))
SECOND_SPAN = LineSpan(len(json.dumps(FIRST)) + 1, len(json.dumps(SECOND)))


def test_the_users_prompt_of_each_game_however_long(file: Path):
    prompts = StoredPrompts(file, FIRST_SPAN, "q0")
    assert len(prompts) == 2
    assert prompts[0] == "one " * 30_000
    assert prompts[1:] == ("two",)


def test_all_messages_of_the_other_generation_and_none_of_a_game_not_played(file: Path):
    assert StoredPrompts(file, SECOND_SPAN, "q1").read() == ("S\nU", None)


@pytest.mark.parametrize(
    "changed",
    [
        b"",
        b"not json\n",
        json.dumps(FIRST | {"question_id": "another"}).encode() + b"\n",
        b'{"question_id": "q0", "games": 7}\n',
        b'{"question_id": "q0"}',
    ],
)
def test_a_file_that_changed_meanwhile_has_none(file: Path, changed: bytes):
    file.write_bytes(changed)
    assert StoredPrompts(file, FIRST_SPAN, "q0").read() == ()


def test_a_file_that_has_gone_has_none(tmp_path: Path):
    assert len(StoredPrompts(tmp_path / "nothing.jsonl", FIRST_SPAN, "q0")) == 0


def test_a_line_that_only_pythons_writer_lets_through_is_read(file: Path):
    record: dict[str, Any] = {"question_id": "q0", "score": float("nan"), "games": [{"user_prompt": "half \ud83d"}]}
    file.write_text(json.dumps(record) + "\n", "utf-8")
    assert StoredPrompts(file, FIRST_SPAN, "q0").read() == ("half \ufffd",)
