"""`run --json-events`: lines of JSON as docs/events.md says, for readers that may be slow or go away."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from test_until_command import write_bench

from arena_tui.output.event_lines import FREQUENT, LineWriter
from engine.errors import UsageProblem

DOCS = Path(__file__).resolve().parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_events", DOCS / "make_events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_page_and_the_schema_are_those_of_the_program():
    make = generator()
    assert (DOCS / "events.md").read_text("utf-8") == make.page((DOCS / "events.md").read_text("utf-8")), (
        "run python docs/make_events.py"
    )
    assert (DOCS / "events.schema.json").read_text("utf-8") == make.schema_text(), "run python docs/make_events.py"


def test_no_field_of_an_event_has_the_name_of_one_of_every_line():
    for struct in generator().structs():
        assert not {"v", "seq", "time", "type"} & set(struct.__struct_fields__), struct


def test_events_on_stdout_keep_to_the_schema_and_end_with_the_result(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    done = arena("-c", config, "run", "--until", "decided", "--json-events", "--json")
    assert done.returncode == 0, done.stderr
    lines = lines_of(done.stdout)
    check = jsonschema.Draft202012Validator(generator().schema())
    for line in lines:
        check.validate(line)
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    kinds = Counter(line["type"] for line in lines)
    assert not kinds.keys() & {each.__name__ for each in FREQUENT}
    assert (lines[0]["type"], lines[-1]["type"]) == ("RunOpened", "RunResult")
    assert kinds["StandingChanged"] == 2, "one for each decision, none in between"
    assert kinds["ProgressMade"] <= 2 + lines[-1]["time"] - lines[0]["time"], "one a second"
    last = next(line for line in reversed(lines) if line["type"] == "ProgressMade")
    assert (last["phase"], last["left_out"]) == ("done", 0)
    assert lines[-1]["exit_code"] == 0
    board = json.loads(arena("-c", config, "run", "--until", "decided", "--json").stdout)
    assert lines[-1]["leaderboard"] == board


def test_every_call_is_written_where_it_is_wanted_and_stdout_stays_as_it_was(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    file = tmp_path / "events.jsonl"
    done = arena("-c", config, "run", "--limit", "5", "--json-events", file, "--every-call")
    assert done.returncode == 0, done.stderr
    assert "sim-strong" in done.stdout
    assert '"type"' not in done.stdout
    kinds = Counter(line["type"] for line in lines_of(file.read_text("utf-8")))
    calls = 5 * 3 + 2 * 5 * 2
    assert (kinds["CallStarted"], kinds["CallEnded"], kinds["RecordSaved"]) == (calls, calls, 5 * 5)


def test_a_run_outlasts_the_reader_of_its_events(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first: list[str] = []

    def read_one_line() -> None:
        with pipe.open(encoding="utf-8") as stream:
            first.append(stream.readline())

    reader = threading.Thread(target=read_one_line)
    reader.start()
    descriptor = os.open(pipe, os.O_WRONLY)  # lets the reader begin, and the program find it
    done = arena("-c", config, "run", "--limit", "5", "--json-events", pipe)
    os.close(descriptor)
    reader.join()
    assert done.returncode == 0, done.stderr
    assert json.loads(first[0])["type"] == "RunOpened"
    assert "sim-strong" in done.stdout


def test_lines_that_nobody_reads_hold_up_nothing_and_the_needed_ones_are_kept():
    reading, writing = os.pipe()
    writer = LineWriter(f"/dev/fd/{writing}")
    os.close(writing)
    for number in range(20_000):
        writer.write(b"%d" % number + b" " * 50, is_needed=number % 1000 == 0)
    assert writer.left_out > 10_000
    with os.fdopen(reading, "rb") as stream:
        closing = threading.Thread(target=writer.close)
        closing.start()
        found = [int(line) for line in stream]
        closing.join()
    assert len(found) == 20_000 - writer.left_out
    assert set(range(0, 20_000, 1000)) <= set(found)


def test_a_file_that_cannot_be_opened_is_reported_before_the_run(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageProblem, match="no program reads this pipe"):
        LineWriter(str(pipe))
    with pytest.raises(UsageProblem, match="No such file"):
        LineWriter(str(tmp_path / "missing" / "events"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every-call"], "--json-events, which is not given"),
        (["--json-events", "--dry-run"], "a plan has no events"),
        (["--detach", "--json-events"], "a detached run has no stdout"),
    ],
)
def test_events_that_cannot_be_written_are_wrong_usage(tmp_path, arena, arguments, message):
    done = arena("-c", write_bench(tmp_path, "http://127.0.0.1:9/v1"), "run", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
