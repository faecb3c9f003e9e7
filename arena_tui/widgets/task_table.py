"""One line for each stage of each model."""

from __future__ import annotations

import msgspec
from rich.text import Text

from arena_tui.safe_text import one_line
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.virtual_list import VirtualList
from engine.events import TaskKey
from engine.work.progress import RunState, TaskState


class TaskRow(msgspec.Struct, frozen=True):
    """One task as it is shown."""

    key: TaskKey
    task: TaskState


def task_rows(state: RunState) -> list[TaskRow]:
    """The tasks of a state in the order in which they came up."""
    return [TaskRow(key, task) for key, task in state.tasks.items()]


class TaskTable(VirtualList[TaskRow]):
    """The tasks of a run."""

    def __init__(self) -> None:
        self._columns = Columns(
            [
                Column("stage", lambda row, _: row.key.stage, width=9, need=8),
                Column(
                    "model", lambda row, _: one_line(row.key.model), width=None, least=14, most=40, middle=True, need=9
                ),
                Column("progress", self._bar, width=20, need=3),
                Column("done", lambda row, _: f"{_done(row.task)}/{row.task.total}", width=11, right=True, need=7),
                Column("cached", lambda row, _: str(row.task.cached), width=6, right=True, need=4),
                Column("failed", lambda row, _: str(row.task.failed), width=6, right=True, need=6),
            ]
        )
        super().__init__(
            self._columns.row,
            key=lambda row: row.key,
            header=self._columns.header,
            empty="reading the bench",
            id="tasks",
        )

    def _bar(self, row: TaskRow, width: int) -> Text:
        full = _done(row.task) * width // row.task.total if row.task.total else width
        return Text.assemble(("━" * full, inks(self.app).bar), ("╌" * (width - full), inks(self.app).muted))


def _done(task: TaskState) -> int:
    return min(task.total, task.cached + task.done)
