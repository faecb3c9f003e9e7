"""`arena-tui export` as its users meet it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from arena_program import ARENA

CONFIG = """
bench = "demo"
[judge]
model = "sim-judge"
baseline = "sim-baseline"
[models.sim-judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1", api_key = "${NOT_SET_ANYWHERE}" }]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a judged bench and a config."""
    folder = tmp_path_factory.mktemp("home")
    command = [*ARENA, "--data", str(folder / "data"), "--demo", "--no-ui"]
    subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=True)
    (folder / "config.toml").write_text(CONFIG)
    return folder


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("arena-hard-v0.1", "demo-arena-hard-v0.1/model_judgment/sim-judge/sim-tiny.jsonl"),
        ("arena-hard-v2", "demo-arena-hard-v2/model_answer/sim-baseline.jsonl"),
        ("alpaca-eval", "demo-alpaca-eval/sim-tiny/model_outputs.json"),
        ("csv", "demo.csv"),
        ("parquet", "demo.parquet"),
        ("html", "demo.html"),
    ],
)
def test_each_format_is_written_where_the_program_was_called(home, arena, form, place):
    done = arena("export", "--to", form, cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(place.partition("/")[0] + "\n")
    assert (home / place).stat().st_size > 0


def test_nothing_is_overwritten_without_force(home, arena, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    refused = arena("export", "--to", "csv", "--out", tmp_path / "out.csv", cwd=home)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert arena("export", "--to", "csv", "--out", tmp_path / "out.csv", "--force", cwd=home).returncode == 0


def test_a_bench_that_went_out_and_came_back_prints_the_same_leaderboard(home, arena, tmp_path):
    assert arena("export", "--to", "arena-hard-v2", "--out", tmp_path / "out", cwd=home).returncode == 0
    assert arena("--data", tmp_path / "data", "import", tmp_path / "out", "--name", "demo", cwd=home).returncode == 0
    own = arena("leaderboard", "--format", "json", cwd=home)
    back = arena("--data", tmp_path / "data", "leaderboard", "--format", "json", cwd=home)
    first, second = json.loads(own.stdout), json.loads(back.stdout)
    assert first["rows"] == second["rows"]
    assert first["evidence"] == second["evidence"]
    assert second["warnings"] == []


def test_a_judge_without_judgments_is_reported(home, arena, tmp_path):
    done = arena("export", "--to", "csv", "--judge", "sim-jugde", "--out", tmp_path / "x.csv", cwd=home)
    assert done.returncode == 2
    assert "did you mean 'sim-judge'?" in done.stderr
