"""Servers that listen only after a run has begun: waited for and taken in; what waiting cannot mend fails at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from desk import CAST, QUESTIONS, Desk

from engine.run import Run
from engine.serving.process import pick_port
from engine.simulator import FaultRule, SimulatorConfig, Status, running_simulator
from engine.work.plan import Scope

ALL_MODELS = ("base", "good", "poor", "judge")


def told(run: Run) -> str:
    return "\n".join(notice.text for notice in run.state.notices)


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not fact():
            await asyncio.sleep(0.01)


def made(run: Run, stage: str, model: str) -> int:
    return sum(task.done for key, task in run.state.tasks.items() if (key.stage, key.model) == (stage, model))


def run_with(desk: Desk, addresses: dict[str, Sequence[str]], scope: Scope | None = None, **more: Any) -> Run:
    """A run in which the named models have these endpoints instead of the desk's."""
    document = desk.config(**more).model_dump(mode="json", exclude_unset=True)
    for name, urls in addresses.items():
        document["models"][name]["endpoints"] = [{"base_url": f"{url}/v1"} for url in urls]
    return Run(desk.parsed(document), scope)


async def ended(run: Run, going: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(60):
        await going
    assert run.state.phase == "done", told(run)


async def test_a_model_without_any_server_yet_is_waited_for_with_the_reason(at_desk):
    async with at_desk() as desk:
        port = pick_port()
        run = run_with(desk, {"good": [f"http://127.0.0.1:{port}"]})
        going = asyncio.create_task(run.execute())
        await until(lambda: "waiting up to 300 s" in told(run))
        assert f"good: http://127.0.0.1:{port}/v1: connection refused" in told(run)
        await until(lambda: made(run, "answers", "poor") == QUESTIONS)  # the others go on meanwhile
        async with running_simulator(CAST, port=port):
            await ended(run, going)
        assert len(desk.answers("good")) == len(desk.judgments("good")) == QUESTIONS
        assert f"good: http://127.0.0.1:{port}/v1: ready after" in told(run)


async def test_all_servers_may_come_late(at_desk):
    async with at_desk() as desk:
        port = pick_port()
        run = run_with(desk, dict.fromkeys(ALL_MODELS, (f"http://127.0.0.1:{port}",)))
        going = asyncio.create_task(run.execute())
        await until(lambda: told(run).count("connection refused") == 4)
        async with running_simulator(CAST, port=port):
            await ended(run, going)


async def test_a_judge_that_listens_while_answers_are_made_is_taken_in_then(at_desk):
    async with at_desk() as desk:
        late, slow = pick_port(), pick_port()
        addresses = {"judge": [f"http://127.0.0.1:{late}"], "poor": [f"http://127.0.0.1:{slow}"]}
        run = run_with(desk, addresses)
        going = asyncio.create_task(run.execute())
        await until(lambda: made(run, "answers", "good") == QUESTIONS)
        async with running_simulator(CAST, port=late):
            await until(lambda: made(run, "judgments", "good") == QUESTIONS)  # although an answering model is not there
            async with running_simulator(CAST, port=slow):
                await ended(run, going)


async def test_a_judge_that_listens_after_the_answers_is_waited_for(at_desk):
    async with at_desk() as desk:
        port = pick_port()
        run = run_with(desk, {"judge": [f"http://127.0.0.1:{port}"]})
        going = asyncio.create_task(run.execute())
        await until(lambda: all(t.left == 0 for key, t in run.state.tasks.items() if key.stage == "answers"))
        async with running_simulator(CAST, port=port):
            await ended(run, going)


async def test_a_second_endpoint_that_comes_late_gets_its_share_of_the_calls(at_desk):
    async with at_desk(latency=0.2) as desk:
        port = pick_port()
        late = f"http://127.0.0.1:{port}"
        run = run_with(desk, {"judge": [desk.url, late]})
        going = asyncio.create_task(run.execute())
        await until(lambda: "it is used as soon as it answers" in told(run))
        async with running_simulator(CAST, port=port):
            await ended(run, going)
        assert run.state.endpoints["judge", f"{late}/v1"].calls > 0


async def test_a_late_endpoint_takes_over_when_the_first_one_is_lost(at_desk):
    refusing = FaultRule(Status(401), sticky=True)
    async with at_desk(faults=(refusing,)) as desk:
        port = pick_port()
        run = run_with(desk, dict.fromkeys(ALL_MODELS, (desk.url, f"http://127.0.0.1:{port}")))
        going = asyncio.create_task(run.execute())
        await until(lambda: told(run).count("disabled") == 3)
        async with running_simulator(CAST, port=port):
            await ended(run, going)


@asynccontextmanager
async def loading(port: int, status: int):
    """A server, or a proxy before it, that refuses everything with one status."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "Loading model", "code": status}}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_server_that_still_loads_its_model_is_waited_for(at_desk, status):
    async with at_desk() as desk:
        port = pick_port()
        run = run_with(desk, {"good": [f"http://127.0.0.1:{port}"]})
        async with loading(port, status):
            going = asyncio.create_task(run.execute())
            await until(lambda: "waiting up to" in told(run))
        async with running_simulator(CAST, port=port):
            await ended(run, going)
        assert run.state.endpoints["good", f"http://127.0.0.1:{port}/v1"].errors == 0


async def test_no_longer_than_asked_for(at_desk):
    async with at_desk() as desk:
        started = time.monotonic()
        run = run_with(desk, {"good": [f"http://127.0.0.1:{pick_port()}"]}, Scope(wait=1.5))
        async with asyncio.timeout(60):
            await run.execute()
        assert time.monotonic() - started >= 1.5
        assert run.state.phase == "failed"
        assert "connection refused (waited" in told(run)
        assert len(desk.judgments("poor")) == QUESTIONS


@pytest.mark.parametrize("fault", ["key", "model", "host"])
async def test_what_waiting_cannot_mend_fails_at_once(at_desk, fault):
    async with at_desk() as desk:
        port = pick_port()
        cast = SimulatorConfig(models=CAST.models[:1], api_key="secret-key" if fault == "key" else None)
        async with running_simulator(cast, port=port):
            host = "https" if fault == "host" else "http"  # a server without TLS
            run = run_with(desk, {"good": [f"{host}://127.0.0.1:{port}"]})
            async with asyncio.timeout(60):
                await run.execute()
        assert run.state.phase == "failed"
        assert "waiting" not in told(run)


async def test_a_stop_ends_the_waiting(at_desk):
    async with at_desk() as desk:
        run = run_with(desk, {"judge": [f"http://127.0.0.1:{pick_port()}"]})
        going = asyncio.create_task(run.execute())
        await until(lambda: "waiting for it" in told(run))
        run.stop()
        async with asyncio.timeout(60):
            await going
        assert run.state.phase == "interrupted"
