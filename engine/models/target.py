"""An endpoint as the calls of one model see it: URL, headers, the watch on its silence, and notices of its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import aiohttp

from engine.errors import as_line
from engine.events import CallStarted, EndpointChanged, EndpointStatus, Event, TaskKey, notice, steady_now
from engine.models.connection import proxy_for
from engine.models.endpoint import Endpoint
from engine.models.limits import PooledEndpoint
from engine.models.sender import RequestSender
from engine.models.silence import LONGEST_PROBE, Activity, SilenceWatch, probe_activity
from engine.models.stream import ReplyForm


class Target:
    """An endpoint with what all its calls have in common."""

    __slots__ = (
        "address",
        "call_started",
        "disabled_reported",
        "down_since",
        "echoing",
        "endpoint",
        "form",
        "redact",
        "sender",
        "silence",
        "url",
    )

    def __init__(
        self,
        model: str,
        endpoint: Endpoint,
        session: aiohttp.ClientSession,
        *,
        timeout: float,
        idle_timeout: float,
        form: ReplyForm = ReplyForm.WHOLE,
    ) -> None:
        async def probe() -> Activity:
            return await probe_activity(session, endpoint, min(LONGEST_PROBE, idle_timeout))

        self.endpoint = endpoint
        self.redact = endpoint.redact
        self.form = form  # in which replies are requested; it changes when the server demands another one
        self.silence = SilenceWatch(idle_timeout, probe, timeout)
        self.down_since: float | None = None  # since when it is reported as down
        self.disabled_reported = False
        self.echoing: set[TaskKey | None] = set()  # tasks for which it is reported that replies hold a secret
        self.address = endpoint.address
        self.call_started = CallStarted(model, self.address)
        self.url = endpoint.url("chat/completions")
        headers = {"Content-Type": "application/json", **endpoint.headers()}
        self.sender = RequestSender(session, self.url, headers, proxy_for(self.url))


def status_of(pooled: PooledEndpoint[Target]) -> EndpointStatus:
    """Return the state of an endpoint."""
    health = pooled.health
    disabled = health.disabled_by.title if health.disabled_by else ""
    return EndpointStatus(
        pooled.target.address, pooled.in_flight, health.limit, health.ceiling, health.is_down, disabled
    )


def changes_of_state(
    model: str, pooled: PooledEndpoint[Target], every: Sequence[PooledEndpoint[Target]], cause: str, now: float
) -> Iterator[Event]:
    """Yield a notice and the change each time that an endpoint of `every` goes down, recovers or is disabled."""
    target, health = pooled.target, pooled.health
    name, cause = f"{model}: {target.address}", as_line(cause)
    has_others = any(each.health.disabled_by is None for each in every if each is not pooled)
    moment = steady_now()
    if (why := health.disabled_by) is not None:
        if target.disabled_reported:
            return
        target.disabled_reported = True
        rest = "its calls go to the other endpoints" if has_others else "no endpoint is left for its calls"
        yield notice("error", as_line(f"{name} disabled, {rest}: {why.title}", why.hint))
        yield EndpointChanged(model, target.address, "disabled", moment, why.title)
    elif health.stays_down and target.down_since is None:
        target.down_since = now - health.failing_for(now)
        rest = "its calls go to the other endpoints" if has_others else "its calls wait"
        if health.is_odd:
            yield notice("warning", f"{name} set aside: others answer the calls that fail there ({cause})")
        elif health.is_refusing:
            yield notice("warning", f"{name} refuses every call ({cause}), {rest}; retried after growing rests")
        else:
            yield notice("warning", f"{name} down ({cause}), {rest}; retried every few seconds")
        since = moment - health.failing_for(now)
        yield EndpointChanged(model, target.address, "down", since, cause, since + health.disable_after)
    elif target.down_since is not None and not health.is_down:
        away, target.down_since = now - target.down_since, None
        yield notice("info", f"{name} recovered after {away:.0f} s")
        yield EndpointChanged(model, target.address, "ready", moment)
