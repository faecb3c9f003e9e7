"""A small bench, with and without judgments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_bench import ANSWERS, LABELS, QUESTIONS, answer_record, judgment_record

from engine.bench import Bench


@pytest.fixture
def append() -> Callable[..., None]:
    """Append records to a file as JSON lines."""

    def write(path: Path, *records: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.writelines(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)

    return write


@pytest.fixture
def answered(tmp_path: Path, append: Callable[..., None]) -> Bench:
    """Questions and answers, but no judgments."""
    root = tmp_path / "data" / "small"
    questions = [
        {"question_id": key, "category": "sea" if key == "q2" else "land", "turns": [{"content": t} for t in turns]}
        for key, turns in QUESTIONS.items()
    ]
    append(root / "question.jsonl", *questions)
    bench = Bench.open(tmp_path / "data", "small")
    for model in ANSWERS:
        records = [
            answer_record(model, key, ANSWERS[model].format(key), len(turns)) for key, turns in QUESTIONS.items()
        ]
        append(bench.paths.answers(model), *records)
    return bench


@pytest.fixture
def judged(answered: Bench, append: Callable[..., None]) -> Bench:
    """The same with judgments of some of the answers."""
    for model, question_id in LABELS:
        append(answered.paths.judgments("judge", model), judgment_record(model, question_id))
    return answered
