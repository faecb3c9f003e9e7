"""One model behind one or several endpoints: a chat call that ends as one `Completion` or one `CallFailed`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiohttp
import msgspec

from engine.errors import CallFailed, FailureKind, NeverAsked
from engine.events import CallEnded, CallRetried, EndpointStatus, Event, ServerSeen, TaskKey, notice
from engine.models.connection import FAULTS, LARGEST_ERROR, Link, bound_of, failure_of, fetch, is_stale
from engine.models.context import ContextGuard
from engine.models.endpoint import Endpoint
from engine.models.health import OutagePolicy
from engine.models.limits import EndpointPool, PoolClosed, PooledEndpoint
from engine.models.metrics import fetch_metrics
from engine.models.reply import read_reply
from engine.models.retry import wait_of_headers
from engine.models.stream import StreamSetting, first_form, form_after
from engine.models.target import Target, changes_of_state, status_of
from engine.models.tries import PASSING, Tries
from engine.records import Completion

LONGEST_MESSAGE = 500  # characters kept of an error
LONGEST_REDACTED = 1 << 18  # bytes of a reply that are searched for secrets before its error is read
MAX_WARNINGS = 20  # about the replies of one model
TINY_CALL_SECONDS = 30.0
OF_SOME_PROMPTS = (FailureKind.SERVER, FailureKind.RATE_LIMITED)  # an outage, or a gateway's answer to certain prompts
LIMITED = (429, 503, 529)  # statuses whose headers may name a time to wait
CANCELLED = "cancelled"  # `CallEnded.error` of a call that was cancelled here


class PollIntervals(msgspec.Struct, frozen=True):
    """Seconds between two reads of a server's metrics: while its limit may rise, when it may not, without metrics."""

    rising: float = 0.5
    steady: float = 2.0
    silent: float = 15.0


INTERVALS = PollIntervals()


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
        stream: replies are streamed: always, never, or from an endpoint's first refusal on that demands it ("auto").

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
        stream: StreamSetting = "auto",
        permits: Callable[[TaskKey | None], bool] = lambda _: True,
    ) -> None:
        self.name = name
        form = first_form(stream)
        self._target = partial(Target, name, session=session, timeout=timeout, idle_timeout=idle_timeout, form=form)
        self._pool = EndpointPool(
            list(map(self._target, endpoints)),
            parallel=parallel,
            rate=rate,
            outages=outages or OutagePolicy(longest_refusal=min(timeout, OutagePolicy().longest_refusal)),
            name_of=lambda target: target.address,
            starts_low=True,
        )
        self._session = session
        contexts = [each.context for each in endpoints if each.context is not None]
        self._context = ContextGuard(session, endpoints[0], min(contexts, default=None), counts_exactly=counts_tokens)
        self._emit = emit
        self._attempts = attempts
        self._patience = min(timeout, (outages or OutagePolicy()).disable_after)
        self._chance = chance
        self._permits = permits
        self._stream = stream
        self._idle_timeout = idle_timeout
        self._now = asyncio.get_running_loop().time
        self._warned: set[str] = set()
        self._added = asyncio.Event()

    @property
    def capacity(self) -> int:
        """The configured maximum of calls in flight, over all endpoints that are not disabled."""
        return self._pool.capacity

    @property
    def in_flight(self) -> int:
        return self._pool.in_flight

    def status(self) -> tuple[EndpointStatus, ...]:
        """Return the state of every endpoint."""
        return tuple(map(status_of, self._pool.endpoints))

    def set_parallel(self, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint; fewer takes effect as calls end."""
        self._pool.set_limit(parallel)

    def set_rate(self, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint; None is no bound."""
        self._pool.set_rate(rate)

    def add(self, endpoint: Endpoint) -> None:
        """Send calls to a further endpoint; to a known one again, even if it was disabled."""
        self._context.take_in(endpoint.context)
        if not (known := self._endpoints_at(endpoint.address)):
            self._pool.add(self._target(endpoint))
            self._added.set()
        for pooled in known:
            pooled.health.disabled_by = None
            self._pool.resume(pooled)

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

    def _endpoints_at(self, address: str) -> list[PooledEndpoint[Target]]:
        return [pooled for pooled in self._pool.endpoints if pooled.target.address == address]

    def close(self) -> None:
        """Start nothing more. Calls in flight go on; those that wait or back off raise PoolClosed at once."""
        self._pool.close()

    async def watch(self, served_name: str, intervals: PollIntervals = INTERVALS) -> None:
        """Poll the servers' metrics until cancelled, so that no more calls are sent than keep the servers busy.

        The numbers are emitted as ServerSeen. Servers without vLLM's `/metrics` are polled rarely.
        """
        watched = 0
        async with asyncio.TaskGroup() as group:
            while True:
                for pooled in self._pool.endpoints[watched:]:
                    group.create_task(self._watch(pooled, served_name, intervals))
                watched = len(self._pool.endpoints)
                self._added.clear()
                await self._added.wait()

    async def _watch(self, pooled: PooledEndpoint[Target], served_name: str, intervals: PollIntervals) -> None:
        target, health, before = pooled.target, pooled.health, None
        while health.disabled_by is None:
            answered = partial(target.silence.answered, self._now())
            seen = await fetch_metrics(self._session, target.endpoint, served_name, answered)
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
        """Return the reply to one chat request (a JSON body of `chat/completions`), made for `task`.

        Calls with the same `prefix`, whose prompts begin alike, go to the same endpoint as far as it can take them.
        Raises CallFailed when the call failed for good, NeverAsked when no endpoint was left to send it to, and
        PoolClosed after `close` or where `permits` refused a try.
        """
        payload = _encode(body)
        max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
        if max_tokens is not None and not self._context.fits(len(payload), max_tokens):
            await self._context.check(body, max_tokens)
        largest = bound_of(body)
        tries = Tries(self._pool, self._attempts, self._patience, self._chance)
        while True:
            pooled = await self._slot(tries, prefix, task)
            was_trial = pooled.health.is_down
            tries.made += 1
            outcome = await self._try(pooled, payload, max_tokens, largest, task)
            if isinstance(outcome, Completion):
                self._compare(tries)
                self._report_echo(pooled.target, outcome, task, prefix)
                return outcome
            failure, was_stale = outcome
            failure.attempts = tries.made
            if was_trial and tries.made > 1 and failure.kind in OF_SOME_PROMPTS:
                await self._try_tiny(pooled, body)
            pause = tries.failed(pooled, failure, was_stale=was_stale, was_trial=was_trial)
            self._emit(
                CallRetried(self.name, failure.endpoint, failure.kind.value, failure.title, pause, tries.made, task),
            )
            if pause:
                await self._pool.pause(pause)

    def _compare(self, tries: Tries) -> None:
        """Note at which endpoints a call failed that another one has answered now."""
        for pooled, failure in tries.failed_at.items():
            if failure.kind not in PASSING:
                self._pool.outdone(pooled, failure)
                self._report_state(pooled, failure.title)

    async def _try_tiny(self, pooled: PooledEndpoint[Target], body: dict[str, Any]) -> None:
        """Send a tiny call to an endpoint that seems to be down: if it answers, it only fails certain prompts."""
        limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        tiny = {"model": body.get("model"), "messages": [{"role": "user", "content": "Hi"}], limit: 16}
        target = pooled.target
        try:
            status, _ = await fetch(
                self._session,
                target.endpoint,
                target.url,
                time_limit=TINY_CALL_SECONDS,
                largest=LARGEST_ERROR,
                body=target.form.apply(msgspec.json.encode(tiny)),
            )
        except (CallFailed, *FAULTS):
            return
        if status == 200:
            self._pool.recovered(pooled)

    async def _slot(self, tries: Tries, prefix: str, task: TaskKey | None) -> PooledEndpoint[Target]:
        try:
            pooled = await self._pool.acquire(prefix, tries.failed_at)
        except NeverAsked as refusal:
            if not tries.made:
                raise
            raise CallFailed(
                refusal.kind,
                refusal.title,
                endpoint=refusal.endpoint,
                status=refusal.status,
                attempts=tries.made,
                hint=refusal.hint,
            ) from None
        if not self._permits(task):
            self._pool.release(pooled)
            raise PoolClosed
        return pooled

    async def _try(
        self,
        pooled: PooledEndpoint[Target],
        payload: bytes,
        max_tokens: int | None,
        largest: int,
        task: TaskKey | None,
    ) -> Completion | tuple[CallFailed, bool]:
        """Send the request once and release the slot.

        Returns the reply, or the failure and whether a closed idle connection was the cause.
        """
        target = pooled.target
        stale, link = False, Link.begin()
        call = asyncio.current_task()
        assert call is not None
        started = self._now()
        self._emit(target.call_started)
        target.silence.began(call, started)
        try:
            completion = await self._exchange(target, payload, largest)
            seconds = completion.seconds
            doubts = self._context.verify(completion, payload, max_tokens)
        except CallFailed as fault:
            failure = fault
        except FAULTS as error:
            seconds = self._now() - started
            failure = failure_of(error, seconds)
            stale = is_stale(error, seconds, link)
        except BaseException as error:  # cancelled: the connection is closed, and with it the call at the server
            lost = target.silence.lost(call) if isinstance(error, asyncio.CancelledError) else None
            if lost is None:
                self._emit(CallEnded(self.name, target.address, self._now() - started, None, CANCELLED, task))
                self._pool.release(pooled)
                raise
            failure = lost
        else:
            self._pool.succeeded(pooled, started)
            self._pool.release(pooled)
            fingerprint = completion.fingerprint and target.redact(completion.fingerprint)
            self._emit(CallEnded(self.name, target.address, seconds, completion.usage, "", task, fingerprint))
            if target.down_since is not None:
                self._report_state(pooled, "")
            for text in (*completion.warnings, *doubts):
                self.warn(f"{target.address}: {target.redact(text)}")
            return completion
        finally:
            target.silence.ended(call)
        redact = target.redact
        failure.title, failure.hint = redact(failure.title)[:LONGEST_MESSAGE], redact(failure.hint)
        failure.args = (failure.title,)
        failure.endpoint = target.address
        if not stale:
            self._pool.failed(pooled, failure, started)
            self._report_state(pooled, failure.title)
        self._pool.release(pooled)
        self._emit(CallEnded(self.name, target.address, self._now() - started, None, failure.kind.value, task))
        return failure, stale

    async def _exchange(self, target: Target, payload: bytes, largest: int) -> Completion:
        """Send the request and read the reply; once more where the server demands another form of reply.

        Raises CallFailed, and `FAULTS`.
        """
        while True:
            form, started = target.form, self._now()
            status, headers, reply = await target.sender.send(
                form.apply(payload), largest, self._idle_timeout, target.silence.heard
            )
            try:
                return _read(target, status, reply, self._now() - started, headers.get("Location", ""))
            except CallFailed as failure:
                wait = wait_of_headers(headers) if status in LIMITED else None
                failure.retry_after = failure.retry_after if wait is None else wait
                demanded = form_after(form, failure)
                if demanded is None:
                    raise
                if self._stream is False:
                    failure.hint = "remove `stream = false` of this model: the server only streams"
                    raise
                target.form = demanded

    def warn(self, text: str) -> None:
        """Emit a warning about replies of the model once, and no more of them than a reader can take."""
        if text not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(text)
            self._emit(notice("warning", f"{self.name}: {text}"))

    def _report_state(self, pooled: PooledEndpoint[Target], cause: str) -> None:
        """Emit the changes each time that an endpoint goes down, recovers or is disabled."""
        for change in changes_of_state(self.name, pooled, self._pool.endpoints, cause, self._now()):
            self._emit(change)

    def _report_echo(self, target: Target, completion: Completion, task: TaskKey | None, prefix: str) -> None:
        """Warn once per task that a reply holds a secret: results are stored as the model wrote them."""
        if task in target.echoing or not target.redact.finds(completion.content, completion.reasoning):
            return
        target.echoing.add(task)
        self._emit(notice("warning", f"{self.name}: {echo_warning(f'the key of {target.address}', task, prefix)}"))


def echo_warning(secret: str, task: TaskKey | None, question: str) -> str:
    """Return the warning about a reply that holds a secret."""
    place = (f"{task.stage} of {task.model}" if task else "a call") + (f", question {question}" if question else "")
    return (
        f"{secret} is in a reply ({place}), which is stored as it was sent; renew the key, and delete these records "
        "before you publish them"
    )


def _read(target: Target, status: int, reply: bytes, seconds: float, location: str) -> Completion:
    """Return the completion as the model wrote it. Raises CallFailed, whose text is made from the redacted reply.

    A long reply is not redacted before its text is cut: that would hold up all other calls.
    """
    try:
        return read_reply(status, reply, seconds, location)
    except CallFailed:
        if len(reply) > LONGEST_REDACTED:
            raise
    return read_reply(status, target.redact.body(reply), seconds, location)


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError, TypeError) as error:
        raise CallFailed(FailureKind.REJECTED, f"the request cannot be encoded as JSON: {error}", attempts=0) from None
