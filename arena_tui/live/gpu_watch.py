"""How busy the GPUs of this machine are, as `nvidia-smi` tells; on a machine without it there is nothing to watch."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import msgspec

ASK_SECONDS = 2.0
_QUERY = (
    "--query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw",
    "--format=csv,noheader,nounits",
)


class Gpu(msgspec.Struct, frozen=True):
    """One GPU now. `busy` in percent, memory in MiB; what the driver does not tell is None."""

    index: int
    name: str
    busy: float | None
    used: float | None
    total: float | None
    celsius: float | None = None
    watts: float | None = None


class GpuWatch:
    """The GPUs as they were a moment ago."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = ()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask, if there is anything to ask."""
        if self._watching is None and (program := shutil.which("nvidia-smi")):
            self._watching = asyncio.create_task(self._watch(program))

    def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self, program: str) -> None:
        while True:
            self.gpus = await _ask(program)
            await asyncio.sleep(ASK_SECONDS)


async def _ask(program: str) -> tuple[Gpu, ...]:
    process = await asyncio.create_subprocess_exec(
        program, *_QUERY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return tuple(read_gpus(told.decode("utf-8", "replace"))) if process.returncode == 0 else ()


def read_gpus(told: str) -> Iterator[Gpu]:
    """The GPUs in the output of `nvidia-smi`; lines that are not understood are passed over."""
    for line in told.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 7 and cells[0].isdecimal():
            yield Gpu(int(cells[0]), cells[1], *map(_number, cells[2:]))


def _number(cell: str) -> float | None:
    """`[N/A]` and the like are None: a MIG slice tells no use, a laptop no power."""
    try:
        return float(cell)
    except ValueError:
        return None
