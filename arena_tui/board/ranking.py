"""The left side of the leaderboard: its rows, their axis, and the lines about the current row and the warnings."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from arena_tui.board.board_table import BoardTable, caution_line
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines


class Ranking(Vertical):
    """The table, as high as its rows, and the lines under it."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: list[str] = []

    def compose(self) -> ComposeResult:
        yield BoardTable()
        yield TextLines(id="axis")
        yield TextLines(id="about-row")
        yield TextLines(id="cautions")

    def on_resize(self) -> None:
        self.fit()

    def warn(self, warnings: list[str]) -> None:
        """Show the warnings about the numbers."""
        self._warnings = warnings
        self.fit()

    def fit(self) -> None:
        """Show the warnings in one line, and give the table the room that its rows need and the lines leave."""
        table, ink = self.query_one(BoardTable), inks(self.app)
        line = caution_line(self._warnings, max(20, self.size.width - 2))
        cautions = [Text.assemble((line[:1], ink.warning + ink.strong), (line[1:], ink.muted))] if line else []
        self.query_one("#cautions", TextLines).show(*cautions)
        lines = sum(line.count for line in self.query(TextLines))
        table.styles.height = max(3, min(len(table.rows) + 1, self.size.height - lines))
