"""A call over real HTTP: it ends as a completion or as one failure, whatever the server does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from model_servers import BODY, KEY, Caller, Connected, encoded, failure_of, http, read_request, replies, reply

from engine.errors import ArenaError, FailureKind
from engine.events import CallEnded, CallRetried, CallStarted
from engine.models.health import OutagePolicy
from engine.models.limits import PoolClosed
from engine.records import Usage

Serve = Callable[..., Awaitable[str]]
ServeRaw = Callable[[Connected], Awaitable[str]]


async def test_a_call_is_one_post_of_the_body_with_the_key(serve: Serve, caller: Caller):
    bodies: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append((request.method, request.path, request.headers["Authorization"], await request.json()))
        return web.Response(body=encoded("Привет"), content_type="application/json")

    client = caller(await serve(handler), api_key=f"{KEY}\n")
    completion = await client.complete(BODY)
    assert bodies == [("POST", "/v1/chat/completions", f"Bearer {KEY}", BODY)]
    assert (completion.content, completion.usage) == ("Привет", Usage(12, 8))
    assert completion.seconds > 0


async def test_events_tell_of_the_call_and_of_what_it_used(serve: Serve, caller: Caller):
    handler, _ = replies(200)
    base_url = await serve(handler)
    await caller(base_url).complete(BODY)
    started, ended = caller.events
    assert started == CallStarted("tiny", base_url)
    assert isinstance(ended, CallEnded)
    assert (ended.endpoint, ended.usage, ended.error) == (base_url, Usage(12, 8), "")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(serve: Serve, caller: Caller, status: int):
    handler, seen = replies(status, 200)
    completion = await caller(await serve(handler)).complete(BODY)
    assert completion.content == "Hi there."
    assert len(seen) == 2
    assert caller.kinds == ["CallStarted", "CallEnded", "CallRetried", "CallStarted", "CallEnded"]


async def test_trouble_that_stays_ends_as_a_failure_after_the_allowed_tries(serve: Serve, caller: Caller):
    handler, seen = replies(500)
    base_url = await serve(handler)
    failure = await failure_of(caller(base_url, attempts=4).complete(BODY))
    assert (failure.kind, failure.status, failure.attempts) == (FailureKind.SERVER, 500, 4)
    assert failure.endpoint == base_url
    assert len(seen) == 4


@pytest.mark.parametrize("status", [400, 404, 422, 302])
async def test_what_will_never_work_is_sent_once(serve: Serve, caller: Caller, status: int):
    handler, seen = replies(status)
    failure = await failure_of(caller(await serve(handler)).complete(BODY))
    assert (failure.kind, failure.attempts, len(seen)) == (FailureKind.REJECTED, 1, 1)


async def test_a_server_that_sends_calls_elsewhere_gets_no_second_request(serve: Serve, caller: Caller):
    handler, seen = replies(307, headers={"Location": "/elsewhere"})
    failure = await failure_of(caller(await serve(handler), api_key=KEY).complete(BODY))
    assert (failure.kind, failure.status, len(seen)) == (FailureKind.REJECTED, 307, 1)
    assert "base_url" in failure.hint


async def test_a_wrong_key_is_tried_once_and_then_never_again(serve: Serve, caller: Caller):
    handler, seen = replies(401)
    client = caller(await serve(handler), api_key=KEY, parallel=1)
    failures = await asyncio.gather(*(failure_of(client.complete(BODY)) for _ in range(20)))
    assert {failure.kind for failure in failures} == {FailureKind.UNAUTHORIZED}
    assert {failure.hint for failure in failures} == {"check the api_key of this endpoint"}
    assert len(seen) == 1
    assert client.status()[0].disabled
    (shown,) = caller.notices
    assert " disabled, " in shown.text
    assert "check the api_key of this endpoint" in shown.text


async def test_a_single_call_that_is_refused_fails_alone_where_others_were_taken(serve: Serve, caller: Caller):
    handler, seen = replies(200, 403, 200)
    client = caller(await serve(handler), parallel=1)
    await client.complete(BODY)
    failure = await failure_of(client.complete(BODY))
    assert (failure.status, failure.attempts) == (403, 1)
    await client.complete(BODY)
    assert len(seen) == 3


async def test_a_wrong_key_at_one_endpoint_costs_no_call_while_there_is_another(serve: Serve, caller: Caller):
    locked, _ = replies(401)
    open_to_all, seen = replies(200)
    client = caller(await serve(locked), await serve(open_to_all), parallel=2, attempts=1)
    await asyncio.gather(*(client.complete(BODY) for _ in range(10)))
    assert len(seen) == 10


async def test_retry_after_is_honoured(serve: Serve, caller: Caller):
    times: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "0.4"})
        return web.Response(body=encoded())

    client = caller(await serve(handler))
    await client.complete(BODY)
    assert times[1] - times[0] >= 0.4
    (retried,) = (event for event in caller.events if isinstance(event, CallRetried))
    assert (retried.error, retried.delay, retried.attempt) == ("rate_limited", 0.4, 1)


async def test_a_failed_call_holds_no_slot_while_it_backs_off(serve: Serve, caller: Caller):
    handler, seen = replies(500, 200)
    client = caller(await serve(handler), parallel=1, chance=lambda: 0.3)
    slow = asyncio.create_task(client.complete(BODY))
    await caller.until(lambda: "CallRetried" in caller.kinds)
    await client.complete(BODY)
    assert not slow.done()
    await slow
    assert len(seen) == 3


async def test_more_calls_than_parallel_are_never_out(serve: Serve, caller: Caller):
    out = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal out, most
        out += 1
        most = max(most, out)
        await asyncio.sleep(0.002)
        out -= 1
        return web.Response(body=encoded())

    client = caller(await serve(handler), parallel=5)
    await asyncio.gather(*(client.complete(BODY) for _ in range(100)))
    assert most == 5
    assert client.in_flight == 0


async def test_connection_refused_says_so(caller: Caller, unused_tcp_port: int):
    failure = await failure_of(caller(f"http://127.0.0.1:{unused_tcp_port}/v1").complete(BODY))
    assert (failure.kind, failure.title, failure.attempts) == (FailureKind.CONNECTION, "connection refused", 3)


async def test_a_host_that_does_not_exist_says_so(caller: Caller):
    failure = await failure_of(caller("http://no-such-host.invalid/v1", attempts=1).complete(BODY))
    assert failure.kind is FailureKind.CONNECTION


async def test_plain_http_under_an_https_address_is_a_tls_problem(serve: Serve, caller: Caller):
    handler, _ = replies(200)
    base_url = (await serve(handler)).replace("http:", "https:")
    failure = await failure_of(caller(base_url, attempts=1).complete(BODY))
    assert (failure.kind, failure.title[:4]) == (FailureKind.CONNECTION, "TLS:")


async def test_a_silent_server_is_left_after_the_time_limit(serve: Serve, caller: Caller):
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    failure = await failure_of(caller(await serve(handler), timeout=0.1, attempts=2).complete(BODY))
    assert (failure.kind, failure.attempts) == (FailureKind.TIMEOUT, 2)
    assert "timeout" in failure.hint


async def test_a_dribbling_server_is_left_after_the_time_limit(serve_raw: ServeRaw, caller: Caller):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b"", length=10_000))
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.01)

    failure = await failure_of(caller(await serve_raw(connected), timeout=0.15, attempts=1).complete(BODY))
    assert failure.kind is FailureKind.TIMEOUT


async def test_interim_replies_without_end_fail_their_call(serve_raw: ServeRaw, caller: Caller):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        with suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
                await writer.drain()

    failure = await failure_of(caller(await serve_raw(connected), attempts=1).complete(BODY))
    assert (failure.kind, failure.title) == (FailureKind.MALFORMED, "more than 100 interim replies came before one")


async def test_an_idle_connection_that_the_server_dropped_costs_no_attempt(serve_raw: ServeRaw, caller: Caller):
    connections = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(http(encoded()))
        if connections == 1:
            await read_request(reader)  # and says nothing to the second request: the connection had its time
        else:
            await reader.read()

    client = caller(await serve_raw(connected), attempts=1)
    await client.complete(BODY)
    assert (await client.complete(BODY)).content == "Hi there."
    (retried,) = (event for event in caller.events if isinstance(event, CallRetried))
    assert retried.delay == 0


async def test_many_idle_connections_that_the_server_dropped_are_no_sign_of_an_outage(
    serve_raw: ServeRaw, caller: Caller
):
    connections = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        first_of_all = connections <= 20
        while await read_request(reader):
            writer.write(http(encoded()))
            if first_of_all:
                await read_request(reader)
                return

    client = caller(await serve_raw(connected), parallel=80, attempts=1, outages=OutagePolicy(first_rest=3600))
    async with asyncio.timeout(10):  # if it were down, it would rest for an hour
        for _ in range(2):
            await asyncio.gather(*(client.complete(BODY) for _ in range(20)))
    assert caller.kinds.count("CallRetried") == 20


async def test_a_server_that_always_drops_the_connection_is_not_asked_for_ever(serve_raw: ServeRaw, caller: Caller):
    requests = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1

    failure = await failure_of(caller(await serve_raw(connected), attempts=2).complete(BODY))
    assert (failure.kind, failure.attempts, requests) == (FailureKind.CONNECTION, 2, 2)


async def test_a_connection_lost_inside_the_reply_is_tried_again(serve_raw: ServeRaw, caller: Caller):
    requests = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1
        body = encoded()
        writer.write(http(body[:40], length=len(body)) if requests == 1 else http(body))

    assert (await caller(await serve_raw(connected)).complete(BODY)).content == "Hi there."
    assert requests == 2


async def test_what_is_no_http_is_malformed(serve_raw: ServeRaw, caller: Caller):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    failure = await failure_of(caller(await serve_raw(connected), attempts=1).complete(BODY))
    assert failure.kind is FailureKind.MALFORMED


async def test_an_endless_reply_is_cut_off(serve_raw: ServeRaw, caller: Caller):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()

    failure = await failure_of(caller(await serve_raw(connected), attempts=1).complete(BODY))
    assert (failure.kind, failure.title) == (
        FailureKind.MALFORMED,
        "the reply is longer than 64 MiB",
    )


@pytest.mark.parametrize("announced", [True, False])
async def test_a_reply_far_longer_than_max_tokens_is_not_read(serve_raw: ServeRaw, caller: Caller, announced: bool):
    """60 MiB for 256 tokens: the connection is closed after a few hundred KiB."""
    sent = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        length = 60 * 2**20
        head = f"Content-Length: {length}" if announced else "Connection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        writer.write(encoded()[:1])
        with suppress(ConnectionError):
            while sent < length and not writer.is_closing():
                writer.write(b" " * 2**16)
                await writer.drain()
                sent += 2**16

    failure = await failure_of(caller(await serve_raw(connected), attempts=1).complete({**BODY, "max_tokens": 256}))
    assert (failure.kind, failure.title) == (FailureKind.MALFORMED, "the reply is longer than 512 KiB")
    assert sent < 30 * 2**20, "and what the kernel buffers"


async def test_the_longest_reply_that_was_asked_for_is_read(serve: Serve, caller: Caller):
    text = "\U0001f600" * 1000  # 12 bytes each, escaped
    top = [{"token": "\U0001f600", "logprob": -1.0, "bytes": [240, 159, 152, 128]}] * 20
    logprobs = {"content": [{**top[0], "top_logprobs": top}] * 1000}

    async def handler(_: web.Request) -> web.Response:
        answer = reply(text)
        answer["choices"][0]["logprobs"] = logprobs
        return web.json_response(answer)

    asked = {**BODY, "max_tokens": 1000, "logprobs": True, "top_logprobs": 20}
    assert (await caller(await serve(handler)).complete(asked)).content == text


@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_without_an_end_is_read_in_part(serve_raw: ServeRaw, caller: Caller, status: int):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 {status} Error\r\nConnection: close\r\n\r\nno memory".encode())
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" " * 2**16)
                await writer.drain()

    failure = await failure_of(caller(await serve_raw(connected), attempts=1).complete(BODY))
    assert (failure.status, failure.title) == (status, f"HTTP {status}: no memory")


async def test_thinking_without_an_answer_is_not_asked_for_again(serve: Serve, caller: Caller):
    requests = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return web.Response(body=encoded("<think>so", "length"))

    failure = await failure_of(caller(await serve(handler)).complete(BODY))
    assert (failure.kind, requests) == (FailureKind.TRUNCATED, 1)


async def test_no_event_and_no_error_holds_the_key(serve: Serve, caller: Caller):
    handler, _ = replies(500, 400)
    base_url = (await serve(handler)).replace("://", f"://user:{KEY}@") + f"?token={KEY}"
    client = caller(base_url, api_key=KEY)
    failure = await failure_of(client.complete(BODY))
    shown = [*caller.events, failure, failure.title, failure.hint, failure.args, failure.endpoint, client.status()]
    assert KEY not in repr(shown)
    assert "trouble with [key]" in failure.title


async def test_a_key_that_no_header_can_hold_is_reported_at_once_and_not_shown(caller: Caller):
    with pytest.raises(ArenaError) as caught:
        caller("http://127.0.0.1:1/v1", api_key="sk-one\nsk-two")
    assert "sk-" not in str(caught.value)


async def test_a_user_and_a_query_in_the_address_are_sent_along(serve: Serve, caller: Caller):
    handler, seen = replies(200)
    base_url = await serve(handler)
    client = caller(base_url.replace("://", "://me:pass@") + "?api-version=7")
    await client.complete(BODY)
    assert seen[0].headers["Authorization"] == aiohttp.encode_basic_auth("me", "pass")
    assert seen[0].query_string == "api-version=7"


async def test_closing_lets_calls_in_flight_end_and_starts_no_others(serve: Serve, caller: Caller):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.Response(body=encoded())

    client = caller(await serve(handler), parallel=1)
    first, second = (asyncio.create_task(client.complete(BODY)) for _ in range(2))
    await asked.wait()
    client.close()
    with pytest.raises(PoolClosed):
        await second
    answer.set()
    assert (await first).content == "Hi there."


async def test_closing_wakes_a_call_that_backs_off(serve: Serve, caller: Caller):
    handler, seen = replies(429, headers={"Retry-After": "300"})
    client = caller(await serve(handler))
    call = asyncio.create_task(client.complete(BODY))
    await caller.until(lambda: "CallRetried" in caller.kinds)
    client.close()
    with pytest.raises(PoolClosed):
        await asyncio.wait_for(call, 2)
    assert len(seen) == 1


async def test_a_cancelled_call_is_aborted_at_the_server_and_reported_as_ended(serve_raw: ServeRaw, caller: Caller):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()
        gone.set()

    client = caller(await serve_raw(connected))
    call = asyncio.create_task(client.complete(BODY))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(gone.wait(), 2)
    assert caller.kinds == ["CallStarted", "CallEnded"]
    assert client.in_flight == 0


async def test_an_endpoint_that_is_down_loses_no_call_to_itself(serve: Serve, caller: Caller, unused_tcp_port: int):
    handler, seen = replies(200)
    client = caller(f"http://127.0.0.1:{unused_tcp_port}/v1", await serve(handler), parallel=4, attempts=5)
    await asyncio.gather(*(client.complete(BODY) for _ in range(200)))
    assert len(seen) == 200
    down, up = client.status()
    assert down.is_down
    assert not up.is_down


async def test_an_outage_costs_its_time_and_no_call(serve: Serve, caller: Caller, unused_tcp_port: int):
    handler, seen = replies(200)
    outages = OutagePolicy(first_rest=0.01, longest_rest=0.02)
    client = caller(f"http://127.0.0.1:{unused_tcp_port}/v1", parallel=8, attempts=3, outages=outages)
    calls = [asyncio.create_task(client.complete(BODY)) for _ in range(10)]
    await caller.until(lambda: client.status()[0].is_down)
    await caller.until(lambda: caller.kinds.count("CallEnded") > 50)  # more trials than all calls have attempts
    await serve(handler, port=unused_tcp_port)
    assert len(await asyncio.gather(*calls)) == len(seen) == 10
    assert not client.status()[0].is_down
    down, back = caller.notices
    assert down.level == "warning"
    assert "down (connection refused), its calls wait" in down.text
    assert "recovered after" in back.text


async def test_an_endpoint_that_stays_down_is_disabled_and_all_calls_end(caller: Caller, unused_tcp_port: int):
    outages = OutagePolicy(first_rest=0.01, longest_rest=0.02, disable_after=0.2)
    client = caller(f"http://127.0.0.1:{unused_tcp_port}/v1", parallel=8, outages=outages)
    failures = await asyncio.gather(*(failure_of(client.complete(BODY)) for _ in range(100)))
    assert {failure.kind for failure in failures} == {FailureKind.CONNECTION}
    assert client.status()[0].disabled == "connection refused"
    assert [notice.level for notice in caller.notices] == ["warning", "error"]
    assert "disabled, no endpoint is left for its calls: connection refused" in caller.notices[1].text


async def test_parallel_changes_while_calls_run(serve: Serve, caller: Caller):
    out = most = 0
    six, gate = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal out, most
        out += 1
        most = max(most, out)
        if most == 6:
            six.set()
        await gate.wait()
        out -= 1
        return web.Response(body=encoded())

    client = caller(await serve(handler), parallel=1)
    calls = [asyncio.create_task(client.complete(BODY)) for _ in range(10)]
    client.set_parallel(6)
    await asyncio.wait_for(six.wait(), 5)
    gate.set()
    await asyncio.gather(*calls)
    assert most == 6
    assert client.capacity == 6


async def test_a_request_that_is_no_json_fails_without_traffic(serve: Serve, caller: Caller):
    handler, seen = replies(200)
    client = caller(await serve(handler))
    failure = await failure_of(client.complete({"messages": [{"content": "half a character: \ud83d"}]}))
    assert (failure.kind, seen) == (FailureKind.REJECTED, [])
