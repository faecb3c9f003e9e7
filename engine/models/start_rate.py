"""A bound on how many calls are started per second at one endpoint."""

from __future__ import annotations

import asyncio

from asyncio_throttle.throttler import Throttler

WINDOW = 0.2  # seconds: calls start in small groups instead of a second's worth at once


class StartRate:
    """At most `rate` starts in any second, in the order of asking; `None` is no bound.

    asyncio-throttle's waiters poll, so only one waits on it at a time and the others wait for that one: a thousand
    waiters would otherwise take most of a core and be served unfairly.
    """

    def __init__(self, rate: float | None) -> None:
        self._turn = asyncio.Lock()
        self._throttler: Throttler | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._interrupted = False
        self.set_rate(rate)

    def set_rate(self, rate: float | None) -> None:
        """Change the bound, also for a call that waits already."""
        if rate is None:
            self._throttler = None
        else:
            starts = max(1, int(rate * WINDOW))
            self._throttler = Throttler(rate_limit=starts, period=starts / rate)
        self._wake()

    async def wait(self) -> bool:
        """Wait until a call may start. False when `interrupt` was called meanwhile: it must not."""
        if self._throttler is None:
            return not self._interrupted
        async with self._turn:
            while self._throttler is not None and not self._interrupted:
                self._waiting = asyncio.ensure_future(self._throttler.acquire())  # type: ignore[no-untyped-call]
                try:
                    await self._waiting
                except asyncio.CancelledError:
                    if _being_cancelled():
                        raise
                else:
                    break
                finally:
                    self._waiting = None
        return not self._interrupted

    def interrupt(self) -> None:
        """Let nobody wait any longer, now or later."""
        self._interrupted = True
        self._wake()

    def _wake(self) -> None:
        """Let the call that waits look again at what holds."""
        if self._waiting is not None:
            self._waiting.cancel()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
