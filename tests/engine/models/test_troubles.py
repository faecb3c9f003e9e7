"""Servers in trouble, over real HTTP: outages behind proxies, limits per minute, used up quotas, one bad endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from model_servers import BODY, Caller, Connected, Handler, encoded, failure_of, replies

from engine.errors import FailureKind
from engine.models.health import OutagePolicy

Serve = Callable[..., Awaitable[str]]
ServeRaw = Callable[[Connected], Awaitable[str]]

QUICK = OutagePolicy(first_rest=0.01, longest_rest=0.02, longest_refusal=0.05)
CUT = encoded()[:-10]
NULL = msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}]})


def body(text: str) -> dict[str, Any]:
    return {**BODY, "messages": [{"role": "user", "content": text}]}


class Proxy:
    """A TCP proxy in front of a server, as `ssh -L` or a load balancer: it accepts connections during outages."""

    def __init__(self, upstream: str) -> None:
        self._port = int(upstream.rsplit(":", 1)[1].split("/")[0])
        self.is_out = False
        self.answer = b""  # to every request during an outage

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_out:
            if self.answer:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                await writer.drain()
            return
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._pass_on(their_reader, writer))
        await self._pass_on(reader, their_writer)
        await back
        their_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.is_out and (piece := await reader.read(65536)):
            writer.write(piece)
        writer.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"])
async def test_an_outage_behind_a_proxy_costs_no_call(serve: Serve, serve_raw: ServeRaw, caller: Caller, answer: bytes):
    """Each connection is accepted and closed, or answered by 502: nothing is refused, and yet nothing is there."""
    handler, seen = replies(200)
    proxy = Proxy(await serve(handler))
    proxy.answer = answer
    client = caller(await serve_raw(proxy.connected), parallel=8, attempts=2, outages=QUICK)
    await client.complete(BODY)
    proxy.is_out = True
    calls = [asyncio.create_task(client.complete(BODY)) for _ in range(40)]
    await caller.until(lambda: client.status()[0].is_down)
    await caller.until(lambda: caller.kinds.count("CallEnded") > 90)  # more tries than all calls have attempts
    proxy.is_out = False
    await asyncio.gather(*calls)
    assert len(seen) >= 41
    assert "down (" in caller.notices[0].text
    assert "its calls wait" in caller.notices[0].text


async def test_a_prompt_that_always_gets_503_is_no_outage_of_a_server_that_answers_others(serve: Serve, caller: Caller):
    """Its calls end after their attempts, not after the minutes that an outage may last."""

    async def handler(request: web.Request) -> web.Response:
        is_bad = "bad" in await request.text()
        return web.Response(status=503) if is_bad else web.Response(body=encoded())

    client = caller(await serve(handler), attempts=3, outages=QUICK)
    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *(client.complete(body("good")) for _ in range(20)),
            *(client.complete(body("bad")) for _ in range(12)),
            return_exceptions=True,
        )
    assert sum(isinstance(result, Exception) for result in results) == 12
    assert not client.status()[0].disabled


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (400, b""),
        (403, b""),
        (404, b""),
        (429, b""),
        (500, b""),
        (200, encoded("")),
        (200, NULL),
        (200, CUT),
        (200, b"hm"),
        (200, encoded("", "length")),
        (200, encoded("", "content_filter")),
    ],
    ids=["400", "403", "404", "429", "500", "empty", "null", "cut", "junk", "length", "filter"],
)
async def test_one_bad_endpoint_of_two_costs_no_call(serve: Serve, caller: Caller, status: int, reply: bytes):
    asked = 0

    async def bad(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if status == 403 and asked == 1:
            return web.Response(body=encoded())  # the key is accepted
        return web.Response(status=status, body=reply)

    handler, seen = replies(200)
    good = await serve(handler)
    client = caller(await serve(bad), good, parallel=4, attempts=1, outages=OutagePolicy(first_rest=3600.0))
    async with asyncio.timeout(60):
        await asyncio.gather(*(client.complete(BODY, prefix=str(number)) for number in range(160)))
    broken, healthy = client.status()
    assert broken.is_down or broken.disabled
    assert not healthy.is_down
    assert asked < 40
    assert len(seen) >= 159


async def test_an_odd_endpoint_is_set_aside_with_a_warning(serve: Serve, caller: Caller):
    bad, _ = replies(400)
    good, _ = replies(200)
    client = caller(await serve(bad), await serve(good), parallel=4, attempts=1)
    await asyncio.gather(*(client.complete(BODY) for _ in range(40)))
    (warning,) = caller.notices
    assert warning.level == "warning"
    assert "set aside: others answer the calls that fail there (HTTP 400" in warning.text


async def test_a_call_that_every_endpoint_rejects_fails_and_blames_none(serve: Serve, caller: Caller):
    (first, seen_first), (second, seen_second) = replies(400), replies(400)
    client = caller(await serve(first), await serve(second), attempts=5)
    for _ in range(10):
        assert (await failure_of(client.complete(BODY))).attempts == 2
    assert (len(seen_first), len(seen_second)) == (10, 10)
    assert not any(status.is_down for status in client.status())


async def test_tokens_that_a_model_used_up_are_not_spent_once_more_elsewhere(serve: Serve, caller: Caller):
    async def handler(request: web.Request) -> web.Response:
        seen.append(is_long := "long" in await request.text())
        return web.Response(body=encoded("", "length") if is_long else encoded())

    seen: list[bool] = []
    client = caller(await serve(handler), await serve(handler), attempts=3)
    await asyncio.gather(*(client.complete(body("short"), prefix=str(number)) for number in range(20)))
    assert (await failure_of(client.complete(body("long")))).kind is FailureKind.TRUNCATED
    assert sum(seen) == 1


def per_window(allowed: int, refusal: Callable[[], web.Response]) -> tuple[Handler, Callable[[], None], list[int]]:
    """A server with so many answers in a window; gives the handler, what begins a new window, and its counts."""
    counts = [0, 0]  # answered, refused

    async def handler(_: web.Request) -> web.Response:
        if counts[0] < allowed:
            counts[0] += 1
            return web.Response(body=encoded())
        counts[1] += 1
        return refusal()

    def renew() -> None:
        counts[0] = 0

    return handler, renew, counts


async def test_a_limit_per_minute_costs_its_time_and_no_call(serve: Serve, caller: Caller):
    handler, renew, counts = per_window(10, lambda: web.Response(status=429))
    client = caller(await serve(handler), parallel=8, attempts=2, outages=QUICK)
    calls = [asyncio.create_task(client.complete(BODY)) for _ in range(25)]
    for windows in (1, 2, 3):
        await caller.until(lambda: counts[1] > 30 * windows or all(call.done() for call in calls))  # noqa: B023
        renew()
    async with asyncio.timeout(60):
        await asyncio.gather(*calls)
    assert "refuses every call (HTTP 429), its calls wait" in caller.notices[0].text


async def test_a_window_that_is_used_up_at_the_start_costs_no_call(serve: Serve, caller: Caller):
    handler, _, counts = per_window(0, lambda: web.Response(status=429))
    client = caller(await serve(handler), parallel=8, attempts=2, outages=QUICK)
    calls = [asyncio.create_task(client.complete(BODY)) for _ in range(25)]
    await caller.until(lambda: counts[1] > 40)
    counts[0] = -1000
    async with asyncio.timeout(60):
        await asyncio.gather(*calls)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Retry-After": "30"}, {}),
        ({"retry-after-ms": "30000"}, {}),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}, {}),
        ({"ratelimit-reset": "30"}, {}),
        ({"RateLimit": '"default";r=0;t=30'}, {}),
        ({}, {"code": 429, "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]}),
        ({}, {"message": "Rate limit reached for requests. Please try again in 30s."}),
    ],
)
async def test_a_refused_call_waits_as_long_as_the_server_asks(serve: Serve, caller: Caller, headers, error):
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"error": error}, status=429, headers=headers)

    client = caller(await serve(handler))
    call = asyncio.create_task(client.complete(BODY))
    await caller.until(lambda: "CallRetried" in caller.kinds)
    assert caller.events[-1].delay == 30.0
    call.cancel()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"code": "insufficient_quota", "message": "You exceeded your current quota, please check your plan."}),
        (402, {"message": "Insufficient Balance"}),
        (429, {"message": "Your account has a billing problem"}),
        (429, {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits"}),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to access this API"}),
        (400, {"code": "Arrearage", "message": "Access denied"}),
        (
            429,
            {
                "message": "Quota",
                "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject-FreeTier"}]}],
            },
        ),
    ],
)
async def test_a_quota_that_is_used_up_stops_the_model_at_once_with_the_reason(
    serve: Serve, caller: Caller, status: int, error: dict[str, Any]
):
    requests = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return web.json_response({"error": error}, status=status)

    client = caller(await serve(handler), parallel=1)
    failures = await asyncio.gather(*(failure_of(client.complete(BODY)) for _ in range(20)))
    assert {failure.kind for failure in failures} == {FailureKind.QUOTA}
    assert requests == 1
    (shown,) = caller.notices
    assert "disabled, no endpoint is left for its calls: HTTP" in shown.text
    assert "check the plan" in shown.text


async def test_a_limit_per_minute_that_speaks_of_billing_is_no_used_up_quota(serve: Serve, caller: Caller):
    """Gemini's free tier words its limits so, with the seconds to wait."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}]
    error = {"code": 429, "message": "You exceeded your current quota, check your plan and billing", "details": details}
    asked = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response([{"error": error}], status=429) if asked == 1 else web.Response(body=encoded())

    assert (await caller(await serve(handler)).complete(BODY)).content == "Hi there."
