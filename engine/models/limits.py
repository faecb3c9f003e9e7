"""Slots at endpoints: handed out in the order of requests, to the least busy endpoint or to the one with affinity.

A slot is held while a request is in flight, never while a failed call backs off.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from asyncio_throttle.throttler import Throttler

from engine.errors import CallFailed, NeverAsked
from engine.models.affinity import EndpointRanking, WaitingQueues
from engine.models.health import Health, Patience

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


PlaceT = TypeVar("PlaceT")
COMING = 0.02  # seconds in which calls that are begun together come in: so long none is sent away from its home


class PoolClosed(Exception):
    """The pool hands out no more slots."""


class PooledEndpoint(Generic[PlaceT]):
    """One endpoint as the pool sees it."""

    __slots__ = ("health", "in_flight", "place", "start_rate")

    def __init__(self, place: PlaceT, parallel: int, rate: float | None, patience: Patience) -> None:
        self.place = place
        self.in_flight = 0
        self.health = Health(parallel, patience)
        self.start_rate = StartRate(rate)


class EndpointPool(Generic[PlaceT]):
    """Slots at several endpoints: `parallel` calls in flight and `rate` starts per second at each of them.

    What a call brought is told by `succeeded` or `failed` before its slot is released, so that the next one goes to an
    endpoint that can take it. Slots are handed out first come, first served; a waiter that is cancelled loses nothing.
    """

    def __init__(
        self,
        places: Sequence[PlaceT],
        *,
        parallel: int,
        rate: float | None = None,
        patience: Patience | None = None,
        name_of: Callable[[PlaceT], str] = str,
        starts_low: bool = False,
    ) -> None:
        self.lanes = tuple(PooledEndpoint(place, parallel, rate, patience or Patience()) for place in places)
        if starts_low:
            for lane in self.lanes:
                lane.health.start_low()
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._homes = EndpointRanking(self.lanes, lambda lane: name_of(lane.place))
        self._waiters = WaitingQueues(self.lanes)
        self._pauses: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._coming: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        return sum(lane.in_flight for lane in self.lanes)

    @property
    def capacity(self) -> int:
        """The most calls in flight that were asked for, over all endpoints that are not given up (at least 1)."""
        return max(1, sum(lane.health.ceiling for lane in self.lanes if lane.health.given_up is None))

    @property
    def is_alive(self) -> bool:
        """Whether any endpoint is left that may ever be called."""
        return any(lane.health.given_up is None for lane in self.lanes)

    def set_limit(self, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint. Fewer takes effect as calls end."""
        for lane in self.lanes:
            lane.health.set_ceiling(parallel)
        self._hand_out()

    def set_rate(self, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint."""
        for lane in self.lanes:
            lane.start_rate.set_rate(rate)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[PooledEndpoint[PlaceT]]:
        """A slot for as long as the block lasts. Raises what `acquire` raises."""
        lane = await self.acquire()
        try:
            yield lane
        finally:
            self.release(lane)

    async def acquire(self, prefix: str = "") -> PooledEndpoint[PlaceT]:
        """Wait for a slot, which `release` must give back; at the home of `prefix` unless another would be idle.

        Raises PoolClosed once the pool is closed, and NeverAsked, with an endpoint's fault, when all were given up.
        """
        if self.closed:
            raise PoolClosed
        home = self._home(prefix) if prefix and len(self.lanes) > 1 else None
        if home is None:
            lane = None if self._waiters else self._least_busy()
        else:
            lane = home if self._has_room(home) and not self._waiters.has_own(home) else None
        if lane is None:
            lane = await self._wait(home)
        else:
            self._take(lane)
        try:
            may_start = await lane.start_rate.wait()
        except BaseException:
            self.release(lane)
            raise
        if not may_start:
            self.release(lane)
            raise PoolClosed
        return lane

    def release(self, lane: PooledEndpoint[PlaceT]) -> None:
        """Give a slot back; the next in line gets it at once."""
        lane.in_flight -= 1
        if self._waiters:
            self._hand_out()

    def succeeded(self, lane: PooledEndpoint[PlaceT]) -> None:
        """The call in a slot of `lane` brought a good reply."""
        lane.health.succeeded(lane.in_flight)

    def failed(
        self, lane: PooledEndpoint[PlaceT], failure: CallFailed, started: float, retry_after: float | None = None
    ) -> None:
        """The call in a slot of `lane`, sent at loop time `started`, failed."""
        lane.health.failed(failure, started, self._loop.time(), retry_after)
        if not self.is_alive:
            self._refuse_all()

    def hold(self, lane: PooledEndpoint[PlaceT]) -> None:
        """Give out no slots there until `resume`: whoever keeps the server knows that it is down, and will be back."""
        lane.health.held = True

    def resume(self, lane: PooledEndpoint[PlaceT]) -> None:
        """The endpoint is back."""
        lane.health.resumed()
        self._hand_out()

    def give_up(self, lane: PooledEndpoint[PlaceT], why: CallFailed) -> None:
        """Never give out slots there again."""
        lane.health.given_up = why
        if not self.is_alive:
            self._refuse_all()
        else:
            self._hand_out()

    def server_told(self, lane: PooledEndpoint[PlaceT], running: int, waiting: int, *, was_full: bool) -> None:
        """What the server of `lane` says of itself: see `Health.server_told`."""
        lane.health.server_told(running, waiting, was_full=was_full, in_flight=lane.in_flight)
        self._hand_out()

    async def pause(self, seconds: float) -> None:
        """Sleep, holding no slot. Raises PoolClosed as soon as the pool is closed."""
        if self.closed:
            raise PoolClosed
        pause: asyncio.Future[None] = self._loop.create_future()
        self._pauses.add(pause)
        alarm = self._loop.call_later(seconds, _settle, pause)
        try:
            await pause
        finally:
            alarm.cancel()
            self._pauses.discard(pause)

    def close(self) -> None:
        """Hand out no more slots: whoever waits or pauses gets PoolClosed. Slots that are held stay good."""
        self.closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(PoolClosed())
        for pause in self._pauses:
            if not pause.done():
                pause.set_exception(PoolClosed())
        self._waiters.clear()
        for lane in self.lanes:
            lane.start_rate.interrupt()
        for timer in (self._timer, self._coming):
            if timer is not None:
                timer.cancel()

    async def _wait(self, home: PooledEndpoint[PlaceT] | None) -> PooledEndpoint[PlaceT]:
        if not self.is_alive:
            raise self._refusal()
        waiter = self._waiters.join(home)
        if home is None:
            self._hand_out()
        elif self._coming is None:
            self._coming = self._loop.call_later(COMING, self._all_came)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise

    def _all_came(self) -> None:
        self._coming = None
        self._hand_out()

    def _hand_out(self) -> None:
        """Give every free slot to the next in line; when none is free but one will be by time alone, come back then."""
        while self._waiters:
            lane = self._least_busy()
            if lane is None:
                self._come_back()
                return
            waiter = self._waiters.next_for(lane)
            if waiter is None:
                return
            self._take(lane)
            waiter.set_result(lane)

    def _take(self, lane: PooledEndpoint[PlaceT]) -> None:
        lane.in_flight += 1
        if lane.health.set_aside:
            lane.health.began(self._loop.time())

    def _home(self, prefix: str) -> PooledEndpoint[PlaceT] | None:
        """Where calls with this prefix belong, of the endpoints that work."""
        return next((lane for lane in self._homes.ranking(prefix) if lane.health.works), None)

    def _has_room(self, lane: PooledEndpoint[PlaceT]) -> bool:
        return lane.in_flight < lane.health.allowance(self._loop.time())

    def _least_busy(self) -> PooledEndpoint[PlaceT] | None:
        """The endpoint with room that has the fewest calls out; first of those for which calls of their own wait."""
        now = self._loop.time()
        free = [lane for lane in self.lanes if lane.in_flight < lane.health.allowance(now)]
        if len(free) > 1:
            free = [lane for lane in free if self._waiters.has_own(lane)] or free
            return min(free, key=_calls_out)
        return free[0] if free else None

    def _come_back(self) -> None:
        now = self._loop.time()
        wake = min(lane.health.wakes_at(now) for lane in self.lanes)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(wake, self._hand_out) if wake < math.inf else None

    def _refuse_all(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._refusal())
        self._waiters.clear()

    def _refusal(self) -> NeverAsked:
        why = next(lane.health.given_up for lane in reversed(self.lanes) if lane.health.given_up is not None)
        return NeverAsked(why.kind, why.title, endpoint=why.endpoint, status=why.status, attempts=0, hint=why.hint)


def _calls_out(lane: PooledEndpoint[Any]) -> int:
    return lane.in_flight


def _settle(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
