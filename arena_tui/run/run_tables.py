"""The lists of a run one above the other, each as high as its rows where there is room for all."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from arena_tui.run.endpoints import EndpointTable
from arena_tui.run.log import LogList
from arena_tui.run.summary import GpuLines
from arena_tui.run.tasks import TaskTable

_LEAST = (3, 3, 3)  # lines of tasks, endpoints and log, titles included


class RunTables(Vertical):
    """Tasks, endpoints, GPUs, log."""

    def compose(self) -> ComposeResult:
        yield TaskTable()
        yield EndpointTable()
        yield GpuLines()
        yield LogList()

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Share the lines among the lists; the log has what they leave."""
        tasks, endpoints, log = self.query_one(TaskTable), self.query_one(EndpointTable), self.query_one(LogList)
        gpus = self.query_one(GpuLines)
        wanted = len(tasks.rows) + 1, max(len(endpoints.rows), 1) + 1, max(len(log.rows), 1) + 1
        tasks.styles.height, endpoints.styles.height, _ = shared_lines(self.size.height - gpus.lines, wanted, _LEAST)


def shared_lines(room: int, wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    """Return how many of `room` lines each list has: as many as the others until it has all that it wants."""
    lines = [min(want, few) for want, few in zip(wanted, least, strict=True)]
    spare = room - sum(lines)
    while spare > 0 and any(have < want for have, want in zip(lines, wanted, strict=True)):
        at = min((have, at) for at, have in enumerate(lines) if have < wanted[at])[1]
        lines[at] += 1
        spare -= 1
    return lines
