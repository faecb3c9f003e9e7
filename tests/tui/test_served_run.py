"""The run screen while a run starts its servers itself, with a fake `vllm` of real processes."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine" / "serving"))

from judged_bench import painted
from yard import Yard

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.run.endpoints import EndpointTable, endpoint_rows
from arena_tui.run.plan_screen import PlanScreen
from arena_tui.session.arena_session import ArenaSession


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


async def test_servers_that_come_and_go_are_rows_with_their_state_and_lines_of_the_log(yard: Yard) -> None:
    models = {name: yard.model(name, latency=0.1, stage_seconds=0.05) for name in ("judge", "base", "good")}
    session = ArenaSession(Invocation(yard.written(models)))
    app = ArenaApp(session)
    seen: set[tuple[str, str]] = set()
    try:
        async with app.run_test(size=(120, 34)) as pilot, asyncio.timeout(240):
            while session.plan is None:
                await pilot.pause(0.05)
            assert {turn.server.name for turn in session.servers} == set(models)
            assert "servers itself: judge, base, good" in app.screen.query_one(EndpointTable).empty
            await pilot.press("s")
            async with asyncio.timeout(30):
                while not (isinstance(app.screen, PlanScreen) and "servers are started" in painted(app)):
                    await pilot.pause(0.05)
            listed = re.sub(r".*│ +(.*?) +│.*\n", r"\1 ", painted(app))  # the lines of the dialog
            for at, name in enumerate(("base", "good", "judge")):
                assert re.search(rf"at {at}:0{at} vllm serve [^:]+/ ?{name}: up in about 1:00", listed), listed
            assert listed.count("(assumed), needed for about") == len(models)
            await pilot.press("escape")
            session.start()
            while session.is_running:
                await pilot.pause(0.05)
                seen |= {(row.key[0], row.health) for row in endpoint_rows(session, session.state, None)}
    finally:
        await session.close()
    assert session.state.phase == "done"
    assert {("base", "starting"), ("base", ""), ("judge", "waiting"), ("judge", "starting")} <= seen
    log = [entry.text for entry in session.watch.entries()]
    assert "server judge: loading weights" in log
    assert any(line.startswith("server judge: ready") for line in log)
    assert not yard.left()


async def test_leaving_the_ui_while_a_server_starts_ends_it(yard: Yard) -> None:
    models = {name: yard.model(name, stage_seconds=0.3) for name in ("judge", "base", "good")}
    session = ArenaSession(Invocation(yard.written(models)))
    app = ArenaApp(session)
    async with app.run_test(size=(80, 24)) as pilot, asyncio.timeout(240):
        while session.plan is None:
            await pilot.pause(0.05)
        session.start()
        while not yard.left():
            await pilot.pause(0.05)
    await session.close()
    assert not yard.left()
    assert session.state.phase == "interrupted"
