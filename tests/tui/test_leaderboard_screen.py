"""The leaderboard in the terminal UI: the demo runs by itself and ends in it; its choices change what is rated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Static

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.screens.leaderboard_screen import LeaderboardScreen
from arena_tui.session import ArenaSession


def shown(app: ArenaApp, what: str) -> str:
    return str(app.screen.query_one(what, Static).render())


async def until(pilot, condition, what: str) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.05)
    assert condition(), what


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_the_demo_starts_by_itself_and_ends_in_its_leaderboard(tmp_path: Path, size):
    session = ArenaSession(Invocation(data=tmp_path / "data", demo=True))
    app = ArenaApp(session)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.screen, LeaderboardScreen), "the run ends in the leaderboard")
            await until(pilot, lambda: "sim-strong" in shown(app, "#board"), "it rates the models")
            board = shown(app, "#board").partition("#")[2]  # below the headline
            assert board.index("sim-strong") < board.index("sim-baseline") < board.index("sim-tiny")
            assert "PROVISIONAL" not in shown(app, "#state")
            await pilot.press("g")
            await until(pilot, lambda: "category: coding" in shown(app, "#board"), "groups are shown")
            await pilot.press("i")
            await until(pilot, lambda: "CI by battle" in shown(app, "#board"), "the interval is another")
    finally:
        await session.close()


async def test_a_bench_without_judgments_says_what_to_do_instead_of_failing(tmp_path: Path):
    session = ArenaSession(Invocation(data=tmp_path / "data", demo=True))
    app = ArenaApp(session, first_mode="leaderboard")
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "rate" in shown(app, "#board") or "sim-" in shown(app, "#board"), "it is told")
            await until(pilot, lambda: "sim-strong" in shown(app, "#board"), "and fills as soon as there is something")
    finally:
        await session.close()
