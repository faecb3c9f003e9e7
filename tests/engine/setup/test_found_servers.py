"""Servers asked over real HTTP: what they serve, what is wrong with them, and how long that may take."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from engine.errors import UsageProblem
from engine.setup.servers import TIME_LIMIT, Address, FoundServer, find_servers, read_address
from engine.simulator import SimulatedModel, SimulatorConfig, running_simulator


async def found(addresses: Iterable[Address] = (), ports: Iterable[int] = (), **environ: str) -> list[FoundServer]:
    return [server async for server in find_servers(addresses, list(ports), environ)]


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@asynccontextmanager
async def serving(handler: object) -> AsyncIterator[tuple[int, list[str]]]:
    """Another server; yields its port and the requests it got."""
    requests: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(f"{request.method} {request.path}")
        return await handler(request)  # type: ignore[operator]

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], requests
    finally:
        await runner.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_server_on_a_local_port_is_found_with_its_models():
    cast = SimulatorConfig(models=(SimulatedModel(name="one"), SimulatedModel(name="two")))
    async with running_simulator(cast) as url:
        (server,) = await found(ports=[port_of(url), free_port()])
    assert server.address == Address(f"http://localhost:{port_of(url)}/v1")
    assert [model.id for model in server.models] == ["one", "two"]
    assert server.version is not None
    assert not server.error


async def test_something_else_on_a_local_port_is_left_alone():
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>a notebook</html>", content_type="text/html")

    async with serving(page) as (port, requests):
        assert await found(ports=[port]) == []
        assert requests == ["GET /v1/models"]


async def test_a_server_that_wants_a_key_is_shown_and_asked_with_the_variable_that_is_named():
    cast = SimulatorConfig(models=(SimulatedModel(name="one"),), api_key="right-key")
    async with running_simulator(cast) as url:
        (refused,) = await found(ports=[port_of(url)])
        assert refused.error == "it wants a key"
        address = Address(f"{url}/v1", "MY_KEY")
        (unset,) = await found([address])
        assert "MY_KEY is not set" in unset.error
        (served,) = await found([address], MY_KEY="right-key")
        assert [model.id for model in served.models] == ["one"]
        (wrong,) = await found([address], MY_KEY="wrong-key")
        assert wrong.error
        assert "wrong-key" not in str(wrong)


async def test_a_typed_address_is_asked_instead_of_its_local_port():
    async with running_simulator(SimulatorConfig(models=(SimulatedModel(name="one"),))) as url:
        servers = await found([Address(f"http://127.0.0.1:{port_of(url)}/v1")], [port_of(url)])
    assert len(servers) == 1


async def test_a_typed_address_without_a_server_says_why():
    (server,) = await found([Address(f"http://localhost:{free_port()}/v1")])
    assert "refused" in server.error
    assert server.hint


async def test_silent_servers_are_asked_at_once_and_given_up_in_bounded_time():
    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(600)
        return web.Response()

    async with serving(never) as (port, _), serving(never) as (other, _), serving(never) as (third, _):
        began = time.monotonic()
        assert await found(ports=[port, other, third]) == []
        assert time.monotonic() - began < 2 * TIME_LIMIT


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("gpu-host:8010", "http://gpu-host:8010/v1"),
        (" http://gpu-host:8010/ ", "http://gpu-host:8010/v1"),
        ("https://a.example/api/v1/chat/completions", "https://a.example/api/v1"),
        ("[::1]:8000", "http://[::1]:8000/v1"),
        ("10.0.0.2", "http://10.0.0.2/v1"),
    ],
)
def test_an_address_may_be_typed_in_short(typed: str, url: str):
    assert read_address(typed) == Address(url)


def test_the_key_of_a_provider_is_in_its_own_variable():
    assert read_address("https://api.openai.com/v1").key_variable == "OPENAI_API_KEY"
    assert read_address("https://api.openai.com/v1", "${OTHER}").key_variable == "OTHER"


@pytest.mark.parametrize(
    "typed", ["", "http://", "ftp://host/v1", "a host", "http://user:secret@host/v1", "h?key=x", "h:x"]
)
def test_what_is_no_address_is_refused_without_repeating_it(typed: str):
    with pytest.raises(UsageProblem) as refused:
        read_address(typed)
    assert "secret" not in str(refused.value)


def test_a_key_in_place_of_its_variable_is_refused_without_repeating_it():
    with pytest.raises(UsageProblem) as refused:
        read_address("host:1", "sk-secret-key")
    assert "sk-secret" not in str(refused.value)
