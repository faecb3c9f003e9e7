"""One model behind one or several endpoints: a chat call that ends as a `Completion` or as one `CallFailed`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import aiohttp
import msgspec

from engine.errors import CallFailed, FailureKind, NeverAsked
from engine.events import CallEnded, CallRetried, CallStarted, Event, Notice, ServerSeen, TaskKey
from engine.models.connection import CONNECT_TIMEOUT, FAULTS, failure_of, is_stale, proxy_for, read_body
from engine.models.context import ContextGuard
from engine.models.endpoint import Endpoint
from engine.models.health import DOWN, Patience
from engine.models.limits import EndpointPool, PoolClosed, PooledEndpoint
from engine.models.metrics import fetch_metrics
from engine.models.reply import read_reply
from engine.models.retry import delay, parse_retry_after, should_retry
from engine.models.silence import LONGEST_ANSWER, Sign, SilenceWatch, ask_server
from engine.records import Completion

__all__ = ["Endpoint", "EndpointStatus", "ModelClient"]

LONGEST_MESSAGE = 500  # characters kept of what failed calls say
LOST = DOWN | {FailureKind.ABORTED}  # what calls end in whose server dies
CANCELLED = "cancelled"  # the `error` of a call that we gave up ourselves


class EndpointStatus(msgspec.Struct, frozen=True):
    """One endpoint at a moment. `limit` is what it is asked to bear now, at most `parallel`."""

    endpoint: str
    in_flight: int
    limit: int
    parallel: int
    set_aside: bool
    given_up: str = ""  # why nothing is sent there any more


class PollIntervals(msgspec.Struct, frozen=True):
    """Seconds between two questions to a server: while its limit may rise, when it does not, and if it is silent."""

    rising: float = 0.5
    steady: float = 2.0
    silent: float = 15.0


PACE = PollIntervals()


class _Target:
    """An endpoint with everything made ready that all its calls have in common."""

    __slots__ = ("address", "down_since", "endpoint", "headers", "proxy", "silence", "told_given_up", "url")

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession, idle_timeout: float) -> None:
        async def ask() -> Sign:
            return await ask_server(session, endpoint, min(LONGEST_ANSWER, idle_timeout))

        self.endpoint = endpoint
        self.silence = SilenceWatch(idle_timeout, ask)
        self.down_since: float | None = None  # told to the user as down
        self.told_given_up = False
        self.address = endpoint.address
        self.url = endpoint.url("chat/completions")
        self.headers = {"Content-Type": "application/json", **endpoint.headers()}
        self.proxy = proxy_for(self.url)


class _Fault(Exception):
    """A failed try, with what only this module needs to know of it."""

    def __init__(self, failure: CallFailed, retry_after: float | None, stale: bool) -> None:
        self.failure = failure
        self.retry_after = retry_after
        self.stale = stale


class ModelClient:
    """Calls the model `name` of the config: slots, retries and events around one POST.

    `parallel` and `rate` hold for each endpoint, `timeout` (seconds) for one try, `attempts` for the tries of one call
    at faults that may pass; `idle_timeout` (seconds) is the longest pause inside a reply, and the silence after which
    a server is asked whether it still works (see `silence`). A try at an endpoint that is known to be down costs none
    of the attempts: such a call waits until the endpoint is back, or until `patience` with it ends. `emit` gets a
    CallStarted and a CallEnded for every request; `permits` is asked right before each of them. `counts_tokens` says
    that the servers' usage counts exactly what `max_tokens` bounds, so that a reply which they cut before is known (see
    `context`).
    Make it inside a running loop. Raises ArenaError for a key that cannot be sent.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        *,
        parallel: int,
        session: aiohttp.ClientSession,
        emit: Callable[[Event], None],
        rate: float | None = None,
        timeout: float = 1200.0,
        idle_timeout: float = 60.0,
        attempts: int = 5,
        patience: Patience | None = None,
        chance: Callable[[], float] = random.random,
        counts_tokens: bool = False,
        permits: Callable[[TaskKey | None], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self._pool = EndpointPool(
            [_Target(each, session, idle_timeout) for each in endpoints],
            parallel=parallel,
            rate=rate,
            patience=patience,
            name_of=lambda target: target.address,
            starts_low=True,
        )
        self._session = session
        contexts = [each.context for each in endpoints if each.context is not None]
        self._context = ContextGuard(session, endpoints[0], min(contexts, default=None), counts_exactly=counts_tokens)
        self._emit = emit
        self._attempts = attempts
        self._chance = chance
        self._permits = permits
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        self._idle_timeout = idle_timeout
        self._now = asyncio.get_running_loop().time

    @property
    def capacity(self) -> int:
        """How many calls may be in flight at once, over all endpoints that are not given up."""
        return self._pool.capacity

    @property
    def in_flight(self) -> int:
        return self._pool.in_flight

    def status(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint as it stands."""
        return tuple(
            EndpointStatus(
                lane.place.address,
                lane.in_flight,
                lane.health.limit,
                lane.health.ceiling,
                lane.health.set_aside,
                lane.health.given_up.title if lane.health.given_up else "",
            )
            for lane in self._pool.lanes
        )

    def set_parallel(self, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint; fewer takes effect as calls end."""
        self._pool.set_limit(parallel)

    def set_rate(self, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint; None is no bound."""
        self._pool.set_rate(rate)

    def hold(self, endpoint: str) -> None:
        """Make no calls at that address until `resume`: it is known to be down, and to come back."""
        for lane in self._lanes_at(endpoint):
            self._pool.hold(lane)

    def resume(self, endpoint: str) -> None:
        """The endpoint at that address is back."""
        for lane in self._lanes_at(endpoint):
            self._pool.resume(lane)

    def give_up(self, endpoint: str, why: CallFailed) -> None:
        """Make no calls at that address ever again; where there is no other, those that wait fail for `why`."""
        why.endpoint = endpoint
        for lane in self._lanes_at(endpoint):
            self._pool.give_up(lane, why)

    def _lanes_at(self, endpoint: str) -> list[PooledEndpoint[_Target]]:
        return [lane for lane in self._pool.lanes if lane.place.address == endpoint]

    def close(self) -> None:
        """Start nothing more. Calls in flight go on; those that wait or back off raise PoolClosed at once."""
        self._pool.close()

    async def watch(self, served_name: str, pace: PollIntervals = PACE) -> None:
        """Ask the servers how they are, for as long as this is awaited: no more calls go out than keep them busy.

        What they say is emitted as ServerSeen. For servers with vLLM's `/metrics`; others are asked now and then.
        """
        await asyncio.gather(*(self._watch(lane, served_name, pace) for lane in self._pool.lanes))

    async def _watch(self, lane: PooledEndpoint[_Target], served_name: str, pace: PollIntervals) -> None:
        target, before = lane.place, None
        while lane.health.given_up is None:
            told = await fetch_metrics(self._session, target.endpoint, served_name)
            if told is not None:
                was_full = before is not None and told.preemptions > before.preemptions
                self._pool.server_told(lane, told.running, told.waiting, was_full=was_full)
            else:
                lane.health.server_silent()
            if told is not None or before is not None:
                self._emit(ServerSeen(self.name, target.address, told))
            before = told
            rises = lane.health.limit < lane.health.ceiling
            await asyncio.sleep(pace.silent if told is None else pace.rising if rises else pace.steady)

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion:
        """The reply to one chat request (a JSON body of `chat/completions`, not streamed), made for `task`.

        Calls with the same `prefix`, whose prompts begin alike, go to the same endpoint as far as it can take them.
        Raises CallFailed when it failed for good, NeverAsked when there was no endpoint left to send it to, and
        PoolClosed after `close` or where `permits` refused a try.
        """
        payload = _encode(body)
        max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
        if max_tokens is not None and not self._context.fits(len(payload), max_tokens):
            await self._context.check(body, max_tokens)
        tried = charged = 0
        resent = False
        while True:
            lane = await self._slot(tried, prefix, task)
            trial = lane.health.set_aside
            tried += 1
            try:
                return await self._try(lane, payload, max_tokens, task)
            except _Fault as fault:
                failure = fault.failure
                pause: float | None = None  # None: for good
                if fault.stale and not resent:
                    resent, pause = True, 0.0
                elif lane.health.given_up is not None and self._pool.is_alive:
                    pause = 0.0  # another endpoint may take us
                else:
                    known = (trial and failure.kind in DOWN) or (lane.health.held and failure.kind in LOST)
                    charged += not (known and self._pool.is_alive)
                    if should_retry(failure.kind, charged, self._attempts):
                        pause = delay(max(charged, 1), fault.retry_after, self._chance)
                failure.attempts = tried
            if pause is None:
                raise failure
            self._emit(
                CallRetried(self.name, failure.endpoint, failure.kind.value, failure.title, pause, tried, task),
            )
            if pause:
                await self._pool.pause(pause)

    async def _slot(self, tried: int, prefix: str, task: TaskKey | None) -> PooledEndpoint[_Target]:
        try:
            lane = await self._pool.acquire(prefix)
        except NeverAsked as refusal:
            if not tried:
                raise
            raise CallFailed(
                refusal.kind,
                refusal.title,
                endpoint=refusal.endpoint,
                status=refusal.status,
                attempts=tried,
                hint=refusal.hint,
            ) from None
        if not self._permits(task):
            self._pool.release(lane)
            raise PoolClosed
        return lane

    async def _try(
        self, lane: PooledEndpoint[_Target], payload: bytes, max_tokens: int | None, task: TaskKey | None
    ) -> Completion:
        """Send the request once and give the slot back. Raises _Fault."""
        target = lane.place
        retry_after: str | None = None
        stale = False
        call = asyncio.current_task()
        assert call is not None
        started = self._now()
        self._emit(CallStarted(self.name, target.address))
        target.silence.began(call, started)
        try:
            async with self._session.post(
                target.url,
                data=payload,
                headers=target.headers,
                proxy=target.proxy,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status = response.status
                if status != 200:
                    retry_after = response.headers.get("Retry-After")
                reply = await read_body(response, longest_pause=self._idle_timeout)
            seconds = self._now() - started
            completion = read_reply(status, target.endpoint.redact_body(reply), seconds)
            self._context.verify(completion, len(payload), max_tokens)
        except CallFailed as told:
            failure = told
        except FAULTS as error:
            seconds = self._now() - started
            failure = failure_of(error, seconds)
            stale = is_stale(error, seconds)
        except BaseException as error:  # cancelled: the connection is closed, and with it the call at the server
            lost = target.silence.lost(call) if isinstance(error, asyncio.CancelledError) else None
            if lost is None:
                self._emit(CallEnded(self.name, target.address, self._now() - started, None, CANCELLED, task))
                self._pool.release(lane)
                raise
            failure = lost
        else:
            self._pool.succeeded(lane)
            self._pool.release(lane)
            self._emit(
                CallEnded(self.name, target.address, seconds, completion.usage, "", task, completion.fingerprint)
            )
            if target.down_since is not None:
                self._tell_of(lane, "")
            return completion
        finally:
            target.silence.ended(call)
        fault = self._fault(lane, failure, started, parse_retry_after(retry_after), stale)
        self._emit(CallEnded(self.name, target.address, self._now() - started, None, failure.kind.value, task))
        raise fault

    def _fault(
        self, lane: PooledEndpoint[_Target], failure: CallFailed, started: float, retry_after: float | None, stale: bool
    ) -> _Fault:
        """What a failed try comes to, told to the pool; its slot is given back."""
        target = lane.place
        failure.title = target.endpoint.redact(failure.title)[:LONGEST_MESSAGE]
        failure.args = (failure.title,)
        failure.endpoint = target.address
        if not stale:
            self._pool.failed(lane, failure, started, retry_after)
            self._tell_of(lane, failure.title)
        self._pool.release(lane)
        return _Fault(failure, retry_after, stale)

    def _tell_of(self, lane: PooledEndpoint[_Target], cause: str) -> None:
        """Tell once when an endpoint goes down, comes back, or is given up: a run without progress must say why."""
        target, health = lane.place, lane.health
        who, now = f"{self.name}: {target.address}", self._now()
        others = any(other.health.given_up is None for other in self._pool.lanes if other is not lane)
        if (why := health.given_up) is not None:
            if not target.told_given_up:
                target.told_given_up = True
                left = "the others take its work" if others else "what is left for it is not asked"
                hint = f" ({why.hint})" if why.hint else ""
                self._notice("error", f"{who} is given up, {left}: {why.title}{hint}")
        elif health.is_down and target.down_since is None:
            target.down_since = now - health.failing_for(now)
            work = "the others take its work" if others else "its work waits"
            self._notice("warning", f"{who} is down ({cause}), {work}; it is tried again every few seconds")
        elif target.down_since is not None and not health.set_aside:
            self._notice("info", f"{who} is back after {now - target.down_since:.0f} s")
            target.down_since = None

    def _notice(self, level: Literal["info", "warning", "error"], text: str) -> None:
        self._emit(Notice(level, text, time.time()))


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError, TypeError) as error:
        raise CallFailed(FailureKind.REJECTED, f"the request cannot be written as JSON: {error}", attempts=0) from None
