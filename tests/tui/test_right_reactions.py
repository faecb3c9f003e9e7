"""What the terminal UI does where servers refuse, rows re-sort, keys come fast and terminals change their size."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from judged_bench import QUESTIONS, make_bench, opened, painted, settle, until, write
from rich.style import Style
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.app import ArenaApp
from arena_tui.board.leaderboard_screen import LeaderboardScreen
from arena_tui.invocation import Invocation
from arena_tui.judgments.viewer_screen import ViewerScreen
from arena_tui.keys import KEYS
from arena_tui.run.endpoint_screen import EndpointScreen
from arena_tui.run.endpoints import EndpointRow, EndpointTable
from arena_tui.run.plan_screen import PlanScreen, StopRuleScreen
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.dialogs import HelpScreen
from arena_tui.widgets.status_line import StatusLine
from arena_tui.widgets.virtual_list import VirtualList
from engine.events import TaskKey
from engine.work.plan import Scope
from engine.work.progress import EndpointState

SCREENS = ("run", "leaderboard", "judgments", "review")
UNREACHABLE = "http://127.0.0.1:9/v1"  # the discard port: connections are refused
CONFIG = f"""
bench = "small"
[judge]
model = "the-judge"
baseline = "base"
[models.base]
endpoints = [{{ base_url = "{UNREACHABLE}" }}]
[models.other]
endpoints = [{{ base_url = "{UNREACHABLE}" }}]
[models.the-judge]
endpoints = [{{ base_url = "{UNREACHABLE}" }}]
"""


def is_planned(app: ArenaApp) -> bool:
    return app.session.plan is not None


@asynccontextmanager
async def refused(folder: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[ArenaApp, Pilot[None]]]:
    """The app on a bench whose servers all refuse connections."""
    for key, (category, text) in QUESTIONS.items():
        question = {"question_id": key, "category": category, "turns": [{"content": text}]}
        write(folder / "data" / "small" / "question.jsonl", question)
    (folder / "config.toml").write_text(CONFIG)
    async with opened(folder, "run", size, ready=is_planned) as (app, pilot):
        yield app, pilot


def burst(app: ArenaApp, *keys: str) -> None:
    """Send keys as one packet: all at once."""
    for key in keys:
        character = {"colon": ":", "slash": "/"}.get(key, key if len(key) == 1 else None)
        event = events.Key(key, character)
        event.set_sender(app)
        app.post_message(event)


def status(app: ArenaApp) -> str:
    line = app.screen.query_one(StatusLine)
    return line.render_line(0).text.strip()


async def test_a_run_whose_servers_refuse_says_so_with_the_reason_while_it_waits_and_afterwards(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        await app.session.make_plan(Scope(wait=4.0))
        app.session.start()
        await until(pilot, lambda: "WAITING" in status(app))
        waiting = r"WAITING base(, other|.*\+\d).* \d:\d\d \(connection refused\), gives up in 0:0\d"
        assert re.search(waiting, status(app)), status(app)
        await until(pilot, lambda: not app.session.is_running)
        await until(pilot, lambda: "INCOMPLETE" in painted(app))
        shown = painted(app)
        assert "connection refused" in status(app)
        assert "0/0" not in shown
        assert "100%" not in shown
        assert "done" not in shown.replace("  done", "")  # the title of the column
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, EndpointScreen))
        await settle(pilot)
        assert "idle" not in painted(app)
        assert "connection refused" in painted(app)


async def test_the_endpoint_under_the_cursor_stays_there_when_rows_are_sorted_anew(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        table = app.screen.query_one(EndpointTable)
        first, *others = table.rows
        assert table.row is first
        busy = [_busy(row) for row in others]
        table.set_rows([*busy, first])
        await pilot.pause()
        assert table.row is first
        table.focus()
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, EndpointScreen))
        assert first.key[0] in painted(app).split("Calls in flight")[0]


def _busy(row: EndpointRow) -> EndpointRow:
    return EndpointRow(row.key, EndpointState(in_flight=2, calls=5), row.limit, row.parallel)


@pytest.mark.parametrize("field", ["parallel", "rate"])
async def test_a_number_and_enter_in_one_packet_set_the_number(tmp_path: Path, field: str):
    async with refused(tmp_path) as (app, pilot):
        app.screen.query_one(EndpointTable).focus()
        await settle(pilot)
        burst(app, "l", *(["down"] if field == "rate" else []), "7", "enter")
        entry = app.session.config.models["base"]
        await until(pilot, lambda: getattr(app.session.config.models["base"], field) == 7)
        assert entry.rate is None
        assert not isinstance(app.screen, EndpointScreen)


async def test_a_stop_rule_and_enter_in_one_packet_set_the_rule(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        burst(app, "s", "down", "down", "down", "enter", "c", "i", "colon", "5", "enter")
        await until(pilot, lambda: str(app.session.scope.until or "") == "ci:5")
        assert isinstance(app.screen, PlanScreen)


async def test_a_search_and_enter_in_one_packet_filter_the_leaderboard(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", ready=lambda app: getattr(app.screen, "board", None) is not None) as (
        app,
        pilot,
    ):
        burst(app, "slash", *"bad", "enter")
        screen = app.screen
        assert isinstance(screen, LeaderboardScreen)
        await until(pilot, lambda: screen.query_one(Input).value == "bad" and not isinstance(screen.focused, Input))


async def test_keys_that_arrive_before_a_screen_is_there_reach_it(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        await app.session.make_plan(Scope(wait=60.0))
        burst(app, "s", "s")
        await until(pilot, lambda: app.session.is_running)
        assert not isinstance(app.screen, PlanScreen)
        burst(app, "2", "1", "p")
        await until(pilot, lambda: app.session.status == "paused")
        assert app.current_mode == "run"


async def test_a_stop_rule_screen_opens_once_for_one_enter(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        burst(app, "s", "down", "down", "down", "enter", "escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, PlanScreen | StopRuleScreen))
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("mode", SCREENS)
async def test_an_idle_screen_keeps_its_layout_when_the_terminal_grows_and_shrinks(tmp_path: Path, mode: str):
    make_bench(tmp_path)
    seen: dict[tuple[int, int], str] = {}
    sizes = [(80, 24), (118, 40), (80, 24), (60, 20), (118, 40)]
    async with opened(tmp_path, mode, (80, 24), ready=is_planned) as (app, pilot):
        await until(pilot, lambda: app.session.answers.version > 0)
        for size in sizes:
            await pilot.resize_terminal(*size)
            await settle(pilot)
            shown = painted(app)
            assert seen.setdefault(size, shown) == shown, size
    async with opened(tmp_path, mode, (118, 40), ready=is_planned) as (app, pilot):
        await until(pilot, lambda: app.session.answers.version > 0)
        app.repaint_state()
        await settle(pilot)
        assert painted(app) == seen[118, 40]


@pytest.mark.parametrize("mode", SCREENS)
async def test_help_scrolls_to_its_last_key(tmp_path: Path, mode: str):
    make_bench(tmp_path)
    async with opened(tmp_path, mode, (80, 24), ready=is_planned) as (app, pilot):
        await settle(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await settle(pilot)
        keys = app.screen.query_one(VirtualList)
        last = keys.rows[-1].description
        await pilot.press("end")
        await settle(pilot)
        assert last[:30] in painted(app)
        assert keys.region.bottom <= app.size.height - 1
        await pilot.press("home")
        await settle(pilot)
        assert "On this screen" in painted(app)


async def test_help_lists_the_keys_that_do_not_work_right_now(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "review", (80, 24), ready=is_planned) as (app, pilot):
        await until(pilot, lambda: "A" in painted(app) and getattr(app.screen, "_pair_page", None) is not None)
        before = await _help(app, pilot)
        await pilot.press("a")
        await until(pilot, lambda: app.screen.review is not None and bool(app.screen.review.labels))  # type: ignore[attr-defined]
        await settle(pilot)
        assert await _help(app, pilot) == before


async def _help(app: ArenaApp, pilot: Pilot[None]) -> set[str]:
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(app.screen, HelpScreen))
    await settle(pilot)
    described = {row.description for row in app.screen.query_one(VirtualList).rows}
    await pilot.press("escape")
    await settle(pilot)
    return described


async def test_the_key_for_reasoning_says_where_there_is_none(tmp_path: Path):
    bench = make_bench(tmp_path)
    for file in bench.glob("model_*/**/*.jsonl"):
        file.write_text(re.sub(r',\s*"reasoning":\s*"[^"]*"', "", file.read_text("utf-8")), "utf-8")
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ViewerScreen))
        await settle(pilot)
        await pilot.press("r")
        await until(pilot, lambda: any("no reasoning" in note.message for note in app._notifications))


async def test_the_table_of_endpoints_says_loading_then_that_there_are_none_only_where_that_is_so(tmp_path: Path):
    make_bench(tmp_path)
    session = ArenaSession(Invocation(tmp_path / "config.toml"))
    app = ArenaApp(session, "run")
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: bool(app.screen.query(EndpointTable)))
            if session.plan is None:
                assert "loading" in app.screen.query_one(EndpointTable).empty
            await until(pilot, lambda: session.plan is not None)
            app.repaint_state()
            await settle(pilot)
            has_endpoints = any(entry.endpoints for entry in session.config.models.values())
            assert ("no endpoints in the config" in painted(app)) is not has_endpoints
            session.plan = None
            app.screen.paint(session.state)  # type: ignore[attr-defined]
            assert "loading" in app.screen.query_one(EndpointTable).empty
    finally:
        await session.close()


async def test_a_paused_run_stops_its_clock(tmp_path: Path):
    async with refused(tmp_path) as (app, pilot):
        await app.session.make_plan(Scope(wait=60.0))
        app.session.start()
        await until(pilot, lambda: app.session.state.started_at > 0)
        app.session.pause()
        await until(pilot, lambda: "PAUSED" in status(app))
        state = app.session.state
        assert state.active_seconds(state.paused_at + 1000.0) == state.active_seconds(state.paused_at)
        app.session.resume()
        later = app.session.state
        assert later.paused_at == 0.0
        assert later.paused_seconds >= 0.0


def test_tasks_that_cannot_be_made_are_not_done() -> None:
    from arena_tui.run.tasks import TaskRow, _counts, _eta
    from engine.work.progress import TaskState

    row = TaskRow(TaskKey("judgments", "m", "j"), TaskState())
    assert (_counts(row), _eta(row, 7)) == ("-", "none")


def test_a_task_names_the_time_left_alike_in_narrow_and_wide_columns() -> None:
    from arena_tui.run.tasks import TaskRow, _eta
    from arena_tui.session.run_watch import Speed
    from engine.work.progress import TaskState

    row = TaskRow(TaskKey("answers", "m"), TaskState(total=9), Speed(eta=83.4), active=True)
    assert (_eta(row, 6), _eta(row, 7)) == ("1:23", "1:23")
    assert _eta(msgspec.structs.replace(row, speed=Speed(eta=40_000)), 6) == "11h06"


def test_a_run_that_stops_names_the_key_that_aborts_it() -> None:
    from arena_tui.run.summary import _doing
    from arena_tui.theme import Inks
    from engine.work.progress import RunState

    session = SimpleNamespace(status="stopping", now=lambda: 0.0)
    words = _doing(cast(ArenaSession, session), RunState(), Inks(*[Style()] * 6)).plain
    assert words.endswith(f"{KEYS['stop'].keys} again aborts them")


async def test_labels_that_come_faster_than_pairs_are_saved_or_reported(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "review", (80, 24), ready=is_planned) as (app, pilot):
        await until(pilot, lambda: getattr(app.screen, "_shown_pair", None) is not None)
        burst(app, "V", "a", "b", "t")  # blind: the next pair comes after each label
        reported = lambda: sum("not counted" in note.message for note in app._notifications)  # noqa: E731
        await until(pilot, lambda: len(app.screen.review.labels) + reported() >= 3)  # type: ignore[attr-defined]
