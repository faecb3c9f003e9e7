"""Silent servers: long replies are waited for, lost calls are detected long before their time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from model_servers import BODY, Connected, Handler, encoded, http, read_request

from engine.errors import CallFailed, FailureKind
from engine.events import CallEnded, Event
from engine.models.client import Endpoint, ModelClient
from engine.models.silence import TASK_NAME

QUIET = 0.15
WORKING = 'vllm:num_requests_running{engine="0",model_name="tiny"} 1.0\n'
IDLE = WORKING.replace("1.0", "0.0") + 'vllm:num_requests_waiting{engine="0",model_name="tiny"} 0.0\n'

MakeClient = Callable[..., ModelClient]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def client(session: aiohttp.ClientSession, events: list[Event]) -> MakeClient:
    def make(base_url: str, **options: Any) -> ModelClient:
        settings = {"parallel": 8, "attempts": 2, "idle_timeout": QUIET, "timeout": 600.0, "chance": lambda: 0.0}
        return ModelClient("tiny", [Endpoint(base_url)], session=session, emit=events.append, **(settings | options))

    return make


def server_with_metrics(metrics: str | None) -> tuple[Handler, asyncio.Event, asyncio.Event]:
    """A handler that holds every chat call until the first event, and sets the second one after some questions."""
    answer, asked = asyncio.Event(), asyncio.Event()
    questions = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal questions
        if request.path == "/metrics":
            questions += 1
            if questions == 4:
                asked.set()
            return web.Response(text=metrics) if metrics is not None else web.Response(status=404)
        await answer.wait()
        return web.Response(body=encoded())

    return handler, answer, asked


@pytest.mark.parametrize("metrics", [WORKING, None, "no numbers of vLLM's"], ids=["working", "without", "others"])
async def test_a_long_silent_reply_of_a_server_that_is_there_is_waited_for(serve, client: MakeClient, metrics):
    handler, answer, asked = server_with_metrics(metrics)
    call = asyncio.create_task(client(await serve(handler)).complete(BODY))
    async with asyncio.timeout(60):
        await asked.wait()
        assert not call.done()
        answer.set()
        assert (await call).content == "Hi there."


async def test_a_call_that_the_server_does_not_know_of_is_sent_again(serve, client: MakeClient, events: list[Event]):
    requests = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal requests
        if request.path == "/metrics":
            return web.Response(text=IDLE)
        requests += 1
        if requests == 1:
            await asyncio.Event().wait()
        return web.Response(body=encoded())

    async with asyncio.timeout(60):
        await client(await serve(handler)).complete(BODY)
    assert requests == 2
    assert [event.error for event in events if isinstance(event, CallEnded)] == ["timeout", ""]


async def test_a_server_that_is_not_there_any_more_loses_all_its_calls_with_the_reason(serve_raw, client: MakeClient):
    probes = 0

    async def freezing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal probes
        if b"/metrics" in await read_request(reader):
            probes += 1
            if probes == 1:
                writer.write(http(b"", status="404 Not Found"))
        await reader.read()

    tiny = client(await serve_raw(freezing), attempts=1)
    async with asyncio.timeout(60):
        failures = await asyncio.gather(*(tiny.complete(BODY) for _ in range(5)), return_exceptions=True)
    for failure in failures:
        assert isinstance(failure, CallFailed)
        assert failure.kind is FailureKind.TIMEOUT
        assert "does not answer GET /metrics" in failure.title
        assert "idle_timeout" in failure.hint
    assert tiny.in_flight == 0


async def test_a_server_that_does_one_thing_at_a_time_is_waited_for(serve_raw, client: MakeClient):
    """It answers no probe while it writes; it did so between two replies, while calls waited for their turn."""
    turn, probes, asked = asyncio.Lock(), 0, asyncio.Event()
    answer = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal probes
        request = await read_request(reader)
        if b"/metrics" in request:
            probes += 1
            if probes == 5:
                asked.set()
        async with turn:
            if b"/metrics" not in request:
                await answer.wait()
            writer.write(http(encoded() if b"/metrics" not in request else b""))

    tiny = client(await serve_raw(connected))
    calls = [asyncio.create_task(tiny.complete(BODY)) for _ in range(3)]
    async with asyncio.timeout(60):
        await asked.wait()
        assert not any(call.done() for call in calls)
        answer.set()
        assert len(await asyncio.gather(*calls)) == 3


async def test_a_server_whose_port_is_closed_loses_its_calls_whatever_it_answered_before(client: MakeClient):
    """As where a proxy holds the connections of a server that is gone."""
    held: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        server.close()
        await reader.read()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    tiny = client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", attempts=1)
    with pytest.raises(CallFailed, match="nothing accepts connections there"):
        await asyncio.wait_for(tiny.complete(BODY), 60)
    held[0].close()


async def test_replies_of_others_are_a_sign_of_life(serve, client: MakeClient):
    """Nothing is asked of a server that keeps answering."""
    questions = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal questions
        if request.path == "/metrics":
            questions += 1
        await asyncio.sleep(0.02)
        return web.Response(body=encoded())

    tiny = client(await serve(handler), idle_timeout=5.0)
    for _ in range(20):
        await tiny.complete(BODY)
    assert questions == 0


async def test_a_call_cancelled_by_its_owner_is_not_taken_for_a_lost_one(serve_raw, client: MakeClient):
    asked = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if b"/metrics" in request:
            asked.set()
        await reader.read()

    call = asyncio.create_task(client(await serve_raw(connected)).complete(BODY))
    await asyncio.wait_for(asked.wait(), 60)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    watches = [task for task in asyncio.all_tasks() if task.get_name() == TASK_NAME]
    await asyncio.gather(*watches, return_exceptions=True)
    assert all(watch.cancelled() for watch in watches), "the watch ends with the last call"


async def test_a_reply_that_stops_in_its_middle_is_left_after_the_pause_not_after_the_time_limit(
    serve_raw: Callable[[Connected], Awaitable[str]], client: MakeClient
):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/metrics" in await read_request(reader):
            return
        body = encoded()
        writer.write(http(body[:40], length=len(body)))
        await reader.read()

    tiny = client(await serve_raw(connected), attempts=1)
    with pytest.raises(CallFailed) as caught:
        await asyncio.wait_for(tiny.complete(BODY), 60)
    assert (caught.value.kind, caught.value.title[:26]) == (FailureKind.TIMEOUT, "the reply stopped midway: ")


async def test_a_slow_reply_that_never_pauses_for_long_comes_whole(serve_raw, client: MakeClient):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        body = encoded()
        writer.write(http(b"", length=len(body)))
        for start in range(0, len(body), 50):
            await asyncio.sleep(0.05)
            writer.write(body[start : start + 50])
        await reader.read()

    tiny = client(await serve_raw(connected), attempts=1, idle_timeout=2.0)
    assert (await tiny.complete(BODY)).content == "Hi there."
