"""`arena-tui export` as its users meet it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from arena_program import ARENA
from hub_server import TOKEN, hub_server

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
        ("arena-hard-csv", "demo-arena-hard.csv"),
        ("lm-eval", "demo-lm-eval/sim-tiny"),
        ("model-index", "demo-model-index/sim-tiny/model-index.yaml"),
        ("every-eval-ever", "demo-every-eval-ever/data/demo/unknown/sim-tiny"),
        ("datasets", "demo-datasets/data/games.parquet"),
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


def test_a_folder_is_pushed_only_on_request_and_comes_back_from_the_hub(home, arena, tmp_path):
    with hub_server({}) as hub:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        env = {**clean, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        out = tmp_path / "out"
        to_hub = ("export", "--to", "datasets", "--out", out, "--force", "--push", "me/results")
        refused = arena(*to_hub, cwd=home, env=env)
        assert refused.returncode == 2
        assert "HF_TOKEN" in refused.stderr
        assert not out.exists()
        assert hub.repositories == {}
        plain = arena("export", "--to", "datasets", "--out", out, cwd=home, env={**env, "HF_TOKEN": TOKEN})
        assert plain.returncode == 0, plain.stderr
        assert hub.repositories == {}
        pushed = arena(*to_hub, cwd=home, env={**env, "HF_TOKEN": TOKEN})
        assert pushed.returncode == 0, pushed.stderr
        assert f"{hub.url}/datasets/me/results/commit/" in pushed.stdout
        assert TOKEN not in pushed.stdout + pushed.stderr
        held = hub.repositories["me/results"]
        assert held.private
        assert held.files["README.md"] == (out / "README.md").read_bytes()
        add = ("--data", tmp_path / "data", "bench", "add", "hub:me/results", "--subset", "questions", "--yes")
        back = arena(*add, cwd=home, env={**env, "HF_TOKEN": TOKEN})
        assert back.returncode == 0, back.stderr
        assert len((tmp_path / "data" / "results-questions" / "question.jsonl").read_text().splitlines()) == 48


def test_one_file_is_not_pushed(home, arena):
    done = arena("export", "--to", "csv", "--push", "me/results", cwd=home)
    assert done.returncode == 2
    assert "datasets" in done.stderr


def test_the_data_set_folder_is_loaded_by_the_library_it_is_made_for(home, arena, tmp_path):
    python = os.environ.get("ARENA_TUI_DATASETS")
    if not python:
        pytest.skip("set ARENA_TUI_DATASETS to the Python of an environment with the library `datasets` (400 MB)")
    assert arena("export", "--to", "datasets", "--out", tmp_path / "out", cwd=home).returncode == 0
    script = (
        "import sys, json, datasets\n"
        "load = lambda name: datasets.load_dataset(sys.argv[1], name, split='test')\n"
        "names = datasets.get_dataset_config_names(sys.argv[1])\n"
        "print(json.dumps({name: [len(load(name)), load(name)[0]] for name in names}))\n"
    )
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    command = [python, "-c", script, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=env)
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: rows for name, (rows, _) in found.items()} == {
        "games": 480, "questions": 48, "answers": 288, "leaderboard": 6,
    }  # fmt: skip
    assert found["leaderboard"][1]["rank"] == 1
