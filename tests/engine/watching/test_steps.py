"""The step of a checkpoint: from its name, its trainer's state, the config, or the file of a watch."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.layout import BenchPaths
from engine.checkpoint_names import series_of_name, step_of_name
from engine.config.load import parse_config
from engine.watching.ledger import WatchedCheckpoint, known_steps, load_checkpoints, register_checkpoint
from engine.watching.steps import step_in_folder, step_of


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-1500", 1500),
        ("step_200", 200),
        ("global_step300", 300),
        ("global_step_300", 300),
        ("global_step300_hf", 300),
        ("iter_0000500", 500),
        ("tulu3-8b-rank64-alpha1e5-001-step12000", 12000),
        ("run/checkpoint-20-merged", 20),
        ("run-step12k", 12_000),
        ("1500", 1500),
        ("Checkpoint_7", 7),
        ("checkpoint-2/step-9", 9),
        ("qwen2.5-7b", None),
        ("timestep5", None),
        ("step1.5", None),
        ("checkpoint-best", None),
        ("stepwise-3", None),
        ("", None),
        ("step" + "9" * 15, None),
    ],
)
def test_names_say_their_step(name, step):
    assert step_of_name(name) == step


@given(st.text())
def test_any_name_is_read(name):
    found = step_of_name(name)
    assert found is None or found >= 0


@given(st.integers(0, 10**11), st.sampled_from(["checkpoint-", "step_", "global_step", "x-iter_000"]))
def test_every_step_is_read_as_it_is_written(step, prefix):
    assert step_of_name(f"{prefix}{step}") == step


@pytest.mark.parametrize("content", ["", "[1]", '{"global_step": "7"}', '{"global_step": true}', '{"global_step": -1}'])
def test_a_state_without_a_step_says_none(tmp_path, content):
    (tmp_path / "trainer_state.json").write_text(content)
    assert step_in_folder(tmp_path) is None


def test_the_trainer_knows_better_than_a_name(tmp_path):
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    assert step_of("run", folder) == 3
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 30, "log_history": []}))
    assert step_of("run", folder) == 30


def test_steps_of_a_bench_come_from_the_config_the_watch_the_folder_and_the_name(tmp_path):
    paths = BenchPaths(tmp_path / "data" / "b")
    paths.root.mkdir(parents=True)
    folder = tmp_path / "best"
    folder.mkdir()
    (folder / "trainer_state.json").write_text('{"global_step": 40}')
    config = parse_config(
        {
            "bench": "b",
            "judge": {"model": "j", "baseline": "base"},
            "models": {"j": {}, "base": {}, "given-step9": {"step": 8}, "kept": {"model": str(folder)}},
        },
        tmp_path / "config.toml",
    )
    register_checkpoint(paths, WatchedCheckpoint("deleted", str(tmp_path / "gone"), "model", step=70, tstamp=1.0))
    register_checkpoint(paths, WatchedCheckpoint("deleted-step5", str(tmp_path / "gone"), "adapter", tstamp=1.0))
    models = ["base", "given-step9", "kept", "deleted", "deleted-step5", "named-step6"]
    assert known_steps(paths, models, config) == {
        "given-step9": 8, "kept": 40, "deleted": 70, "deleted-step5": 5, "named-step6": 6,
    }  # fmt: skip


def test_a_checkpoint_is_registered_once_and_its_last_line_counts(tmp_path):
    paths = BenchPaths(tmp_path)
    first = WatchedCheckpoint("a", "/a", "model", step=1, tstamp=1.0)
    for each in (
        first,
        WatchedCheckpoint("a", "/a", "model", step=1, tstamp=2.0),
        WatchedCheckpoint("b", "/b", "model"),
    ):
        register_checkpoint(paths, each)
    assert len(paths.watched.read_text().splitlines()) == 2
    register_checkpoint(paths, WatchedCheckpoint("a", "/a", "model", step=2))
    assert load_checkpoints(paths)["a"].step == 2
    paths.watched.open("a").write('{"model": 1}\nnonsense\n')
    assert list(load_checkpoints(paths)) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("checkpoint-1500", ""),
        ("1500", ""),
        ("tulu3-8b-rank64-alpha1e5-001-step12000", "tulu3-8b-rank64-alpha1e5-001"),
        ("run/checkpoint-20-merged", "run-merged"),
        ("run-step12k", "run"),
        ("qwen2.5-7b", None),
    ],
)
def test_the_name_without_its_step_is_the_name_of_the_training(name: str, series: str | None) -> None:
    assert series_of_name(name) == series


def test_epochs_are_steps_and_a_space_or_a_dot_may_stand_before_the_number():
    assert [step_of_name(name) for name in ("epoch-3", "run step 7", "ckpt.40")] == [3, 7, 40]
