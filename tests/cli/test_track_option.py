"""`leaderboard --track` and `curve --track` send what they print to the trackers of the config."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from test_until_command import write_bench


def with_table(config: Path, table: str) -> Path:
    config.write_text(config.read_text("utf-8") + table, "utf-8")
    return config


def test_without_a_tracker_in_the_config_it_is_wrong_usage(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    assert arena("-c", config, "run", "--limit", "5").returncode == 0
    done = arena("-c", config, "leaderboard", "--track")
    assert done.returncode == 2
    assert "the config names no tracker" in done.stderr


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorboard", "tensorboardX")),
    reason="not installed here: tensorboard, tensorboardX",
)
def test_a_leaderboard_and_a_curve_are_sent_beside_being_printed(tmp_path, arena, simulator):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = write_bench(tmp_path, simulator("--latency", "0"))
    assert arena("-c", config, "run", "--limit", "5").returncode == 0
    text = config.read_text("utf-8")
    for number, name in enumerate(("sim-strong", "sim-tiny"), start=1):
        text = text.replace(f'[models."{name}"]\n', f'[models."{name}"]\nstep = {1000 * number}\n')
    config.write_text(text, "utf-8")
    with_table(config, '[track]\nto = ["tensorboard"]\nrun = "r"\nlimit = 120.0\n')
    for command in ("leaderboard", "curve"):
        done = arena("-c", config, command, "--track")
        assert done.returncode == 0, done.stderr
        assert "[track]" not in done.stderr
        assert "sim-strong" in done.stdout or "step 1,000" in done.stdout
    events = EventAccumulator(str(tmp_path / "data" / "small" / "tensorboard" / "r"))
    events.Reload()
    assert {each.step for each in events.Scalars("arena/score")} == {1000, 2000}
    assert {each.step for each in events.Scalars("arena/curve_low")} == {1000, 2000}
    assert "arena/keep_step" in events.Tags()["scalars"]
