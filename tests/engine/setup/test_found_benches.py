"""Which benches a data folder holds, and which are near it, without reading their records."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.setup.benches import count_records, find_benches, find_unimported


def make_bench(folder: Path, questions: int = 3, answers: int = 0, time: float | None = None) -> Path:
    folder.mkdir(parents=True)
    lines(folder / "question.jsonl", questions)
    for number in range(answers):
        lines(folder / "model_answer" / f"model-{number}.jsonl", questions)
    if time is not None:
        os.utime(folder / "question.jsonl", (time, time))
    return folder


def lines(file: Path, count: int, **fields: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"question_id": str(n), **fields}) + "\n" for n in range(count)))


def test_the_newest_bench_is_first_and_those_named_are_last(tmp_path: Path):
    make_bench(tmp_path / "starter-ru", time=500)
    make_bench(tmp_path / "old", time=100)
    make_bench(tmp_path / "new", answers=10, time=200)
    make_bench(tmp_path / "demo", time=900)
    (tmp_path / "no-bench").mkdir()
    found = find_benches(tmp_path, ("starter-ru", "starter-en", "demo"))
    assert [bench.name for bench in found] == ["new", "old", "starter-ru", "demo"]
    assert len(found[0].answers) == 10
    assert found[0].is_complete("model-3")
    assert not found[0].is_complete("model-99")
    assert find_benches(tmp_path / "nowhere") == []


def test_judges_and_the_baselines_that_judgments_name_are_known(tmp_path: Path):
    bench = make_bench(tmp_path / "bench", answers=3)
    for model in ("model-1", "model-2"):
        lines(bench / "model_judgment" / "judge-70b" / f"{model}.jsonl", 3, baseline="model-0")
    (bench / "model_judgment" / "judge-70b" / "torn.jsonl").write_text('{"question_id": "1", "bas')
    (found,) = find_benches(tmp_path)
    assert found.judged["judge-70b"] == ("model-1", "model-2", "torn")
    assert found.baselines == ("model-0",)


def test_the_categories_of_the_questions_are_known(tmp_path: Path):
    bench = make_bench(tmp_path / "bench")
    records = [{"uid": str(number), "category": name} for number, name in enumerate(("math", "writing", "math", None))]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (bench / "question.jsonl").write_text(text + '{"uid": "x", "category": 7}\nno JSON\n')
    (found,) = find_benches(tmp_path)
    assert found.categories == ("", "math", "writing")


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a\nb\n", 2), ("a\nb", 2), ("a\n\nb\n", 2), ("\n", 1)])
def test_records_are_counted_by_lines(tmp_path: Path, text: str, count: int):
    file = tmp_path / "x.jsonl"
    file.write_text(text)
    assert count_records(file) == count


def test_what_cannot_be_read_counts_nothing(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert count_records(tmp_path / "pipe.jsonl") == 0
    assert count_records(tmp_path / "absent.jsonl") == 0


def test_benches_near_the_folder_are_found_but_those_of_the_data_folder(tmp_path: Path):
    data = tmp_path / "data"
    make_bench(data / "mine")
    make_bench(tmp_path / "clone" / "data" / "arena-hard-v0.1")
    make_bench(tmp_path / "bench" / "inner")  # below one that is no bench
    lines(tmp_path / "half" / "model_answer" / "m.jsonl", 1)
    make_bench(tmp_path / ".hidden" / "bench")
    make_bench(tmp_path / "a" / "b" / "c" / "too-deep")
    (tmp_path / "link").symlink_to(data)
    found = [str(path.relative_to(tmp_path)) for path in find_unimported(tmp_path, data)]
    assert found == ["bench/inner", "clone/data/arena-hard-v0.1", "half"]
