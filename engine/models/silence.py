"""Notices that a server has fallen silent while calls are out at it.

A reply that is not streamed says nothing until it is whole, which takes many minutes when it is long: silence alone is
no sign of trouble, and a limit on it would kill good calls. So when nothing has come from an endpoint for a while, it
is asked, on another connection, what it is doing. A call is lost when the server does not answer that question several
times over, or when it keeps saying (vLLM's `/metrics`) that it is working on nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import aiohttp

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, fetch
from engine.models.endpoint import Endpoint
from engine.models.metrics import LARGEST_TEXT, parse_metrics

QUESTIONS = 3  # without a good answer, before a call is lost
LONGEST_ANSWER = 10.0  # seconds that one question may take
TASK_NAME = "silence-watch"


class Sign(Enum):
    """What a silent server answers when asked: the value says why a call at it is lost."""

    WORKING = ""
    UNRESPONSIVE = "the server does not answer GET /metrics"
    IDLE = "its /metrics report no running and no waiting request"


class SilenceWatch:
    """The calls that are out at one endpoint, and since when it has said nothing.

    After `quiet` seconds without a word, `ask` is awaited; after QUESTIONS bad answers in a row the calls that were out
    all that time are cancelled, and `lost` tells why. It lives in timers and one task, which end with the last call.
    """

    __slots__ = ("_ask", "_asking", "_heard", "_loop", "_lost", "_out", "_quiet", "_timer")

    def __init__(self, quiet: float, ask: Callable[[], Awaitable[Sign]]) -> None:
        self._quiet = quiet
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._out: dict[asyncio.Task[Any], float] = {}  # the oldest first
        self._lost: dict[asyncio.Task[Any], CallFailed] = {}
        self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    def began(self, call: asyncio.Task[Any], now: float) -> None:
        """The task `call` has sent its request."""
        self._out[call] = now
        if self._timer is None and self._asking is None:
            self._timer = self._loop.call_later(self._quiet, self._look)

    def ended(self, call: asyncio.Task[Any]) -> None:
        """The call of this task is over, in whatever way."""
        del self._out[call]
        self._heard = self._loop.time()
        if not self._out and self._asking is not None:
            self._asking.cancel()

    def lost(self, call: asyncio.Task[Any]) -> CallFailed | None:
        """Why this task, which got a CancelledError, was cancelled from here; None if it was cancelled by others."""
        failure = self._lost.pop(call, None)
        return failure if failure is not None and call.uncancel() == 0 else None

    def _look(self) -> None:
        self._timer = None
        if not self._out:
            return
        silent_since = max(self._heard, next(iter(self._out.values())))
        left = silent_since + self._quiet - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._asking = asyncio.create_task(self._question(silent_since), name=TASK_NAME)

    async def _question(self, silent_since: float) -> None:
        out_all_along = list(self._out)
        bad = 0
        try:
            while bad < QUESTIONS:
                sign = await self._ask()
                if self._heard > silent_since:
                    return
                if sign is Sign.WORKING:
                    self._heard = self._loop.time()
                    return
                bad += 1
                if bad < QUESTIONS:
                    await asyncio.sleep(self._quiet / 6)
            self._lose(out_all_along, self._loop.time() - silent_since, sign)
        finally:
            self._asking = None
            if self._out:
                self._timer = self._loop.call_later(self._quiet, self._look)

    def _lose(self, calls: list[asyncio.Task[Any]], seconds: float, sign: Sign) -> None:
        for call in calls:
            if call in self._out:
                self._lost[call] = CallFailed(
                    FailureKind.TIMEOUT,
                    f"silence for {seconds:.0f} s, and {sign.value}",
                    hint="look at the server's log; `idle_timeout` of this model is the silence that it is allowed",
                )
                call.cancel()


async def ask_server(session: aiohttp.ClientSession, endpoint: Endpoint, limit: float = LONGEST_ANSWER) -> Sign:
    """What the server behind `endpoint` is doing, by its `/metrics`. Any reply at all is a sign of life."""
    url = endpoint.server_url("metrics")
    try:
        status, text = await fetch(session, endpoint, url, time_limit=limit, largest=LARGEST_TEXT)
    except CallFailed:
        return Sign.WORKING
    except FAULTS:
        return Sign.UNRESPONSIVE
    numbers = parse_metrics(text.decode("utf-8", "replace")) if status == 200 else None
    return Sign.IDLE if numbers is not None and numbers.running + numbers.waiting == 0 else Sign.WORKING
