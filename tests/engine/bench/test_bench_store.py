"""A bench is opened by name and reads what is on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.bench import Bench, benches
from engine.bench.lines import encode_line
from engine.errors import Advice, AdviceKind, BenchError
from engine.records import Failure

REPOSITORY = Path(__file__).resolve().parents[3]
QUESTION = {"question_id": "q", "turns": [{"content": "?"}]}


@pytest.fixture
def data(tmp_path, write_lines):
    for name in ("arena-hard-ru", "starter-en", ".hidden"):
        write_lines(tmp_path / name / "question.jsonl", QUESTION)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_bench_opens_by_its_name(data):
    bench = Bench.open(data, "arena-hard-ru")
    assert bench.name == "arena-hard-ru"
    assert [question.id for question in bench.questions().items] == ["q"]


def test_a_misspelt_bench_gets_a_suggestion(data):
    with pytest.raises(BenchError) as missing:
        Bench.open(data, "arena-hard-rus")
    assert missing.value.hint == "did you mean 'arena-hard-ru'?"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "is a named pipe"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("nowhere"), "leads nowhere"),
    ],
)
def test_a_question_set_that_is_no_file_is_reported_as_what_it_is(tmp_path, make, why):
    (tmp_path / "odd").mkdir()
    make(tmp_path / "odd" / "question.jsonl")
    with pytest.raises(BenchError, match=why):
        Bench.open(tmp_path, "odd")


def test_a_bench_unlike_any_other_gets_the_list(data):
    with pytest.raises(BenchError) as missing:
        Bench.open(data, "zzz")
    assert missing.value.hint == "available: arena-hard-ru, starter-en"


def test_without_any_bench_the_way_to_get_one_is_told(tmp_path):
    with pytest.raises(BenchError) as missing:
        Bench.open(tmp_path / "absent", "b")
    assert isinstance(missing.value.hint, Advice)
    assert missing.value.hint.kinds == (AdviceKind.IMPORT,)


@pytest.mark.parametrize("name", ["..", ".", "", "../arena-hard-ru", "starter-en/../arena-hard-ru", "empty"])
def test_what_is_no_bench_of_the_folder_does_not_open(data, name):
    with pytest.raises(BenchError):
        Bench.open(data / "starter-en" if name == ".." else data, name)


def test_benches_are_the_visible_folders_with_a_question_set(data):
    assert benches(data) == ["arena-hard-ru", "starter-en"]


def test_what_was_not_made_yet_is_empty(data):
    bench = Bench.open(data, "starter-en")
    assert bench.models_with_answers() == bench.judges() == bench.judged_models("j") == bench.journal() == []
    assert bench.answers("m").items == bench.judgments("j", "m").items == bench.token_lengths("m").items == {}
    assert bench.failures().items == []


def test_failures_come_back_as_they_were_recorded(data):
    bench = Bench.open(data, "starter-en")
    failure = Failure("judgments", "m", "q", "timeout", "no reply in 1200 s", 5, 1.5, judge="j", game=2)
    bench.paths.errors.write_bytes(encode_line(failure) + b"{torn")
    loaded = bench.failures()
    assert loaded.items == [failure]
    assert [problem.line for problem in loaded.problems] == [2]


def test_paths_locks_and_the_writer_do_without_polars():
    program = (
        "import sys; from engine.bench import layout, lock, repair, writer, run_files, settings;"
        "print('polars' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert done.stdout.strip() == "False"
