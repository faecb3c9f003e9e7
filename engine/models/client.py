"""One model behind one or several endpoints: a chat call that ends as one `Completion` or one `CallFailed`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from engine.errors import CallFailed, FailureKind, NeverAsked
from engine.events import CallEnded, CallRetried, CallStarted, Event, ServerSeen, TaskKey, notice
from engine.models.connection import CONNECT_TIMEOUT, FAULTS, failure_of, is_stale, proxy_for, read_body
from engine.models.context import ContextGuard
from engine.models.endpoint import Endpoint
from engine.models.health import DOWN, OutagePolicy
from engine.models.limits import EndpointPool, PoolClosed, PooledEndpoint
from engine.models.metrics import fetch_metrics
from engine.models.reply import read_reply
from engine.models.retry import delay, parse_retry_after, should_retry
from engine.models.silence import LONGEST_PROBE, Activity, SilenceWatch, probe_activity
from engine.records import Completion

LONGEST_MESSAGE = 500  # characters kept of an error
MAX_WARNINGS = 20  # about the replies of one model
LOST = DOWN | {FailureKind.ABORTED}  # failures of calls whose server dies
CANCELLED = "cancelled"  # `CallEnded.error` of a call that was cancelled here


class EndpointStatus(msgspec.Struct, frozen=True):
    """One endpoint at a moment. `limit` is its current maximum of calls in flight, `parallel` the configured one."""

    endpoint: str
    in_flight: int
    limit: int
    parallel: int
    is_down: bool
    disabled: str = ""  # why nothing is sent there any more


class PollIntervals(msgspec.Struct, frozen=True):
    """Seconds between two reads of a server's metrics: while its limit may rise, when it may not, without metrics."""

    rising: float = 0.5
    steady: float = 2.0
    silent: float = 15.0


INTERVALS = PollIntervals()


class _Target:
    """An endpoint with what all its calls have in common."""

    __slots__ = (
        "address",
        "disabled_reported",
        "down_since",
        "echoing",
        "endpoint",
        "headers",
        "proxy",
        "silence",
        "url",
    )

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession, idle_timeout: float) -> None:
        async def probe() -> Activity:
            return await probe_activity(session, endpoint, min(LONGEST_PROBE, idle_timeout))

        self.endpoint = endpoint
        self.silence = SilenceWatch(idle_timeout, probe)
        self.down_since: float | None = None  # since when it is reported as down
        self.disabled_reported = False
        self.echoing: set[TaskKey | None] = set()  # tasks for which it is reported that replies hold a secret
        self.address = endpoint.address
        self.url = endpoint.url("chat/completions")
        self.headers = {"Content-Type": "application/json", **endpoint.headers()}
        self.proxy = proxy_for(self.url)


class ModelClient:
    """Calls the model `name` of the config: slots, retries and events around one POST. Make it inside a running loop.

    Args:
        parallel, rate: for each endpoint: calls in flight, and starts per second.
        timeout: seconds for one try.
        idle_timeout: the longest pause in seconds inside a reply, and the silence after which a server is probed.
        attempts: tries of one call at faults that may pass. A try at an endpoint that is known to be down is not
            counted: such a call waits until the endpoint recovers or is disabled by `outages`.
        emit: gets a CallStarted and a CallEnded for every request.
        permits: is asked right before every request.
        counts_tokens: the servers' usage counts exactly what `max_tokens` bounds (see `engine.models.context`).

    Raises ArenaError for a key that no HTTP header can hold.
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
        outages: OutagePolicy | None = None,
        chance: Callable[[], float] = random.random,
        counts_tokens: bool = False,
        permits: Callable[[TaskKey | None], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self._pool = EndpointPool(
            [_Target(each, session, idle_timeout) for each in endpoints],
            parallel=parallel,
            rate=rate,
            outages=outages,
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
        self._warned: set[str] = set()

    @property
    def capacity(self) -> int:
        """The configured maximum of calls in flight, over all endpoints that are not disabled."""
        return self._pool.capacity

    @property
    def in_flight(self) -> int:
        return self._pool.in_flight

    def status(self) -> tuple[EndpointStatus, ...]:
        """Return the state of every endpoint."""
        return tuple(
            EndpointStatus(
                pooled.target.address,
                pooled.in_flight,
                pooled.health.limit,
                pooled.health.ceiling,
                pooled.health.is_down,
                pooled.health.disabled_by.title if pooled.health.disabled_by else "",
            )
            for pooled in self._pool.endpoints
        )

    def set_parallel(self, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint; fewer takes effect as calls end."""
        self._pool.set_limit(parallel)

    def set_rate(self, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint; None is no bound."""
        self._pool.set_rate(rate)

    def hold(self, address: str) -> None:
        """Send nothing to that address until `resume`: its server is down and will be restarted."""
        for pooled in self._endpoints_at(address):
            self._pool.hold(pooled)

    def resume(self, address: str) -> None:
        for pooled in self._endpoints_at(address):
            self._pool.resume(pooled)

    def disable(self, address: str, why: CallFailed) -> None:
        """Send nothing to that address any more; without another endpoint, waiting calls fail for `why`."""
        why.endpoint = address
        for pooled in self._endpoints_at(address):
            self._pool.disable(pooled, why)

    def _endpoints_at(self, address: str) -> list[PooledEndpoint[_Target]]:
        return [pooled for pooled in self._pool.endpoints if pooled.target.address == address]

    def close(self) -> None:
        """Start nothing more. Calls in flight go on; those that wait or back off raise PoolClosed at once."""
        self._pool.close()

    async def watch(self, served_name: str, intervals: PollIntervals = INTERVALS) -> None:
        """Poll the servers' metrics until cancelled, so that no more calls are sent than keep the servers busy.

        The numbers are emitted as ServerSeen. Servers without vLLM's `/metrics` are polled rarely.
        """
        await asyncio.gather(*(self._watch(pooled, served_name, intervals) for pooled in self._pool.endpoints))

    async def _watch(self, pooled: PooledEndpoint[_Target], served_name: str, intervals: PollIntervals) -> None:
        target, health, before = pooled.target, pooled.health, None
        while health.disabled_by is None:
            seen = await fetch_metrics(self._session, target.endpoint, served_name)
            if seen is not None:
                was_full = before is not None and seen.preemptions > before.preemptions
                self._pool.queue_reported(pooled, seen.running, seen.waiting, was_full=was_full)
            else:
                health.queue_unknown()
            if seen is not None or before is not None:
                self._emit(ServerSeen(self.name, target.address, seen))
            before = seen
            may_rise = health.limit < health.ceiling
            await asyncio.sleep(
                intervals.silent if seen is None else intervals.rising if may_rise else intervals.steady
            )

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion:
        """Return the reply to one chat request (a JSON body of `chat/completions`, not streamed), made for `task`.

        Calls with the same `prefix`, whose prompts begin alike, go to the same endpoint as far as it can take them.
        Raises CallFailed when the call failed for good, NeverAsked when no endpoint was left to send it to, and
        PoolClosed after `close` or where `permits` refused a try.
        """
        payload = _encode(body)
        max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
        if max_tokens is not None and not self._context.fits(len(payload), max_tokens):
            await self._context.check(body, max_tokens)
        tried = charged = 0
        resent = False
        while True:
            pooled = await self._slot(tried, prefix, task)
            health = pooled.health
            is_trial = health.is_down
            tried += 1
            outcome = await self._try(pooled, payload, max_tokens, task)
            if isinstance(outcome, Completion):
                self._report_echo(pooled.target, outcome, task, prefix)
                return outcome
            failure, was_stale = outcome
            failure.attempts = tried
            if was_stale and not resent:
                resent, pause = True, 0.0
            elif health.disabled_by is not None and self._pool.is_alive:
                pause = 0.0  # another endpoint may take it
            else:
                known = (is_trial and failure.kind in DOWN) or (health.held and failure.kind in LOST)
                charged += not (known and self._pool.is_alive)
                if not should_retry(failure.kind, charged, self._attempts):
                    raise failure
                pause = delay(max(charged, 1), failure.retry_after, self._chance)
            self._emit(
                CallRetried(self.name, failure.endpoint, failure.kind.value, failure.title, pause, tried, task),
            )
            if pause:
                await self._pool.pause(pause)

    async def _slot(self, tried: int, prefix: str, task: TaskKey | None) -> PooledEndpoint[_Target]:
        try:
            pooled = await self._pool.acquire(prefix)
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
            self._pool.release(pooled)
            raise PoolClosed
        return pooled

    async def _try(
        self, pooled: PooledEndpoint[_Target], payload: bytes, max_tokens: int | None, task: TaskKey | None
    ) -> Completion | tuple[CallFailed, bool]:
        """Send the request once and release the slot.

        Returns the reply, or the failure and whether a closed idle connection was the cause.
        """
        target = pooled.target
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
                status, location = response.status, response.headers.get("Location", "")
                if status != 200:
                    retry_after = response.headers.get("Retry-After")
                reply = await read_body(response, longest_pause=self._idle_timeout)
            seconds = self._now() - started
            completion = _read(target.endpoint, status, reply, seconds, location)
            doubts = self._context.verify(completion, len(payload), max_tokens)
        except CallFailed as fault:
            failure = fault
        except FAULTS as error:
            seconds = self._now() - started
            failure = failure_of(error, seconds)
            stale = is_stale(error, seconds)
        except BaseException as error:  # cancelled: the connection is closed, and with it the call at the server
            lost = target.silence.lost(call) if isinstance(error, asyncio.CancelledError) else None
            if lost is None:
                self._emit(CallEnded(self.name, target.address, self._now() - started, None, CANCELLED, task))
                self._pool.release(pooled)
                raise
            failure = lost
        else:
            self._pool.succeeded(pooled)
            self._pool.release(pooled)
            fingerprint = target.endpoint.redact(completion.fingerprint)
            self._emit(CallEnded(self.name, target.address, seconds, completion.usage, "", task, fingerprint))
            if target.down_since is not None:
                self._report_state(pooled, "")
            for text in (*completion.warnings, *doubts):
                self.warn(f"{target.address}: {target.endpoint.redact(text)}")
            return completion
        finally:
            target.silence.ended(call)
        failure.retry_after = parse_retry_after(retry_after)
        redact = target.endpoint.redact
        failure.title, failure.hint = redact(failure.title)[:LONGEST_MESSAGE], redact(failure.hint)
        failure.args = (failure.title,)
        failure.endpoint = target.address
        if not stale:
            self._pool.failed(pooled, failure, started)
            self._report_state(pooled, failure.title)
        self._pool.release(pooled)
        self._emit(CallEnded(self.name, target.address, self._now() - started, None, failure.kind.value, task))
        return failure, stale

    def warn(self, text: str) -> None:
        """Emit a warning about replies of the model once, and no more of them than a reader can take."""
        if text not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(text)
            self._emit(notice("warning", f"{self.name}: {text}"))

    def _report_state(self, pooled: PooledEndpoint[_Target], cause: str) -> None:
        """Emit one notice each time that an endpoint goes down, recovers or is disabled."""
        target, health = pooled.target, pooled.health
        name, now = f"{self.name}: {target.address}", self._now()
        has_others = any(each.health.disabled_by is None for each in self._pool.endpoints if each is not pooled)
        if (why := health.disabled_by) is not None:
            if not target.disabled_reported:
                target.disabled_reported = True
                rest = "its calls go to the other endpoints" if has_others else "no endpoint is left for its calls"
                hint = f" ({why.hint})" if why.hint else ""
                self._emit(notice("error", f"{name} disabled, {rest}: {why.title}{hint}"))
        elif health.stays_down and target.down_since is None:
            target.down_since = now - health.failing_for(now)
            rest = "its calls go to the other endpoints" if has_others else "its calls wait"
            self._emit(notice("warning", f"{name} down ({cause}), {rest}; retried every few seconds"))
        elif target.down_since is not None and not health.is_down:
            self._emit(notice("info", f"{name} recovered after {now - target.down_since:.0f} s"))
            target.down_since = None

    def _report_echo(self, target: _Target, completion: Completion, task: TaskKey | None, prefix: str) -> None:
        """Warn once per task that a reply holds a secret: results are stored as the model wrote them."""
        if task in target.echoing or not target.endpoint.redact.finds(completion.content, completion.reasoning):
            return
        target.echoing.add(task)
        place = (f"{task.stage} of {task.model}" if task else "a call") + (f", question {prefix}" if prefix else "")
        text = (
            f"{self.name}: the key of {target.address} is in a reply ({place}), which is stored as it was sent; "
            "renew the key, and delete these records before you publish them"
        )
        self._emit(notice("warning", text))


def _read(endpoint: Endpoint, status: int, reply: bytes, seconds: float, location: str) -> Completion:
    """Return the completion as the model wrote it. Raises CallFailed, whose text is made from the redacted reply."""
    try:
        return read_reply(status, reply, seconds, location)
    except CallFailed:
        pass
    return read_reply(status, endpoint.redact.body(reply), seconds, location)


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError, TypeError) as error:
        raise CallFailed(FailureKind.REJECTED, f"the request cannot be encoded as JSON: {error}", attempts=0) from None
