"""How busy the GPUs of this machine are, asked of `nvidia-smi` while the UI is open; without it nothing is watched."""

from __future__ import annotations

import asyncio

from engine.serving.gpus import Gpu, GpuQueryFailed, has_driver, query_gpus

PAUSE_SECONDS = 2.0
QUERY_SECONDS = 5.0  # a driver that hangs delays the end of the UI no longer


class GpuWatch:
    """The GPUs as they were a moment ago."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = ()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start watching if there is a driver to ask."""
        if self._watching is None and has_driver():
            self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            try:
                self.gpus = tuple(await asyncio.to_thread(query_gpus, QUERY_SECONDS))
            except GpuQueryFailed:
                self.gpus = ()
            await asyncio.sleep(PAUSE_SECONDS)
