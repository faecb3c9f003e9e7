"""The run screen: tasks, endpoints and log of a run, planned or in progress."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from arena_tui.keys import bind
from arena_tui.run.endpoints import LOADING, EndpointRow, EndpointTable, endpoint_rows
from arena_tui.run.log import LogLine, LogList, entry_details
from arena_tui.run.progress_line import ProgressLine
from arena_tui.run.run_panel import RunPanel
from arena_tui.run.run_tables import RunTables
from arena_tui.run.summary import GpuLines, RunSummary, summary
from arena_tui.run.tasks import TaskRow, TaskTable, plan_rows, task_details, task_rows
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.run_watch import LogEntry
from arena_tui.theme import inks
from arena_tui.widgets.screens import ArenaScreen
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError
from engine.work.progress import RunState


class RunScreen(ArenaScreen):
    """Three lists: tasks, endpoints, log. Enter opens a line, Tab goes to the next list."""

    MODE = "run"
    HELP = (
        "The progress of a run: a line for each stage of each model, a line for each endpoint, and a log of warnings "
        "and failures. Tab goes to the next list, Enter opens a line. No call is made before you press s and confirm "
        "the plan. Every finished record is saved at once: stopping, quitting or losing the connection loses nothing."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("start", tooltip="Show the plan and start it"),
        bind("pause", tooltip="Start no new calls"),
        bind("pause", "resume", title="Resume", tooltip="Start new calls again"),
        bind("stop", tooltip="Stop the run; finished records are kept"),
        bind("take_control", tooltip="Pause, stop and limit this run of another process"),
        bind("again", "retry", title="Retry failed", tooltip="Retry failed records, now or when the run ends"),
        bind("limits", tooltip="Change the limits of an endpoint, now and for later runs"),
        bind("next_list", "app.focus_next", show=False),
        bind("previous_list", "app.focus_previous", show=False),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self._planned: object = None  # the plan shown
        self._status: tuple[object, ...] = ()
        self._log_shown: tuple[object, int] = None, -1

    def compose_body(self) -> ComposeResult:
        yield RunSummary()
        yield ProgressLine()
        with Horizontal(classes="master-detail"):
            yield RunTables()
            yield RunPanel()

    def show_state(self, state: RunState) -> None:
        session = self.session
        gauge = session.gauge if session.status in ("running", "paused", "stopping", "following") else None
        self.query_one(RunSummary).show(*summary(session, state, self.size.width - 2, inks(self.app)))
        tasks = self.query_one(TaskTable)
        if session.run is None and not session.read_only and state.phase == "planning":
            if session.plan is not None and session.plan is not self._planned:
                self._planned = session.plan
                tasks.show_plan(plan_rows(state, session.plan))
        else:
            self._planned = None
            tasks.show_progress(task_rows(state, gauge))
        endpoints = endpoint_rows(session, state, gauge)
        table = self.query_one(EndpointTable)
        table.empty = _without_endpoints(session) if session.plan is not None else LOADING
        table.set_rows(endpoints)
        self.query_one(GpuLines).show(session.gpus.gpus)
        log = session.watch, session.watch.version
        if log != self._log_shown:
            self._log_shown = log
            self.query_one(LogList).show(session.watch.entries())
        self.query_one(RunTables).fit()
        self.query_one(ProgressLine).show_state(state)
        is_final = not any(task.left for key, task in state.tasks.items() if key.stage == "judgments")
        self.query_one(RunPanel).show(session.watch.history, session.answers.board, is_final=is_final)
        status = session.status, bool(state.failed), session.remote
        if status != self._status:
            self._status = status
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        status = self.session.status
        allowed = {
            "start": status == "idle",
            "pause": status == "running",
            "resume": status == "paused",
            "stop": status in ("running", "paused", "stopping"),
            "take_control": self.session.remote is not None and self.session.read_only,
            "retry": bool(self.session.state.failed) and status in ("idle", "running", "paused"),
            "limits": status != "opening",
        }
        return allowed.get(action, True)

    def action_start(self) -> None:
        from arena_tui.run.plan_screen import PlanScreen

        self.app.push_screen(PlanScreen(self.session))

    def action_pause(self) -> None:
        self.session.pause()

    def action_resume(self) -> None:
        self.session.resume()

    def action_stop(self) -> None:
        """Ask, then stop the run; while it stops, abort calls in flight."""
        from arena_tui.widgets.dialogs import StopScreen

        if self.session.status == "stopping":
            self.session.stop()
        else:
            self.app.push_screen(StopScreen(), self._stop_if)

    def _stop_if(self, agreed: bool | None) -> None:
        if agreed and self.session.is_running:
            self.session.stop()

    def action_take_control(self) -> None:
        if self.session.remote is not None:
            self.session.remote.take_control()

    def action_retry(self) -> None:
        try:
            self.session.retry_failed()
        except ArenaError as error:
            self.report(error)
            return
        if self.session.retries_failed:
            self.report("failed records are retried when this run ends")

    def action_limits(self) -> None:
        row = self.query_one(EndpointTable).row
        if row is not None:
            self._open_endpoint(row)

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        if isinstance(message.row, LogLine):
            self.attempt(self._open_entry(message.row.entry), group="details")
        elif isinstance(message.row, TaskRow):
            self.app.push_screen(task_details(message.row, self.session.config, self.session.state))
        elif isinstance(message.row, EndpointRow):
            self._open_endpoint(message.row)

    async def _open_entry(self, entry: LogEntry) -> None:
        bench = self.session.bench if self.session.is_open else None
        self.app.push_screen(await entry_details(entry, bench))

    def _open_endpoint(self, row: EndpointRow) -> None:
        from arena_tui.run.endpoint_screen import EndpointScreen

        self.app.push_screen(EndpointScreen(self.session, row))


def _without_endpoints(session: ArenaSession) -> str:
    """Say why the table of endpoints is empty: the run starts all servers, or there are none."""
    served = [name for name, entry in session.config.models.items() if entry.serve is not None]
    if served:
        return f"a run starts the servers itself: {one_line(', '.join(served))}"
    return "no endpoints in the config; only cached records can be rated"
