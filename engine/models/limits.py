"""Slots at endpoints: handed out in the order of requests, to the least busy endpoint or to the one with affinity.

Own code, because a slot here is routed between endpoints and the limits change while calls wait, which no semaphore
does; and because 1,000 waiters of asyncio-throttle, which polls every 10 ms, take 84 % of a core (one takes 2.3 %).
A slot is held while a request is in flight, never while a failed call backs off.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from asyncio_throttle.throttler import Throttler

from engine.errors import CallFailed, NeverAsked
from engine.models.affinity import EndpointRanking, WaitingQueues
from engine.models.health import Health, OutagePolicy

TargetT = TypeVar("TargetT")
RATE_WINDOW = 0.2  # seconds: calls start in small groups instead of a second's worth at once
BURST_WINDOW = 0.02  # seconds in which calls that begin together arrive: none leaves its preferred endpoint before


class PoolClosed(Exception):
    """The pool hands out no more slots."""


class StartRate:
    """At most `rate` starts in any second, in the order of requests; `None` is no bound.

    One call at a time waits for asyncio-throttle, the others wait for that one.
    """

    def __init__(self, rate: float | None) -> None:
        self._turn = asyncio.Lock()
        self._acquire: Callable[[], Awaitable[None]] | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._interrupted = False
        self.set_rate(rate)

    def set_rate(self, rate: float | None) -> None:
        """Change the bound, also for a call that waits already."""
        if rate is None:
            self._acquire = None
        else:
            starts = max(1, int(rate * RATE_WINDOW))
            self._acquire = Throttler(rate_limit=starts, period=starts / rate).acquire
        self._wake()

    @property
    def is_open(self) -> bool:
        """Whether a call may start without waiting."""
        return self._acquire is None and not self._interrupted

    async def wait(self) -> bool:
        """Wait until a call may start. False after `interrupt`: it must not."""
        if self._acquire is None:
            return not self._interrupted
        async with self._turn:
            while self._acquire is not None and not self._interrupted:
                self._waiting = asyncio.ensure_future(self._acquire())
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
        """End all waiting, now and later."""
        self._interrupted = True
        self._wake()

    def _wake(self) -> None:
        """Let the call that waits check the bound again."""
        if self._waiting is not None:
            self._waiting.cancel()


class PooledEndpoint(Generic[TargetT]):
    """One endpoint of a pool: what it stands for, its calls in flight, its health and its start rate."""

    __slots__ = ("health", "in_flight", "start_rate", "target")

    def __init__(self, target: TargetT, parallel: int, rate: float | None, outages: OutagePolicy) -> None:
        self.target = target
        self.in_flight = 0
        self.health = Health(parallel, outages)
        self.start_rate = StartRate(rate)


class EndpointPool(Generic[TargetT]):
    """Slots at several endpoints: `parallel` calls in flight and `rate` starts per second at each of them.

    Report the outcome of a call (`succeeded`, `failed`) before releasing its slot, so that the next call goes to an
    endpoint that can take it. Slots are handed out first come, first served; a cancelled waiter loses none.
    """

    def __init__(
        self,
        targets: Sequence[TargetT],
        *,
        parallel: int,
        rate: float | None = None,
        outages: OutagePolicy | None = None,
        name_of: Callable[[TargetT], str] = str,
        starts_low: bool = False,
    ) -> None:
        self.endpoints: tuple[PooledEndpoint[TargetT], ...] = ()
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._parallel, self._rate, self._outages = parallel, rate, outages or OutagePolicy()
        self._name_of, self._starts_low = name_of, starts_low
        self._waiters: WaitingQueues[PooledEndpoint[TargetT]] = WaitingQueues()
        self._pauses: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._burst_timer: asyncio.TimerHandle | None = None
        self.add(*targets)

    def add(self, *targets: TargetT) -> None:
        """Add endpoints, with the limit and the rate of the others; calls that wait may go to them."""
        for target in targets:
            pooled = PooledEndpoint(target, self._parallel, self._rate, self._outages)
            if self._starts_low:
                pooled.health.start_low()
            self.endpoints += (pooled,)
            self._waiters.add(pooled)
        self._ranking = EndpointRanking(self.endpoints, lambda pooled: self._name_of(pooled.target))
        self._hand_out()

    @property
    def in_flight(self) -> int:
        return sum(pooled.in_flight for pooled in self.endpoints)

    @property
    def capacity(self) -> int:
        """The configured maximum of calls in flight, over all endpoints that are not disabled (at least 1)."""
        return max(1, sum(pooled.health.ceiling for pooled in self.endpoints if pooled.health.disabled_by is None))

    @property
    def is_alive(self) -> bool:
        """Whether any endpoint is not disabled."""
        return any(pooled.health.disabled_by is None for pooled in self.endpoints)

    def set_limit(self, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint. Fewer takes effect as calls end."""
        self._parallel = parallel
        for pooled in self.endpoints:
            pooled.health.set_ceiling(parallel)
        self._hand_out()

    def set_rate(self, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint."""
        self._rate = rate
        for pooled in self.endpoints:
            pooled.start_rate.set_rate(rate)

    def others(self, tried: Collection[PooledEndpoint[TargetT]]) -> list[PooledEndpoint[TargetT]]:
        """Return the endpoints that take calls, but for those that were `tried`."""
        return [pooled for pooled in self.endpoints if pooled not in tried and pooled.health.is_available]

    async def acquire(
        self, prefix: str = "", tried: Collection[PooledEndpoint[TargetT]] = ()
    ) -> PooledEndpoint[TargetT]:
        """Wait for a slot, to be given back by `release`; at the endpoint that `prefix` prefers unless another is idle.

        A call that failed at the endpoints in `tried` gets a slot at one of the others, if any takes calls.
        Raises PoolClosed once the pool is closed, and NeverAsked, with the fault of an endpoint, when all are disabled.
        """
        if self.closed:
            raise PoolClosed
        others = self.others(tried) if tried else []
        if others:
            preferred: PooledEndpoint[TargetT] | None = min(others, key=_calls_in_flight)
        else:
            preferred = self._preferred(prefix) if prefix and len(self.endpoints) > 1 else None
        if preferred is None:
            pooled = None if self._waiters else self._least_busy()
        else:
            pooled = preferred if self._has_room(preferred) and not self._waiters.has_waiting(preferred) else None
        if pooled is None:
            pooled = await self._wait(preferred, only=bool(others))
        else:
            self._take(pooled)
        if pooled.start_rate.is_open:
            return pooled
        try:
            may_start = await pooled.start_rate.wait()
        except BaseException:
            self.release(pooled)
            raise
        if not may_start:
            self.release(pooled)
            raise PoolClosed
        return pooled

    def release(self, pooled: PooledEndpoint[TargetT]) -> None:
        """Give a slot back; the next waiting call gets it at once."""
        pooled.in_flight -= 1
        if self._waiters:
            self._hand_out()

    def succeeded(self, pooled: PooledEndpoint[TargetT], started: float = -math.inf) -> None:
        """Report a good reply to the call in a slot, sent at loop time `started`."""
        pooled.health.succeeded(pooled.in_flight, started, self._loop.time())

    def failed(self, pooled: PooledEndpoint[TargetT], failure: CallFailed, started: float) -> None:
        """Report the failure of the call in a slot, sent at loop time `started`."""
        pooled.health.failed(failure, started, self._loop.time(), pooled.in_flight)
        self._refuse_if_disabled()

    def outdone(self, pooled: PooledEndpoint[TargetT], failure: CallFailed) -> None:
        """Report that another endpoint answered a call which failed here with `failure`."""
        pooled.health.outdone(failure, self._loop.time())

    def hold(self, pooled: PooledEndpoint[TargetT]) -> None:
        """Hand out no slots there until `resume`: the server is known to be down, and may come back."""
        pooled.health.held = True
        if self.others((pooled,)):
            self._waiters.free(pooled)
            self._hand_out()

    def resume(self, pooled: PooledEndpoint[TargetT]) -> None:
        pooled.health.resumed()
        self._hand_out()

    def recovered(self, pooled: PooledEndpoint[TargetT]) -> None:
        """Report that the endpoint works."""
        pooled.health.recover()
        self._hand_out()

    def disable(self, pooled: PooledEndpoint[TargetT], why: CallFailed) -> None:
        """Never hand out slots there again."""
        pooled.health.disabled_by = why
        self._refuse_if_disabled()
        self._hand_out()

    def queue_reported(self, pooled: PooledEndpoint[TargetT], running: int, waiting: int, *, was_full: bool) -> None:
        """Pass on what a server reports of its queue: see `Health.queue_reported`."""
        pooled.health.queue_reported(running, waiting, was_full=was_full, in_flight=pooled.in_flight)
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
        """Hand out no more slots: waiting and pausing calls get PoolClosed. Slots in use stay valid."""
        self.closed = True
        for future in (*self._waiters, *self._pauses):
            if not future.done():
                future.set_exception(PoolClosed())
        self._waiters.clear()
        for pooled in self.endpoints:
            pooled.start_rate.interrupt()
        for timer in (self._timer, self._burst_timer):
            if timer is not None:
                timer.cancel()

    async def _wait(self, preferred: PooledEndpoint[TargetT] | None, *, only: bool) -> PooledEndpoint[TargetT]:
        if not self.is_alive:
            raise self._refusal()
        has_others = bool(self._waiters)
        waiter = self._waiters.join_only(preferred) if preferred and only else self._waiters.join(preferred)
        if preferred is None or only:
            if not (has_others and len(self.endpoints) == 1):  # what is free there has gone to those that wait already
                self._hand_out()
        elif self._burst_timer is None:
            self._burst_timer = self._loop.call_later(BURST_WINDOW, self._end_burst)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise

    def _end_burst(self) -> None:
        self._burst_timer = None
        self._hand_out()

    def _hand_out(self) -> None:
        """Give every free slot to the next waiting call; when one becomes free by time alone, continue then."""
        while self._waiters:
            pooled = self._least_busy()
            if pooled is None:
                self._continue_later()
                return
            waiter = self._waiters.next_for(pooled)
            if waiter is None:  # all that wait do so for another one
                self._continue_later()
                return
            self._take(pooled)
            waiter.set_result(pooled)

    def _take(self, pooled: PooledEndpoint[TargetT]) -> None:
        pooled.in_flight += 1
        if pooled.health.is_down:
            pooled.health.began(self._loop.time())

    def _preferred(self, prefix: str) -> PooledEndpoint[TargetT] | None:
        """Return the available endpoint that `prefix` prefers."""
        return next((pooled for pooled in self._ranking.ranking(prefix) if pooled.health.is_available), None)

    def _has_room(self, pooled: PooledEndpoint[TargetT]) -> bool:
        return pooled.in_flight < pooled.health.allowance(self._loop.time())

    def _least_busy(self) -> PooledEndpoint[TargetT] | None:
        """Return the endpoint with room that has the fewest calls in flight, among those that waiting calls prefer."""
        now = self._loop.time()
        if len(self.endpoints) == 1:
            return self.endpoints[0] if self.endpoints[0].in_flight < self.endpoints[0].health.allowance(now) else None
        free = [pooled for pooled in self.endpoints if pooled.in_flight < pooled.health.allowance(now)]
        if len(free) > 1:
            free = [pooled for pooled in free if self._waiters.has_waiting(pooled)] or free
        return min(free, key=_calls_in_flight, default=None)

    def _continue_later(self) -> None:
        now = self._loop.time()
        wake = min(pooled.health.next_change_at(now) for pooled in self.endpoints)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(wake, self._hand_out) if wake < math.inf else None

    def _refuse_if_disabled(self) -> None:
        """Let no call wait for a disabled endpoint only, and all fail when every one is disabled."""
        for pooled in self.endpoints:
            if pooled.health.disabled_by is not None:
                self._waiters.free(pooled)
        if self.is_alive:
            return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._refusal())
        self._waiters.clear()

    def _refusal(self) -> NeverAsked:
        why = next(pooled.health.disabled_by for pooled in reversed(self.endpoints) if pooled.health.disabled_by)
        return NeverAsked(why.kind, why.title, endpoint=why.endpoint, status=why.status, attempts=0, hint=why.hint)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _calls_in_flight(pooled: PooledEndpoint[Any]) -> int:
    return pooled.in_flight


def _settle(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
