"""Pipes, devices, links and files without an end: each is soon refused with exit code 2, and nothing is changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOON = 60  # seconds; a pipe would be waited for without end


def write(path: Path, *records: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def answers(model: str) -> dict[str, Any]:
    return {"question_id": "q", "model_id": model, "choices": [{"turns": [{"content": f"of {model}"}]}]}


CONFIG = """\
bench = "b"
[answers]
models = []
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1" }]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a config and a bench of one question, and a file outside of it that is no part of a bench."""
    folder = tmp_path / "home"
    write(folder / "data" / "b" / "question.jsonl", {"question_id": "q", "turns": [{"content": "?"}]})
    for model in ("base", "m"):
        write(folder / "data" / "b" / "model_answer" / f"{model}.jsonl", answers(model))
    (folder / "config.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "mine.txt").write_text("precious", "utf-8")
    return folder


@pytest.fixture
def refused(arena: Callable[..., Any], home: Path) -> Callable[..., str]:
    """Run a command that must end with exit code 2 and a message; returns the message."""

    def run(*arguments: object) -> str:
        done = arena(*arguments, cwd=home, timeout=SOON)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 2, (done.returncode, done.stderr)
        assert (home.parent / "mine.txt").read_text("utf-8") == "precious"
        return str(done.stderr)

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "pipe", "--name", "x"],
        ["import", "/dev/zero", "--name", "x"],
        ["-c", "pipe", "leaderboard"],
        ["-c", "/dev/zero", "leaderboard"],
        ["leaderboard", "--battles", "pipe"],
        ["leaderboard", "--battles", "/dev/zero"],
        ["gate", "m", "--against", "pipe"],
        ["import", "config", "--output", "pipe"],
    ],
    ids=" ".join,
)
def test_a_pipe_or_a_device_in_place_of_a_file(home, refused, arguments):
    os.mkfifo(home / "pipe")
    (home / "config").mkdir()
    (home / "config" / "judge_config.yaml").write_text("bench_name: b\njudge_model: j\nbaseline_model: b\n", "utf-8")
    refused(*arguments)
    assert (home / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["question.jsonl", "model_answer/m.jsonl", "model_answer/new.jsonl", "settings.jsonl"])
@pytest.mark.parametrize("command", [["leaderboard"], ["run"], ["doctor"], ["import", "data/b", "--name", "x"]])
def test_a_pipe_in_a_bench(home, refused, name, command):
    path = home / "data" / "b" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    if command == ["doctor"]:
        command = ["doctor", "--repair"]
    assert name.rpartition("/")[2] in refused(*command) or name == "question.jsonl"


LINKED = [
    "settings.jsonl",
    ".lock.owner",
    ".lock",
    "errors.jsonl",
    "journal.jsonl",
    "model_answer/m.jsonl",
    "runs",
    "logs",
]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("command", [["run"], ["leaderboard"], ["import", "data/b", "--name", "x"]], ids=" ".join)
def test_a_link_that_leads_out_of_a_bench(home, refused, name, command):
    path = home / "data" / "b" / name
    path.unlink(missing_ok=True)
    path.symlink_to(home.parent / ("mine.txt" if "." in name else ""))
    assert f"{name}: is a link to" in refused(*command)
    assert not (home / "data" / "x").exists()


@pytest.mark.parametrize("name", [".lock.owner", ".lock", "errors.jsonl", "settings.jsonl"])
def test_nothing_is_written_through_a_link_inside_of_the_data_folder(home, arena, name):
    other = write(home / "data" / "other.jsonl", {"kept": 1})
    before = other.read_bytes()
    (home / "data" / "b" / name).symlink_to(other)
    done = arena("run", cwd=home, timeout=SOON)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert other.read_bytes() == before


def test_links_to_files_of_another_bench_are_read(home, arena):
    path = home / "data" / "b" / "model_answer" / "m.jsonl"
    other = home / "data" / "other" / "m.jsonl"
    other.parent.mkdir()
    path.replace(other)
    path.symlink_to(other)
    done = arena("run", "--dry-run", cwd=home, timeout=SOON)
    assert done.returncode == 0, done.stderr


def test_a_file_of_holes(home, refused):
    path = home / "data" / "b" / "model_answer" / "m.jsonl"
    with path.open("r+b") as stream:
        stream.truncate(1 << 42)
    assert "are on disk, the rest are holes" in refused("run")
    assert "are on disk, the rest are holes" in refused("import", path, "--name", "x")


MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
SIXTIES = "a: 1" + ":59" * 300_000
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "bomb",
    [MERGES, LAUGHS, SIXTIES, "[" * 100_000, "a: " + "x" * (5 << 20)],
    ids=["merges", "laughs", "sixties", "deep", "large"],
)
def test_yaml_that_stands_for_more_than_it_is(home, refused, bomb):
    (home / "config").mkdir()
    (home / "config" / "api_config.yaml").write_text(bomb, "utf-8")
    (home / "config" / "judge_config.yaml").write_text("judge_model: j\nbaseline_model: b\n", "utf-8")
    assert "api_config.yaml" in refused("import", "config", "--output", "new.toml")
    assert not (home / "new.toml").exists()


def test_names_that_no_folder_can_have(home, refused):
    text = CONFIG.replace('"b"', f'"{"b" * 300}"', 1)
    (home / "config.toml").write_text(text, "utf-8")
    for command in (["run"], ["leaderboard"], ["doctor", "--repair"]):
        assert "no bench" in refused(*command)
    refused("import", "data/b", "--name", "b" * 300)
    refused("--data", "d" * 5000, "leaderboard")


def test_a_folder_whose_name_could_move_a_cursor_needs_another_name(home, refused):
    folder = home / "theirs\x1b[31m"
    (home / "data" / "b").replace(folder)
    message = refused("import", folder)
    assert "\x1b" not in message
    assert "cannot name a bench" in message


@pytest.mark.parametrize("pattern", ["A{99999999999999999999}", "(" * 5000 + ")" * 5000, "[["])
def test_a_pattern_of_labels_that_is_out_of_range(home, refused, pattern):
    text = CONFIG.replace("[judge]", f"[judge]\nlabels = '{pattern}'", 1)
    (home / "config.toml").write_text(text, "utf-8")
    assert "labels" in refused("leaderboard")


@pytest.mark.parametrize(
    ("magic", "what"), [(b"\x1f\x8b\x08\0", "gzip"), (b"PAR1\x15\x04", "Parquet"), (b"(\xb5/\xfd$", "zstd")]
)
def test_a_packed_question_set_is_named_as_what_it_is(home, refused, magic, what):
    questions = home / "data" / "b" / "question.jsonl"
    questions.write_bytes(magic + bytes(range(256)) * 4)
    assert what in refused("run")
    assert what in refused("import", "data/b", "--name", "x")
    packed = questions.replace(questions.with_name("question.jsonl.gz" if what == "gzip" else "question.parquet"))
    assert f"{packed.name}" in refused("run")
