"""`--set`, variables and the common options on real commands: precedence, errors, and what a run records."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from arena_program import SIMULATED

Arena = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def bench(tmp_path: Path, simulator: Callable[..., str]) -> Path:
    """A config with three questions and simulated models that answer at once."""
    address = simulator("--latency", "0")
    names = ("sim-baseline", "sim-strong", "sim-weak", "sim-judge")
    entries = [f'[models.{name}]\nendpoints = [{{ base_url = "{address}" }}]\n' for name in names]
    (tmp_path / "config.toml").write_text(SIMULATED + "".join(entries), "utf-8")
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    questions = ({"question_id": f"q{n}", "turns": [{"content": f"Question {n}?"}]} for n in range(3))
    (folder / "question.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions), "utf-8")
    return folder


def record_of(bench: Path) -> dict[str, dict[str, object]]:
    (file,) = (bench / "runs").glob("*.json")
    return json.loads(file.read_text("utf-8"))


def test_a_flag_wins_over_set_over_a_variable_over_the_file(arena: Arena, bench: Path):
    environ = os.environ | {
        "ARENA_TUI_ANSWERS__MAX_TOKENS": "33",
        "ARENA_TUI_JUDGE__MAX_TOKENS": "44",
        "ARENA_TUI_JUDGE__BASELINE": "sim-weak",
        "ARENA_TUI_MODELS__SIM_STRONG__PARALLEL": "3",
        "ARENA_TUI_RUN_LIMIT": "2",
    }
    done = arena(
        *("--set", "judge.max_tokens=55", "--set", "judge.baseline=sim-judge", "run", "--set", "judge.retries=1"),
        *("--baseline", "sim-strong"),
        cwd=bench.parent.parent,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    record = record_of(bench)
    assert record["config"]["judge"]["max_tokens"] == 55
    assert record["config"]["judge"]["retries"] == 1
    assert record["config"]["answers"]["max_tokens"] == 33
    assert record["config"]["models"]["sim-strong"]["parallel"] == 3
    assert record["config"]["judge"]["baseline"] == ["sim-strong"]
    assert record["scope"]["limit"] == 2
    assert record["set"] == {
        "answers.max_tokens": "ARENA_TUI_ANSWERS__MAX_TOKENS",
        "judge.baseline": "--set",
        "judge.max_tokens": "--set",
        "judge.retries": "--set",
        "models.sim-strong.parallel": "ARENA_TUI_MODELS__SIM_STRONG__PARALLEL",
    }


def test_an_option_wins_over_its_variable(arena: Arena, bench: Path):
    environ = os.environ | {"ARENA_TUI_RUN_LIMIT": "2", "ARENA_TUI_RUN_STAGE": "answers"}
    done = arena("run", "--limit", "1", cwd=bench.parent.parent, env=environ)
    assert done.returncode == 0, done.stderr
    record = record_of(bench)
    assert (record["scope"]["limit"], record["scope"]["judgments"]) == (1, False)


def test_the_config_and_the_data_folder_may_be_named_after_the_command(arena: Arena, bench: Path, tmp_path: Path):
    (tmp_path / "config.toml").rename(tmp_path / "other.toml")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    done = arena("run", "-c", tmp_path / "other.toml", "--data", tmp_path / "elsewhere", "--dry-run", cwd="/")
    assert done.returncode == 0, done.stderr
    variables = {"ARENA_TUI_CONFIG": str(tmp_path / "other.toml"), "ARENA_TUI_DATA": "elsewhere"}
    again = arena("run", "--dry-run", cwd="/", env=os.environ | variables)
    assert (again.returncode, again.stdout) == (0, done.stdout)


@pytest.mark.parametrize(
    ("command", "variables", "says"),
    [
        ("run --set judge.max_tokens=0", {}, "judge.max_tokens (--set): must be at least 1, not 0"),
        ("runs --set judge.max_token=9", {}, 'judge.max_token (--set): unknown key (did you mean "max_tokens"?)'),
        ("export --to csv --set models.sim-stong.rate=9", {}, "models.sim-stong (--set): no such model in the config"),
        ("leaderboard --set judge", {}, '--set: "judge" is no KEY=VALUE'),
        ("audit", {"ARENA_TUI_JUGDE__RETRIES": "1"}, "jugde (ARENA_TUI_JUGDE__RETRIES): unknown key"),
        ("compare", {"ARENA_TUI_JUDGE__RETRIES": "[1"}, "ARENA_TUI_JUDGE__RETRIES: the value is not TOML"),
    ],
)
def test_a_wrong_value_ends_a_command_with_its_key_and_origin(
    arena: Arena, bench: Path, command: str, variables: dict[str, str], says: str
):
    done = arena(*command.split(), cwd=bench.parent.parent, env=os.environ | variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_value_that_no_command_reads_is_still_checked(arena: Arena, tmp_path: Path):
    done = arena("import", tmp_path, "--set", "judge.max_tokens", cwd=tmp_path)
    assert done.returncode == 2
    assert "is no KEY=VALUE" in done.stderr


def test_the_demo_takes_values_too(arena: Arena, tmp_path: Path):
    done = arena("--demo", "--set", "answers.max_tokens=77", "run", "--limit", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path / "data" / "demo")
    assert record["config"]["answers"]["max_tokens"] == 77
