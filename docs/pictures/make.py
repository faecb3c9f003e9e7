"""Draw the pictures of README.md and docs/terminal-ui.md from a real run of the demo.

    python docs/pictures/make.py

Runs the demo (simulated models over real HTTP, about half a minute) in a folder of its own and saves each screen as
SVG beside this file. The pictures name no font of another site: the browser takes its own monospace.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(TEXTUAL_ANIMATIONS="none", COLORTERM="truecolor")

from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession
from arena_tui.setup.setup_screen import SetupScreen
from engine.simulator import SimulatorConfig, demo_cast, running_simulator

HERE = Path(__file__).resolve().parent
SIZE = (120, 28)
FONT = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
FOUND_PORT = 8000  # one of those that the set-up asks
SHARE_OF_RUN = 0.6  # when the run is drawn


async def main() -> None:
    await draw_setup()
    with tempfile.TemporaryDirectory() as folder:
        session = ArenaSession(Invocation(None, Path(folder) / "data", demo=True))
        session.reviewer = "you"
        app = ArenaApp(session)
        async with app.run_test(size=SIZE) as pilot:
            await draw_screens(pilot, session)
        await session.close()


async def draw_setup() -> None:
    """Save the set-up of a folder in which servers are found."""
    cast = demo_cast()
    served = SimulatorConfig(models=cast.models, judges=cast.judges)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        async with running_simulator(served, port=FOUND_PORT):
            session = ArenaSession(Invocation(None))
            app = ArenaApp(session)
            async with app.run_test(size=SIZE) as pilot:
                await until(pilot, lambda: isinstance(app.screen, SetupScreen))
                await rest(pilot)
                await until(pilot, lambda: "running ..." not in screen_text(app))
                save(app, "setup")
            await session.close()


async def draw_screens(pilot: Pilot[Any], session: ArenaSession) -> None:
    """Walk through the program as a user would, and save each screen."""
    app = pilot.app
    await until(pilot, lambda: is_judging(session))
    await pilot.pause(0.5)
    save(app, "run")
    await until(pilot, lambda: session.state.phase == "done")
    await until(pilot, lambda: getattr(app.screen, "board", None) is not None)
    await pilot.press("down")
    await rest(pilot)
    save(app, "leaderboard")
    await press(pilot, "enter")
    await until(pilot, lambda: getattr(app.screen, "page", None) is not None)
    await rest(pilot)
    save(app, "model")
    await press(pilot, "escape", "space", "down", "space", "d")
    save(app, "difference")
    await press(pilot, "escape", "x", "3", "down", "down")
    save(app, "judgments")
    await press(pilot, "enter")
    save(app, "judgment")
    await press(pilot, "escape", "4")
    save(app, "review")


def is_judging(session: ArenaSession) -> bool:
    tasks = [task for key, task in session.state.tasks.items() if key.stage == "judgments"]
    total = sum(task.expected for task in tasks)
    return bool(total) and sum(task.done + task.cached for task in tasks) >= SHARE_OF_RUN * total


async def press(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await rest(pilot)


async def rest(pilot: Pilot[Any]) -> None:
    """Wait until nothing is loading and everything is painted."""
    await pilot.pause(0.5)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.5)


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await pilot.pause(0.02)


def screen_text(app: Any) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def save(app: Any, name: str) -> None:
    svg = app.export_screenshot(title="arena-tui", simplify=True)
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family:\s*Fira Code[^;]*;", f"font-family: {FONT};", svg)
    path = HERE / f"{name}.svg"
    path.write_text(re.sub(r"[ \t]+\n", "\n", svg), encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    asyncio.run(main())
