"""Detects unresponsive servers while calls are in flight there.

A reply that is not streamed sends nothing until it is complete, which takes many minutes when it is long: silence alone
is no fault, and a limit on it would end good calls. So when no reply has arrived from an endpoint for a while, its
`/metrics` are requested on another connection. A call is lost when nothing accepts that connection several times in a
row, or when the numbers of vLLM keep saying that the server works on no request. No answer to it loses the call only at
a server that answered such a request before while it was busy: others do one thing at a time.
"""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import aiohttp

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, failure_of, fetch
from engine.models.endpoint import Endpoint
from engine.models.metrics import LARGEST_TEXT, parse_metrics

PROBES = 3  # without a good result, before a call is lost
LONGEST_PROBE = 10.0  # seconds
UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)
TASK_NAME = "silence-watch"


class Activity(Enum):
    """What a probe of a silent server finds; the value says why a call there is lost."""

    WORKING = ""
    GONE = "nothing accepts connections there any more"
    UNRESPONSIVE = "the server does not answer GET /metrics"
    IDLE = "its /metrics report no running and no waiting request"


class SilenceWatch:
    """The calls in flight at one endpoint, and the time of its last reply.

    After `quiet` seconds without a reply, `probe` is awaited; after PROBES bad results in a row the calls that were in
    flight all that time are cancelled, and `lost` returns the reason. So is a call that takes longer than `limit`
    seconds: one timer for all calls costs less than one for each. Timers and the one task end with the last call.
    """

    __slots__ = (
        "_answers_while_busy",
        "_deadline",
        "_in_flight",
        "_last_reply",
        "_limit",
        "_loop",
        "_lost",
        "_probe",
        "_probing",
        "_quiet",
        "_timer",
    )

    def __init__(self, quiet: float, probe: Callable[[], Awaitable[Activity]], limit: float = math.inf) -> None:
        self._quiet = quiet
        self._limit = limit
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[asyncio.Task[Any], float] = {}  # oldest first
        self._lost: dict[asyncio.Task[Any], CallFailed] = {}
        self._last_reply = self._loop.time()
        self._answers_while_busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._probing: asyncio.Task[None] | None = None

    def began(self, call: asyncio.Task[Any], now: float) -> None:
        """Note that the task `call` has sent its request."""
        self._in_flight[call] = now
        if self._timer is None and self._probing is None:
            self._timer = self._loop.call_later(self._quiet, self._check)
        if self._deadline is None and self._limit < math.inf:
            self._deadline = self._loop.call_later(self._limit, self._end_overdue)

    def ended(self, call: asyncio.Task[Any]) -> None:
        """Note that the request of this task has ended."""
        del self._in_flight[call]
        if self._lost:
            self._lost.pop(call, None)  # it ended in the moment in which it was cancelled
        self.heard()
        if not self._in_flight and self._probing is not None:
            self._probing.cancel()

    def heard(self) -> None:
        """Note that a reply, or a part of one, has arrived."""
        self._last_reply = self._loop.time()

    def answered(self, asked: float) -> None:
        """Note that the server answered another request, sent at `asked`, meanwhile."""
        oldest = next(iter(self._in_flight.values()), math.inf)
        if oldest < asked and self._last_reply < asked:  # no call was answered in between
            self._answers_while_busy = True

    def lost(self, call: asyncio.Task[Any]) -> CallFailed | None:
        """Return why this task, which got a CancelledError, was cancelled from here; None if by other code."""
        failure = self._lost.pop(call, None)
        return failure if failure is not None and call.uncancel() == 0 else None

    def _check(self) -> None:
        self._timer = None
        if not self._in_flight:
            return
        silent_since = max(self._last_reply, next(iter(self._in_flight.values())))
        left = silent_since + self._quiet - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._probing = asyncio.create_task(self._probe_server(silent_since), name=TASK_NAME)

    def _end_overdue(self) -> None:
        """Cancel the calls that take longer than `limit`, and wait for the next one that may."""
        self._deadline = None
        now = self._loop.time()
        for call, began in self._in_flight.items():
            left = began + self._limit - now
            if left > 0:
                self._deadline = self._loop.call_later(left, self._end_overdue)
                return
            if call not in self._lost:
                self._lost[call] = failure_of(TimeoutError(), now - began)
                call.cancel()

    async def _probe_server(self, silent_since: float) -> None:
        suspects = list(self._in_flight)
        bad = 0
        try:
            while bad < PROBES:
                asked = self._loop.time()
                activity = await self._probe()
                if activity in (Activity.WORKING, Activity.IDLE):
                    self.answered(asked)
                if self._last_reply > silent_since:
                    return
                if activity is Activity.WORKING or (activity is Activity.UNRESPONSIVE and not self._answers_while_busy):
                    self._last_reply = self._loop.time()
                    return
                bad += 1
                if bad < PROBES:
                    await asyncio.sleep(self._quiet / 6)
            self._lose(suspects, self._loop.time() - silent_since, activity)
        finally:
            self._probing = None
            if self._in_flight:
                self._timer = self._loop.call_later(self._quiet, self._check)

    def _lose(self, calls: list[asyncio.Task[Any]], seconds: float, activity: Activity) -> None:
        for call in calls:
            if call in self._in_flight and call not in self._lost:
                self._lost[call] = CallFailed(
                    FailureKind.TIMEOUT,
                    f"no reply for {seconds:.0f} s, and {activity.value}",
                    hint="read the server's log; `idle_timeout` of this model sets how long a server may be silent",
                )
                call.cancel()


async def probe_activity(session: aiohttp.ClientSession, endpoint: Endpoint, limit: float = LONGEST_PROBE) -> Activity:
    """Return what the server behind `endpoint` is doing, by its `/metrics`; any reply counts as WORKING."""
    url = endpoint.server_url("metrics")
    try:
        status, text = await fetch(session, endpoint, url, time_limit=limit, largest=LARGEST_TEXT)
    except CallFailed:
        return Activity.WORKING
    except aiohttp.ClientConnectorError as error:
        is_refused = isinstance(error.os_error, ConnectionError) or error.os_error.errno in UNREACHABLE
        return Activity.GONE if is_refused else Activity.UNRESPONSIVE
    except FAULTS:
        return Activity.UNRESPONSIVE
    numbers = parse_metrics(text.decode("utf-8", "replace")) if status == 200 else None
    return Activity.IDLE if numbers is not None and numbers.running + numbers.waiting == 0 else Activity.WORKING
