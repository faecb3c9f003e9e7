"""The GPUs of this machine as `nvidia-smi` reports them: which exist, how busy they are, how much memory is in use.

`nvidia-smi` rather than NVML: it is installed with every driver, runs outside this process (a driver that hangs cannot
block the event loop), and people can run the same query.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence

import msgspec

from engine.errors import ArenaError

QUERY_SECONDS = 20.0  # after which a query has failed
_FIELDS = "index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw"


class Gpu(msgspec.Struct, frozen=True):
    """One GPU now: load in percent, memory in MiB; a value that the driver does not report is None."""

    index: int
    name: str
    load: float | None
    used: float | None
    total: float | None
    celsius: float | None = None
    watts: float | None = None

    @property
    def used_share(self) -> float:
        """The share (0..1) of the memory that is in use; 0 if not reported (a MIG slice)."""
        return self.used / self.total if self.used is not None and self.total else 0.0


class GpuQueryFailed(ArenaError):
    """`nvidia-smi` exists and cannot be run."""


def has_driver() -> bool:
    """Return whether `nvidia-smi` is installed."""
    return shutil.which("nvidia-smi") is not None


def query_gpus(timeout: float = QUERY_SECONDS) -> list[Gpu]:
    """Return all GPUs; none without `nvidia-smi`. Blocks: call it in a thread. Raises GpuQueryFailed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise GpuQueryFailed(f"nvidia-smi failed: {error}", "check the driver") from error
    return read_gpus(done.stdout.decode("utf-8", "replace"))


def read_gpus(output: str) -> list[Gpu]:
    """Parse the output of the query; lines of another form are skipped."""
    rows = ([cell.strip() for cell in line.split(",")] for line in output.splitlines())
    return [Gpu(int(row[0]), row[1], *map(_number, row[2:])) for row in rows if len(row) == 7 and row[0].isdecimal()]


def gpu_indices() -> list[int] | None:
    """Return the GPUs that this process may use; None on a machine without any. Blocks: call it in a thread."""
    present = {gpu.index for gpu in _gpus_or_none()}
    if not present:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = [int(part) for part in (visible or "").split(",") if part.strip().isdecimal()]
    return [gpu for gpu in chosen if gpu in present] if visible is not None and chosen else sorted(present)


async def wait_for_memory(devices: Sequence[int], share: float, seconds: float, pause: float = 1.0) -> str:
    """Wait at most `seconds` until `share` of each GPU's memory is free; return what is in use if it is not.

    A process that was killed a moment ago releases its memory a little later.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        used = {gpu.index: gpu.used_share for gpu in await asyncio.to_thread(_gpus_or_none)}
        full = {gpu: used[gpu] for gpu in devices if gpu in used and used[gpu] + share > 1.0 + 1e-3}
        if not full:
            return ""
        if loop.time() >= deadline:
            return ", ".join(f"{part:.0%} of the memory of GPU {gpu} is in use" for gpu, part in full.items())
        await asyncio.sleep(pause)


def _gpus_or_none() -> list[Gpu]:
    try:
        return query_gpus()
    except GpuQueryFailed:
        return []


def _number(cell: str) -> float | None:
    """Return a number; None for `[N/A]` and the like (a MIG slice reports no load, a laptop no power)."""
    try:
        return float(cell)
    except ValueError:
        return None
