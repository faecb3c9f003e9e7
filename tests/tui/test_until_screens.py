"""A stop rule in the terminal UI: chosen in the plan, followed on the run screen and in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.run.log import LogList
from arena_tui.run.plan_screen import PlanScreen
from arena_tui.run.tasks import TaskTable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.starters import starter_questions
from arena_tui.widgets.dialogs import DetailsScreen
from arena_tui.widgets.status_line import StatusLine
from engine.simulator import demo_cast, running_simulator

MODELS = ("sim-baseline", "sim-strong", "sim-tiny", "sim-judge")


def write_config(folder: Path, url: str) -> Path:
    bench = folder / "data" / "small"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_bytes(starter_questions("starter-ru").read_bytes())
    tables = "".join(f'[models."{name}"]\nparallel = 4\nendpoints = [{{ base_url = "{url}/v1" }}]\n' for name in MODELS)
    config = folder / "config.toml"
    config.write_text(f'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n{tables}', "utf-8")
    return config


def text_of(widget: Widget) -> str:
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


async def until(pilot: Pilot[Any], condition: Any, what: str) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.05)
    assert condition(), what


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_a_rule_is_chosen_in_the_plan_and_its_verdicts_are_shown_while_it_runs(tmp_path: Path, size):
    async with running_simulator(demo_cast()) as url:
        session = ArenaSession(Invocation(write_config(tmp_path, url)))
        app = ArenaApp(session)
        try:
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: session.plan is not None, "the plan is made")
                await pilot.press("s")
                await until(pilot, lambda: isinstance(app.screen, PlanScreen), "the plan is shown")
                await pilot.press("down", "down", "down", "right")
                await until(pilot, lambda: session.forecast is not None, "the rule is chosen")
                await until(
                    pilot, lambda: "52 to 345 calls" in _about(app), "the plan says how many calls the rule can save"
                )
                assert "better or worse is decided" in text_of(app.screen.query_one("#choices"))
                await pilot.press("s")
                await until(pilot, lambda: session.state.phase == "done", "the run ends")
                await until(
                    pilot, lambda: "2 of 2 models decided" in text_of(app.screen.query_one(StatusLine)), "decided"
                )
                await until(pilot, lambda: "better" in text_of(app.screen.query_one(TaskTable)), "by task as well")
                tasks = text_of(app.screen.query_one(TaskTable))
                assert "worse" in tasks
                assert "stopped" in tasks or "ended" in tasks, "the baseline answers nothing more"
                log = text_of(app.screen.query_one(LogList))
                assert "sim-strong is better than sim-baseline after" in log
                app.screen.query_one(TaskTable).focus()
                await pilot.press("down", "enter")
                await until(pilot, lambda: isinstance(app.screen, DetailsScreen), "a task is opened")
                facts = "\n".join(str(part.render()) for part in app.screen.query(Static))
                assert "--until decided" in facts
                assert "than sim-baseline after" in facts
        finally:
            await session.close()


def _about(app: ArenaApp) -> str:
    return str(app.screen.query_one("#about", Static).render())
