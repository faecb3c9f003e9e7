"""The published files, exported: the same answers, and the very style counts that were published with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.bench import Bench
from engine.formats.export import export_bench
from engine.formats.selection import ExportChoice

MODEL = "o3-mini-2025-01-31"


def lines(path: Path) -> dict[str, dict[str, object]]:
    records = map(json.loads, path.read_bytes().split(b"\n")[:-1])
    return {record["uid"]: record for record in records}


@pytest.mark.realdata
def test_published_answers_go_out_as_they_are_with_the_metadata_that_v2_counted(shared_data, tmp_path):
    source = shared_data / "arena-hard-v2.0"
    root = tmp_path / "data" / "arena-hard-v2.0"
    (root / "model_answer").mkdir(parents=True)
    shutil.copy(source / "question.jsonl", root)
    shutil.copy(source / "model_answer" / f"{MODEL}.jsonl", root / "model_answer")
    report = export_bench(Bench(root), ExportChoice(baseline=MODEL), "arena-hard-v2", tmp_path / "out")
    assert report.notes == ()
    published, ours = (lines(folder / "model_answer" / f"{MODEL}.jsonl") for folder in (source, tmp_path / "out"))
    assert ours == {key: {**published[key], "ans_id": str(published[key]["ans_id"])} for key in published}
    questions = lines(tmp_path / "out" / "question.jsonl")
    assert questions == lines(source / "question.jsonl")
