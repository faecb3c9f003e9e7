"""A watch sends curves to trackers as they grow, and a notice of the first plateau of each training."""

from __future__ import annotations

import asyncio
import json
import sys

from test_until_command import write_bench

from arena_tui.commands.watch_reporting import watch_reporting
from engine.config.load import load_config
from engine.run import Run
from engine.work.plan import Scope


def test_a_training_that_got_worse_is_a_plateau_that_is_reported_once(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    text = config.read_text("utf-8")
    for step, name in ((1000, "sim-strong"), (2000, "sim-tiny")):
        text = text.replace(f'[models."{name}"]\n', f'[models."{name}"]\nstep = {step}\n')
    file = tmp_path / "notices.jsonl"
    command = [sys.executable, "-c", f"import sys; open({str(file)!r}, 'a').write(sys.stdin.read() + '\\n')"]
    config.write_text(text + f'[notify]\non = ["plateaued"]\ncommand = {json.dumps(command)}\n', "utf-8")

    async def watch() -> None:
        loaded = load_config(config)
        async with watch_reporting(loaded) as reporting:
            run = Run(loaded, Scope(limit=60))
            reporting.attach(run)
            await run.execute()
            for _ in range(2):
                await reporting.add_curves()

    asyncio.run(watch())
    (notice,) = (json.loads(line) for line in file.read_text("utf-8").splitlines())
    assert (notice["kind"], notice["step"]) == ("plateaued", 1000)
    assert "no step after 1,000 is better by 2 points" in notice["text"]


def test_without_targets_nothing_is_attached(tmp_path, simulator):
    config = load_config(write_bench(tmp_path, simulator("--latency", "0")))

    async def attached() -> bool:
        async with watch_reporting(config) as reporting:
            run = Run(config)
            reporting.attach(run)
            await reporting.add_curves()
            return run.reporting is not None

    assert not asyncio.run(attached())
