"""The run: what will be done, what is being done, and what went wrong."""

from __future__ import annotations

from textual.app import ComposeResult

from arena_tui.screens.base import ArenaScreen
from arena_tui.widgets.task_table import TaskRow, TaskTable, task_rows
from engine.work.progress import RunState


class RunScreen(ArenaScreen):
    """Tasks of the run."""

    MODE = "run"
    HELP = "One line for each stage of each model: how much is there, how much is left, how fast it goes."

    def compose_body(self) -> ComposeResult:
        yield TaskTable()

    def show_state(self, state: RunState) -> None:
        rows: list[TaskRow] = task_rows(state)
        self.query_one(TaskTable).set_rows(rows)
