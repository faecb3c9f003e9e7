"""The GPUs of this machine, as `nvidia-smi` tells: which there are, and how much of their memory is taken."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence

ASK_LIMIT = 20.0  # seconds


def gpu_indices() -> list[int] | None:
    """The GPUs that this process may use; None on a machine without any. Calls a program: not for the event loop."""
    taken = _ask()
    if not taken:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = [int(part) for part in (visible or "").split(",") if part.strip().isdecimal()]
    return [gpu for gpu in chosen if gpu in taken] if visible is not None and chosen else sorted(taken)


async def wait_for_memory(devices: Sequence[int], share: float, seconds: float, pause: float = 1.0) -> str:
    """Wait until a part of `share` is free on each of the GPUs, at most `seconds`; returns what is wrong, if it is not.

    A process that was killed a moment ago gives its memory back a little later.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        taken = await asyncio.to_thread(_ask)
        full = {gpu: taken[gpu] for gpu in devices if gpu in taken and taken[gpu] + share > 1.0 + 1e-3}
        if not full:
            return ""
        if loop.time() >= deadline:
            return ", ".join(f"{part:.0%} of GPU {gpu}'s memory is taken" for gpu, part in full.items())
        await asyncio.sleep(pause)


def _ask() -> dict[int, float]:
    """The taken part (0..1) of each GPU's memory."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    query = [program, "--query-gpu=index,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=ASK_LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    taken = {}
    for line in told.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 3 and cells[0].isdecimal():
            try:
                taken[int(cells[0])] = float(cells[1]) / float(cells[2])
            except (ValueError, ZeroDivisionError):  # a MIG slice tells no memory
                taken[int(cells[0])] = 0.0
    return taken
