"""GPUs as `nvidia-smi` tells them, by a program of that name that reads its numbers from a file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from yard import Yard, carried_out

from engine.run import Run
from engine.serving.gpus import gpu_indices, wait_for_memory


class Driver:
    """The fake program, and the memory in use (MiB of 1000) that it tells for each GPU."""

    def __init__(self, folder: Path) -> None:
        self.numbers = folder / "numbers"
        program = folder / "nvidia-smi"
        program.write_text(f'#!{sys.executable} -S\nprint(open("{self.numbers}").read(), end="")\n')
        program.chmod(0o755)

    def tell(self, *used: int | str) -> None:
        self.numbers.write_text("".join(f"{gpu}, H200, 0, {taken}, 1000, 40, 90\n" for gpu, taken in enumerate(used)))


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    folder = tmp_path / "driver"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Driver(folder)


def test_all_gpus_are_used_unless_the_environment_names_some(driver, monkeypatch):
    driver.tell(0, 0, "[N/A]")
    assert gpu_indices() == [0, 1, 2]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert gpu_indices() == [2, 0]
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpu_indices() is None


async def test_a_start_waits_until_the_memory_of_the_server_before_is_free(driver):
    driver.tell(900, 0)
    waiting = asyncio.create_task(wait_for_memory([0], 0.9, 60, pause=0.05))
    assert await wait_for_memory([1], 0.9, 60) == ""
    await asyncio.sleep(0.2)
    assert not waiting.done()
    driver.tell(50, 0)
    assert await waiting == ""
    driver.tell(900, 0)
    assert await wait_for_memory([0, 1], 0.9, 0) == "90% of the memory of GPU 0 is in use"


async def test_each_server_sees_only_its_gpus_and_a_judge_that_has_its_own_judges_at_once(driver, tmp_path):
    driver.tell(0, 0, 0, 0)
    yard = Yard(tmp_path / "yard")
    models = {name: yard.model(name, latency=0.2) for name in ("judge", "base", "good")}
    models["judge"]["serve"] = {"tensor_parallel": 2}
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", run.state.notices
    assert yard.seen("judge") == "2,3"
    assert {yard.seen("base"), yard.seen("good")} == {"0", "1"}
    assert "--tensor-parallel-size 2" in yard.starts("judge")[0]
    assert {name: server.devices for name, server in run.state.servers.items()}["judge"] == "2,3"
