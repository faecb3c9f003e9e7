"""`arena-tui doctor --repair` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock

CONFIG = """
bench = "b"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1", api_key = "${NOT_SET_ANYWHERE}" }]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a config and a bench with damage, one of the lines hostile to terminals."""
    (tmp_path / "config.toml").write_text(CONFIG)
    answers = tmp_path / "data" / "b" / "model_answer"
    answers.mkdir(parents=True)
    record = json.dumps({"question_id": "q", "choices": [{"turns": [{"content": "text"}]}]})
    bad = record.replace("text", "$ERROR$")
    (answers.parent / "question.jsonl").write_text('{"question_id": "q", "turns": [{"content": "why?"}]}\n')
    (answers / "base.jsonl").write_bytes(f"{record}{record}\n\x1b]0;owned\x07\x1b[2J\n{bad}\n".encode())
    return tmp_path


def test_the_dry_view_shows_what_the_repair_then_does_and_what_stays(home, arena):
    path = home / "data" / "b" / "model_answer" / "base.jsonl"
    before = path.read_bytes()
    seen = arena("doctor", "--repair", "--dry-run", cwd=home)
    assert seen.returncode == 0, seen.stderr
    assert path.read_bytes() == before
    done = arena("doctor", "--repair", cwd=home)
    assert done.returncode == 0, done.stderr
    damage = [line for line in done.stdout.split("\n") if line.startswith("damage")]
    assert damage == [line for line in seen.stdout.split("\n") if line.startswith("damage")]
    assert len(damage) == 2
    assert "base.jsonl:1: 2 whole records run together" in damage[0]
    assert "base.jsonl:2: not JSON" in damage[1]
    assert "(original: base.jsonl.bak)" in done.stdout
    assert "stays   " in done.stdout
    assert "$ERROR$ stands in place of an answer" in done.stdout
    assert "\x1b" not in done.stdout + seen.stdout
    assert path.with_name("base.jsonl.bak").read_bytes() == before
    assert "no file of the bench is damaged" in arena("doctor", "--repair", cwd=home).stdout


def test_the_repair_does_not_wait_and_refuses_while_a_run_writes(home, arena):
    before = (home / "data" / "b" / "model_answer" / "base.jsonl").read_bytes()
    with BenchLock(BenchPaths(home / "data" / "b")):
        refused = arena("doctor", "--repair", cwd=home)
    assert refused.returncode == 2
    assert "another process is writing to the bench b" in refused.stderr
    assert (home / "data" / "b" / "model_answer" / "base.jsonl").read_bytes() == before


def test_the_plain_doctor_tells_of_damage_and_what_mends_it(home, arena):
    (home / "config.toml").write_text(CONFIG.replace(', api_key = "${NOT_SET_ANYWHERE}"', ""))
    done = arena("doctor", cwd=home)
    assert "base.jsonl:1: 2 whole records run together" in done.stdout
    assert "doctor --repair" in done.stdout
    assert "\x1b" not in done.stdout
