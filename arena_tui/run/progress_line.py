"""A bar across the screen: how much of the current stages is done."""

from __future__ import annotations

from arena_tui.theme import inks
from arena_tui.widgets.columns import bar
from arena_tui.widgets.lines import TextLines
from engine.work.progress import RunState


class ProgressLine(TextLines):
    """One line while a run has stages, else none."""

    def __init__(self) -> None:
        super().__init__(id="progress")

    def show_state(self, state: RunState) -> None:
        """Paint how much of the stages in progress, or of the whole run, is done."""
        tasks = [task for key, task in state.tasks.items() if key.stage in state.stages] or list(state.tasks.values())
        total = sum(task.expected for task in tasks)
        if state.phase == "planning" or not total:
            self.show()
            return
        done = min(total, sum(task.cached + task.done for task in tasks))
        self.show(bar(done / total, max(1, self.size.width), inks(self.app)))
