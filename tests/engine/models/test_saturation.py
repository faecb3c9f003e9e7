"""How many calls are out follows what the server says of its queue, and never exceeds what was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from model_servers import BODY, encoded

from engine.errors import CallFailed, FailureKind
from engine.events import Event, ServerSeen
from engine.models.client import Endpoint, ModelClient, PollIntervals
from engine.models.health import FEW, Health, OutagePolicy
from engine.simulator import SimulatedModel, SimulatorConfig, running_simulator

QUICK = PollIntervals(rising=0.02, steady=0.02, silent=0.02)
TOO_MANY = CallFailed(FailureKind.RATE_LIMITED, "HTTP 429", status=429)


@pytest.fixture
def health() -> Health:
    begun = Health(64, OutagePolicy())
    begun.start_low()
    return begun


def report(health: Health, running: int, waiting: int, *, in_flight: int | None = None, was_full: bool = False) -> None:
    out = health.limit if in_flight is None else in_flight
    health.queue_reported(running, waiting, was_full=was_full, in_flight=out)


def test_an_endpoint_is_started_low_and_doubled_while_nothing_waits_there(health: Health):
    limits = [health.limit]
    for _ in range(4):
        report(health, running=health.limit, waiting=0)
        limits.append(health.limit)
    assert limits == [16, 32, 64, 64, 64]


def test_a_small_number_of_calls_is_begun_with_at_once():
    few = Health(3, OutagePolicy())
    few.start_low()
    assert few.limit == 3


def test_good_replies_raise_it_too_where_no_queue_is_known(health: Health):
    for _ in range(16):
        health.succeeded(in_flight=health.limit)
    assert health.limit == 32


def test_while_calls_wait_there_it_does_not_rise(health: Health):
    report(health, running=14, waiting=2)
    for _ in range(100):
        health.succeeded(in_flight=health.limit)
    assert health.limit == 16
    report(health, running=16, waiting=0)
    assert health.limit == 32, "a burst that waited for a moment is no sign of a full server"


def test_a_server_that_falls_silent_about_its_queue_is_left_to_its_replies(health: Health):
    report(health, running=14, waiting=2)
    health.queue_unknown()
    health.succeeded(in_flight=health.limit)
    assert health.limit == 17


def test_calls_that_wait_in_vain_are_taken_off_the_limit(health: Health):
    for _ in range(3):
        report(health, running=health.limit, waiting=0)
    report(health, running=10, waiting=54)
    assert health.limit == 64, "it may be a burst"
    report(health, running=10, waiting=54)
    assert health.limit == 20
    report(health, running=10, waiting=54, in_flight=64)
    assert health.limit == 20, "what was out before is not counted against it again"


def test_once_it_was_full_it_rises_by_one_at_a_time(health: Health):
    for _ in range(2):
        report(health, running=5, waiting=11)
    assert health.limit == 10
    for _ in range(3):
        report(health, running=health.limit, waiting=0)
    assert health.limit == 13
    for _ in range(4):
        health.failed(TOO_MANY, started=1.0, now=1.1, in_flight=13)
    assert health.limit == 6


def test_work_done_twice_for_want_of_memory_makes_it_fewer_once_until_those_are_done(health: Health):
    report(health, running=16, waiting=0, was_full=True)
    assert health.limit == 12
    report(health, running=16, waiting=0, was_full=True, in_flight=16)
    assert health.limit == 12
    report(health, running=12, waiting=0, was_full=True)
    assert health.limit == 9


def test_a_limit_that_is_not_used_does_not_rise(health: Health):
    report(health, running=3, waiting=0, in_flight=3)
    assert health.limit == 16


numbers = st.integers(0, 500)
says = st.tuples(numbers, numbers, numbers, st.booleans(), st.booleans())


@given(st.integers(1, 200), st.lists(says, max_size=50))
def test_whatever_a_server_says_the_limit_stays_between_one_and_what_was_asked_for(ceiling, sayings):
    health = Health(ceiling, OutagePolicy())
    health.start_low()
    for running, waiting, in_flight, was_full, succeeds in sayings:
        health.queue_reported(running, waiting, was_full=was_full, in_flight=in_flight)
        if succeeds:
            health.succeeded(in_flight)
        assert 1 <= health.limit <= ceiling


@pytest.fixture
def client(session: aiohttp.ClientSession) -> Callable[..., ModelClient]:
    def make(url: str, emit: Callable[[Event], None] = lambda _: None, **more: Any) -> ModelClient:
        return ModelClient("m", [Endpoint(url)], session=session, emit=emit, **{"parallel": 64} | more)

    return make


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_server_with_room_is_filled_before_its_first_reply(client):
    config = SimulatorConfig(models=[SimulatedModel(name="tiny")], latency=20.0, max_running=256)
    async with running_simulator(config) as url:
        calls = client(f"{url}/v1")
        assert calls.status()[0].limit == 16
        watching = asyncio.create_task(calls.watch("tiny", QUICK))
        out = [asyncio.create_task(calls.complete(BODY)) for _ in range(200)]
        await until(lambda: calls.in_flight == 64)
        await asyncio.sleep(5 * QUICK.steady)  # asked a few times more
        assert calls.in_flight == 64
        for task in (watching, *out):
            task.cancel()
        await asyncio.gather(watching, *out, return_exceptions=True)


async def test_a_server_that_lets_calls_wait_gets_only_what_keeps_it_busy(client):
    config = SimulatorConfig(models=[SimulatedModel(name="tiny")], latency=0.1, max_running=6)
    seen: list[Event] = []
    async with running_simulator(config) as url:
        calls = client(f"{url}/v1", seen.append)
        watching = asyncio.create_task(calls.watch("tiny", QUICK))
        out = [asyncio.create_task(calls.complete(BODY)) for _ in range(400)]
        await until(lambda: any(isinstance(event, ServerSeen) and event.numbers.running == 6 for event in seen))
        await until(lambda: calls.status()[0].limit <= 12 and calls.in_flight <= 12)
        assert calls.status()[0].limit >= FEW
        assert not any(task.done() and task.exception() for task in out)
        for task in (watching, *out):
            task.cancel()
        await asyncio.gather(watching, *out, return_exceptions=True)


async def test_the_numbers_of_a_server_are_emitted_and_their_end_too(serve, client):
    says = ['vllm:num_requests_waiting{engine="0",model_name="tiny"} 3\n', "", ""]
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if request.path == "/metrics" and asked <= len(says) and says[asked - 1]:
            return web.Response(text=says[asked - 1])
        return web.Response(status=404) if request.path == "/metrics" else web.Response(body=encoded())

    seen: list[ServerSeen] = []
    calls = client(await serve(handler), seen.append)
    watching = asyncio.create_task(calls.watch("tiny", QUICK))
    await until(lambda: asked > 4)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert [event.numbers and event.numbers.waiting for event in seen] == [3, None]


async def test_a_server_without_numbers_is_left_to_its_replies(serve, client):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=404) if request.path == "/metrics" else web.Response(body=encoded())

    calls = client(await serve(handler))
    watching = asyncio.create_task(calls.watch("tiny", QUICK))
    await asyncio.gather(*(calls.complete(BODY) for _ in range(300)))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert calls.status()[0].limit == 64
