"""Judgments of one model, without the columns that would be the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from arena_tui.safe_text import brief, one_line
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.judgment_list import FLAG_WORDS
from arena_tui.widgets.virtual_list import VirtualList
from engine.review.listing import Listed, Marks


class LossList(VirtualList[Listed]):
    """Rows of `Listed`; the judge has a column where there are several."""

    def __init__(self) -> None:
        self._columns = self._make_columns(several_judges=False)
        self._marks = Marks()
        super().__init__(
            self._row,
            key=lambda row: row.key,
            header=self._header_line,
            empty="reading ...",
            id="losses",
        )

    def show(self, rows: Sequence[Listed], marks: Marks, *, several_judges: bool, empty: str) -> None:
        self._marks = marks
        self._columns = self._make_columns(several_judges=several_judges)
        self.empty = empty
        self.repaint()
        self.set_rows(rows)

    def _row(self, row: Listed, width: int) -> Text:
        return self._columns.row(row, width)

    def _header_line(self, width: int) -> Text:
        return self._columns.header(width)

    def _make_columns(self, *, several_judges: bool) -> Columns[Listed]:
        columns: list[Column[Listed]] = [
            Column("#", lambda row, _: str(row.number or "-"), width=4, right=True, need=4),
            Column("game 1", lambda row, _: row.row.labels[0] or "none", width=6, need=8),
            Column("game 2", lambda row, _: _second(row), width=6, need=7),
            Column("marks", self._flags, width=10, need=5),
            Column("category", lambda row, _: one_line(row.category), width=14, need=1),
            Column("question", lambda row, width: brief(row.question, width), width=None, least=14, need=9),
        ]
        if several_judges:
            columns.insert(1, Column("judge", lambda row, _: one_line(row.row.judge), width=14, middle=True, need=6))
        return Columns(columns)

    def _flags(self, row: Listed, width: int) -> Text:
        words = " ".join(FLAG_WORDS[flag] for flag in self._marks.flags(row))
        return Text(words[:width], inks(self.app).warning)


def _second(row: Listed) -> str:
    if len(row.row.labels) < 2 or not row.row.played[1]:
        return "-"
    return row.row.labels[1] or "none"
