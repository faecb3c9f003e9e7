"""On which GPUs checkpoints are evaluated, beside a training that has some of them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from training import Training, adapter_checkpoint, model_checkpoint

from engine.checkpoints.servers import idle_gpus


class Driver:
    """A fake `nvidia-smi`, and the memory in use (MiB of 1000) that it reports for each GPU."""

    def __init__(self, folder: Path) -> None:
        self.numbers = folder / "numbers"
        program = folder / "nvidia-smi"
        program.write_text(f'#!{sys.executable} -S\nprint(open("{self.numbers}").read(), end="")\n')
        program.chmod(0o755)

    def report(self, *used: int, load: int = 0) -> None:
        self.numbers.write_text(
            "".join(f"{gpu}, H200, {load}, {taken}, 1000, 40, 90\n" for gpu, taken in enumerate(used))
        )


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    folder = tmp_path / "driver"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Driver(folder)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def test_gpus_that_are_used_or_hidden_are_not_idle(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.report(900, 0, 20, 150)
    assert idle_gpus(set()) == [1, 2]
    assert idle_gpus({3}) == [1, 2, 3]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert idle_gpus(set()) == [2]
    driver.report(0, 0, load=80)
    assert idle_gpus(set()) == []
    monkeypatch.setenv("PATH", "/nowhere")
    assert idle_gpus(set()) is None


def seen_by(folder: Path) -> str:
    return (folder / "gpus").read_text()


async def test_without_named_gpus_the_idle_ones_are_used_and_waited_for(training: Training, driver: Driver) -> None:
    driver.report(900, 900, 900)
    adapter_checkpoint(training.runs / "checkpoint-1")
    watch = training.watch(like="base")
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(60):
        while not any("no GPU is idle" in text for text in training.said):
            await asyncio.sleep(0.05)
    assert training.starts("judge") == 0
    driver.report(900, 900, 0)
    async with asyncio.timeout(120):
        await running
    assert [each.state for each in watch.reports.values()] == ["evaluated"]
    assert seen_by(training.folder / "models" / "judge") == seen_by(training.folder / "models" / "base") == "2"


async def test_named_gpus_are_used_alone_and_a_model_goes_beside_the_judge_that_stays(
    training: Training, driver: Driver
) -> None:
    driver.report(0, 0, 0)
    for entry in training.models.values():
        entry["serve"]["memory"] = 0.9
    folders = [model_checkpoint(training.runs / f"step_{n}", values=bytes([n] * 8)) for n in (1, 2)]
    reports = await training.watched(like="base", gpus=(1, 2))
    assert [each.state for each in reports] == ["evaluated", "evaluated"]
    judge = seen_by(training.folder / "models" / "judge")
    assert training.starts("judge") == 1
    assert {judge, *map(seen_by, folders)} == {"1", "2"}
    assert judge not in map(seen_by, folders)


async def test_on_one_gpu_a_model_and_the_judge_take_turns(training: Training, driver: Driver) -> None:
    driver.report(0)
    for entry in training.models.values():
        entry["serve"]["memory"] = 0.9
    model_checkpoint(training.runs / "step_1")
    (report,) = await training.watched(like="base", gpus=(0,))
    assert report.state == "evaluated", report


async def test_servers_take_the_share_of_memory_and_stand_back_as_they_are_told(
    training: Training, driver: Driver
) -> None:
    driver.report(700)
    adapter_checkpoint(training.runs / "checkpoint-1")
    watch = training.watch(like="base", gpus=(0,), memory=0.1, nice=7, once=False)
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(120):
        while not any(each.state == "evaluated" for each in watch.reports.values()):
            await asyncio.sleep(0.05)
    (start,) = (training.folder / "models" / "base" / "starts").read_text().splitlines()
    assert "--gpu-memory-utilization 0.1" in start
    assert os.getpriority(os.PRIO_PROCESS, int(start.split()[0])) >= 7
    watch.stop()
    await running
