"""Endpoints that are listed anew while a run lasts: the servers of a folder, and the addresses behind a name."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from aiohttp import web
from desk import CAST, QUESTIONS, Desk
from test_late_endpoints import ended, made, told, until

from engine.events import Event
from engine.models.client import ModelClient
from engine.models.connection import open_session
from engine.run import Run
from engine.serving.endpoints import ConfiguredEndpoints, Demand
from engine.serving.listing import EndpointListing
from engine.serving.process import pick_port
from engine.serving.registry import LIFETIME, Registration, registered
from engine.simulator import SimulatorConfig, running_simulator
from engine.work.plan import Scope

KEY = "key-of-the-registered-servers"
GUARDED = SimulatorConfig(models=CAST.models, judges=CAST.judges, api_key=KEY)


def register(folder: Path, url: str, model: str = "judge", lifetime: timedelta = LIFETIME) -> Path:
    """Write the file of a server, as it writes it itself."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    each = Registration(parts.hostname, parts.port, model, datetime.now(UTC) + lifetime)
    folder.mkdir(exist_ok=True)
    each.file(folder).write_bytes(msgspec.json.encode(each))
    return each.file(folder)


def run_from(desk: Desk, folder: Path, scope: Scope | None = None, **entry: Any) -> Run:
    """A run whose judge is served by the servers in a folder."""
    document = desk.config().model_dump(mode="json", exclude_unset=True)
    document["models"]["judge"] |= {"endpoints": {"folder": str(folder), "api_key": KEY}} | entry
    return Run(desk.parsed(document), scope)


async def test_a_run_waits_for_the_first_server_that_registers_and_calls_it_with_the_key_of_the_config(
    at_desk, tmp_path
):
    folder = tmp_path / "servers"
    async with at_desk() as desk:
        run = run_from(desk, folder)
        going = asyncio.create_task(run.execute())
        await until(lambda: f"no server of 'judge' is registered in {folder}; waiting" in told(run))
        async with running_simulator(GUARDED) as url:
            register(folder, url, "another-model")
            register(folder, url.replace("127.0.0.1", "127.0.0.2"), lifetime=-timedelta(seconds=1))
            (folder / "half.server.json").write_text('{"host": "127.0.0.1", "po')
            (folder / "odd.server.json").write_text(
                '{"host": "a/b@c", "port": 1, "model": "judge", "expires": "2999-01-01T00:00:00Z"}'
            )
            file = register(folder, url)
            assert KEY not in file.read_text()
            await ended(run, going)
        assert {key for key in run.state.endpoints if key[0] == "judge"} == {("judge", f"{url}/v1")}
        assert len(desk.judgments("good")) == QUESTIONS


async def test_servers_that_come_get_calls_and_those_that_go_get_none_and_lose_none(at_desk, tmp_path):
    folder = tmp_path / "servers"
    slow = SimulatorConfig(models=CAST.models, judges=CAST.judges, latency=0.4)
    async with at_desk() as desk, AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_simulator(slow))
        file = register(folder, first)
        run = run_from(desk, folder, parallel=1)
        going = asyncio.create_task(run.execute())
        await until(lambda: made(run, "judgments", "good") + made(run, "judgments", "poor") >= 1)
        second = await stack.enter_async_context(running_simulator(slow))
        register(folder, second)
        await until(lambda: run.state.endpoints.get(("judge", f"{second}/v1")))
        file.unlink()
        await until(lambda: f"{first}/v1: no longer listed" in told(run))
        await ended(run, going)
        assert len(desk.judgments("good")) == len(desk.judgments("poor")) == QUESTIONS
        calls = {key[1]: value.calls for key, value in run.state.endpoints.items() if key[0] == "judge"}
        assert calls[f"{second}/v1"] > calls[f"{first}/v1"] > 0
        assert sum(calls.values()) == 4 * QUESTIONS, "no call was lost or made twice"


async def test_a_server_that_comes_back_is_used_again(at_desk, tmp_path):
    folder = tmp_path / "servers"
    slow = SimulatorConfig(models=CAST.models, judges=CAST.judges, latency=0.3)
    async with at_desk() as desk, running_simulator(slow) as url:
        file = register(folder, url)
        run = run_from(desk, folder, parallel=1)
        going = asyncio.create_task(run.execute())
        await until(lambda: made(run, "judgments", "good") + made(run, "judgments", "poor") >= 1)
        file.unlink()
        await until(lambda: "no longer listed" in told(run))
        register(folder, url)
        await ended(run, going)
        assert len(desk.judgments("good")) == len(desk.judgments("poor")) == QUESTIONS


async def test_waiting_for_a_server_that_never_registers_ends_with_what_to_do(at_desk, tmp_path):
    async with at_desk() as desk:
        run = run_from(desk, tmp_path / "servers", Scope(wait=0.2))
        async with asyncio.timeout(60):
            await run.execute()
        assert run.state.phase == "failed"
        assert "start one that registers there" in told(run)
        assert len(desk.answers("good")) == QUESTIONS


async def test_when_all_servers_have_gone_the_wait_has_an_end(at_desk, tmp_path):
    folder = tmp_path / "servers"
    slow = SimulatorConfig(models=CAST.models, judges=CAST.judges, latency=0.3)
    async with at_desk() as desk, running_simulator(slow) as url:
        file = register(folder, url)
        run = run_from(desk, folder, Scope(wait=1.0), parallel=1)
        going = asyncio.create_task(run.execute())
        await until(lambda: made(run, "judgments", "good") + made(run, "judgments", "poor") >= 1)
        file.unlink()
        async with asyncio.timeout(60):
            await going
        assert run.state.phase == "failed", told(run)


def test_a_server_in_the_folder_of_another_model_or_after_its_expiry_is_not_listed(tmp_path):
    register(tmp_path, "http://10.0.0.1:8000", "m")
    register(tmp_path, "http://10.0.0.2:8000", "other")
    register(tmp_path, "http://10.0.0.3:8000", "m", -timedelta(seconds=1))
    assert [each.base_url for each in registered(tmp_path, "m")] == ["http://10.0.0.1:8000/v1"]
    assert registered(tmp_path / "missing", "m") == []


async def test_a_name_with_several_addresses_is_an_endpoint_at_each_and_is_looked_up_again(at_desk, tmp_path):
    asked: dict[str, list[str]] = {}
    addresses = ["127.0.0.2"]
    port = pick_port()

    async def resolver(host: str, _port: int) -> list[str]:
        assert host == "judges.cluster.local"
        return list(addresses)

    async def answer(request: web.Request) -> web.Response:
        where = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        if request.method == "POST":
            asked.setdefault(where, []).append(request.headers["Host"])
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            return web.json_response({"choices": [choice], "usage": usage})
        return web.json_response({"data": [{"id": "judge"}]})

    async with at_desk() as desk, AsyncExitStack() as stack, open_session() as session:
        for host in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, host, port).start()
        document = desk.config().model_dump(mode="json", exclude_unset=True)
        document["models"]["judge"]["endpoints"] = [{"base_url": f"http://judges.cluster.local:{port}/v1"}]
        addresses += ["127.0.0.3"]
        events: list[Event] = []
        source = ConfiguredEndpoints(desk.parsed(document), session, events.append, wait=30, resolver=resolver)
        async with source.open("judge", Demand()) as found:
            client = ModelClient("judge", found.endpoints, parallel=1, session=session, emit=events.append)
            for server in found.servers:
                server.attach(client)

            async def calls(count: int) -> None:
                body = {"model": "judge", "messages": [{"role": "user", "content": "Hello"}]}
                await asyncio.gather(*(client.complete(body) for _ in range(count)))

            await calls(8)
            assert set(asked) == {"127.0.0.2", "127.0.0.3"}
            assert {host for hosts in asked.values() for host in hosts} == {f"judges.cluster.local:{port}"}
            addresses[:] = ["127.0.0.3", "127.0.0.4"]
            listed = [f"http://127.0.0.{n}:{port}/v1" for n in (2, 3, 4)]
            await until(lambda: [status.endpoint for status in client.status()] == listed)
            await until(lambda: any("127.0.0.2" in str(event) and "no longer listed" in str(event) for event in events))
            asked.clear()
            await calls(8)
            assert set(asked) == {"127.0.0.3", "127.0.0.4"}


@pytest.mark.parametrize("url", ["https://judges.example/v1", "http://localhost:1/v1", "http://10.1.2.3:8000/v1"])
async def test_only_names_that_are_called_without_tls_are_looked_up(at_desk, url):
    async def resolver(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    async with at_desk() as desk:
        document = desk.config().model_dump(mode="json", exclude_unset=True)
        document["models"]["judge"]["endpoints"] = [{"base_url": url}]
        listing = EndpointListing(desk.parsed(document), "judge", resolver)
        assert [each.address for each in await listing.read()] == [url]
        assert not listing.changes
