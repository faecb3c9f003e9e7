"""The run in the terminal UI: the plan before it, what changes while it goes on, what is left when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from judged_bench import QUESTIONS, answer, painted, settle, until, write
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.board.leaderboard_screen import LeaderboardScreen
from arena_tui.invocation import Invocation
from arena_tui.run.endpoint_screen import EndpointScreen
from arena_tui.run.endpoints import EndpointTable
from arena_tui.run.plan_screen import PlanScreen, StopRuleScreen
from arena_tui.run.run_screen import RunScreen
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.dialogs import DetailsScreen
from engine.simulator import SimulatorConfig, demo_cast, running_simulator
from engine.simulator.faults import FaultRule, Status

CONFIG = """
bench = "small"
[judge]
model = "sim-judge"
baseline = "sim-baseline"
retries = 1
[models.sim-baseline]
endpoints = [{ base_url = "URL" }]
[models.sim-strong]
endpoints = [{ base_url = "URL" }]
[models.sim-judge]
endpoints = [{ base_url = "URL" }]
parallel = 2
attempts = 1
"""
SLOW = 1.5  # seconds a call: with two in flight, a run of many questions does not end while a test looks at it


@asynccontextmanager
async def opened(
    folder: Path,
    questions: int = 3,
    size: tuple[int, int] = (80, 24),
    *,
    latency: float = 0.0,
    faults: tuple[FaultRule, ...] = (),
    answered: bool = False,
) -> AsyncIterator[tuple[ArenaApp, Pilot[None]]]:
    """The app on a bench of `questions` that nobody judged, with a simulated server for its models."""
    bench = folder / "data" / "small"
    texts = list(QUESTIONS.values())
    for number in range(questions):
        category, text = texts[number % len(texts)]
        turns = [{"content": f"{text} ({number})"}]
        write(bench / "question.jsonl", {"question_id": f"q{number}", "category": category, "turns": turns})
        for model in ("sim-baseline", "sim-strong") if answered else ():
            write(bench / "model_answer" / f"{model}.jsonl", answer(model, f"q{number}", f"{model} says {number}"))
    cast = demo_cast()
    served = SimulatorConfig(models=cast.models, judges=cast.judges, latency=latency, faults=faults)
    async with running_simulator(served) as url:
        (folder / "config.toml").write_text(CONFIG.replace("URL", f"{url}/v1"))
        session = ArenaSession(Invocation(folder / "config.toml"))
        app = ArenaApp(session, "run")
        try:
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: session.plan is not None)
                await settle(pilot)
                yield app, pilot
        finally:
            await session.close()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def ended(app: ArenaApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: app.session.state.phase in ("done", "failed", "interrupted"))
    await until(pilot, lambda: not app.session.is_running)
    await until(pilot, lambda: app.session.status == "idle")


async def test_the_plan_is_shown_before_any_call_and_starts_the_run(tmp_path: Path):
    async with opened(tmp_path) as (app, pilot):
        await until(pilot, lambda: "12 calls" in painted(app))
        await press(pilot, "s")
        assert isinstance(app.screen, PlanScreen)
        assert "9 records to make, 0 cached" in painted(app)
        assert "12 calls" in painted(app)
        assert app.session.run is None
        await press(pilot, "s")
        assert isinstance(app.screen, RunScreen)
        await ended(app, pilot)
        await until(pilot, lambda: "Done: 9 records made" in painted(app))
        assert "run ended: done" in painted(app)


async def test_the_plan_is_made_anew_for_fewer_questions_or_one_stage(tmp_path: Path):
    async with opened(tmp_path, questions=12) as (app, pilot):
        await press(pilot, "s", "down", "right")  # answers alone
        await until(pilot, lambda: "24 calls" in painted(app))
        await press(pilot, "down", "right")  # the first ten
        await until(pilot, lambda: "20 calls" in painted(app))
        assert app.session.scope.limit == 10
        await press(pilot, "escape")
        assert not app.session.is_running


async def test_a_stop_rule_is_chosen_or_typed_and_an_invalid_one_is_explained(tmp_path: Path):
    async with opened(tmp_path, questions=40) as (app, pilot):
        await press(pilot, "s", "down", "down", "down", "right")
        await until(pilot, lambda: "a model stops early when" in painted(app))
        assert str(app.session.scope.until) == "decided"
        await press(pilot, "enter")
        assert isinstance(app.screen, StopRuleScreen)
        await press(pilot, *",ci:x", "enter")
        assert "ci needs a number" in painted(app)
        await press(pilot, "backspace", "4", "enter")
        assert isinstance(app.screen, PlanScreen)
        await until(pilot, lambda: str(app.session.scope.until) == "decided,ci:4")


async def test_a_rule_that_does_not_fit_the_bench_leaves_the_plan_unchanged(tmp_path: Path):
    async with opened(tmp_path, questions=40) as (app, pilot):
        await press(pilot, "s", "down", "down", "down", "enter", *"decided:nobody", "enter")
        await until(pilot, lambda: "! " in painted(app) and "nobody" in painted(app))
        assert app.session.scope.until is None


async def test_decided_models_are_shown_in_log_table_and_leaderboard(tmp_path: Path):
    async with opened(tmp_path, questions=60, size=(118, 40)) as (app, pilot):
        await press(pilot, "s", "down", "down", "down", "right")
        await until(pilot, lambda: app.session.scope.until is not None)
        await press(pilot, "s")
        await ended(app, pilot)
        await until(pilot, lambda: "sim-strong is better than sim-baseline after" in painted(app))
        await until(pilot, lambda: "better" in painted(app).partition("judgments  sim-strong")[2].split("\n")[0])
        await press(pilot, "2")
        assert isinstance(app.screen, LeaderboardScreen)
        await until(pilot, lambda: "1 of 1 models decided" in painted(app))
        await until(pilot, lambda: "better" in painted(app))


async def test_a_run_is_paused_resumed_stopped_and_planned_again_from_there(tmp_path: Path):
    async with opened(tmp_path, questions=40, latency=SLOW, answered=True) as (app, pilot):
        session = app.session
        await press(pilot, "s", "s")
        await until(pilot, lambda: session.state.calls > 0)
        await press(pilot, "p")
        assert session.status == "paused"
        await until(pilot, lambda: session.state.in_flight == 0)
        calls = session.state.calls
        await until(pilot, lambda: "PAUSED" in painted(app))
        assert session.state.calls == calls
        await press(pilot, "p")
        await until(pilot, lambda: session.state.calls > calls)
        await press(pilot, "S")
        assert session.status == "running"  # a question first
        await press(pilot, "enter")
        await ended(app, pilot)
        assert session.state.phase == "interrupted"
        await until(pilot, lambda: "Stopped:" in painted(app))
        made = sum(task.done for task in session.state.tasks.values())
        await press(pilot, "s")
        await until(pilot, lambda: f"{made} cached" in painted(app))


async def test_the_leaderboard_fills_by_itself_while_the_run_judges(tmp_path: Path):
    async with opened(tmp_path, questions=60, latency=SLOW, answered=True) as (app, pilot):
        await press(pilot, "s", "s")
        await until(pilot, lambda: sum(task.done for task in app.session.state.tasks.values()) > 0)
        await pilot.press("2")
        board = app.screen
        assert isinstance(board, LeaderboardScreen)
        await until(pilot, lambda: "PROVISIONAL" in painted(app))
        await until(pilot, lambda: board.board is not None)
        first = board.board
        await until(pilot, lambda: board.board is not first)
        assert first is not None
        assert board.board is not None
        games = [each.leaderboard.rows[0].games + each.leaderboard.rows[1].games for each in (first, board.board)]
        assert games[1] > games[0]
        await pilot.press("end", "space", "home", "space", "d")
        await until(pilot, lambda: "PROVISIONAL: judgments are missing" in painted(app))
        app.session.stop()
        app.session.stop()
        await app.session.finished()


async def test_failed_records_are_retried_by_one_key_and_their_log_lines_explain_them(tmp_path: Path):
    refused = FaultRule(Status(400), first=2, model="sim-judge")
    async with opened(tmp_path, faults=(refused,), answered=True, size=(118, 40)) as (app, pilot):
        await press(pilot, "s", "s")
        await ended(app, pilot)
        assert app.session.state.phase == "failed"
        await until(pilot, lambda: "R retry failed" in painted(app))
        app.screen.query_one("#log").focus()
        log = app.screen.query_one("#log")
        failed = next(i for i, line in enumerate(log.rows) if line.entry.task is not None)  # type: ignore[attr-defined]
        await press(pilot, *["down"] * failed, "enter")
        assert isinstance(app.screen, DetailsScreen)
        assert "HTTP status" in painted(app)
        await press(pilot, "escape", "R")
        await until(pilot, lambda: app.session.state.phase == "done")
        assert app.session.state.failed == 0


async def test_limits_change_during_a_run(tmp_path: Path):
    async with opened(tmp_path, questions=40, latency=SLOW, answered=True) as (app, pilot):
        session = app.session
        await press(pilot, "s", "s")
        await until(pilot, lambda: session.state.in_flight == 2)
        await until(pilot, lambda: "2/2" in painted(app))
        table = app.screen.query_one(EndpointTable)
        assert table.move_to_key(next(row.key for row in table.rows if row.key[0] == "sim-judge"))
        await press(pilot, "l")
        assert isinstance(app.screen, EndpointScreen)
        await press(pilot, "end", "backspace", "5", "enter")
        await until(pilot, lambda: session.state.in_flight == 5)
        await until(pilot, lambda: "parallel is 5" in painted(app))
        await press(pilot, "l", "tab", "x", "enter")
        assert "a number above 0" in painted(app)
        await press(pilot, "escape", "S", "enter", "S")
        await ended(app, pilot)


async def test_the_details_of_a_task_open_from_its_row(tmp_path: Path):
    async with opened(tmp_path) as (app, pilot):
        await press(pilot, "s", "s")
        await ended(app, pilot)
        await until(pilot, lambda: "Done:" in painted(app))
        rows = app.screen.query_one("#tasks").rows  # type: ignore[attr-defined]
        judged = next(i for i, row in enumerate(rows) if row.key.judge)
        await press(pilot, "home", *["down"] * judged, "enter")
        assert isinstance(app.screen, DetailsScreen)
        assert "judged against" in painted(app)
        assert "of games won" in painted(app)
