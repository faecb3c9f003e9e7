"""Columns for the rows of a `VirtualList`: fitted to a width by leaving out the least needed, and never wrapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.style import Style
from rich.text import Span, Text

from arena_tui.safe_text import clip, shorten, text_width

RowT = TypeVar("RowT")
GAP = 2


class Column(Generic[RowT]):
    """One column. `cell(row, width)` gives safe text, or a Text that fits the width.

    One column may have the `width` None: it takes the room that is left, from `least` to `most`. When room is short,
    the column with the lowest `need` goes first. `middle` shortens in the middle (names) rather than at the end.
    """

    def __init__(
        self,
        title: str,
        cell: Callable[[RowT, int], str | Text],
        *,
        width: int | None,
        least: int = 8,
        most: int | None = None,
        right: bool = False,
        need: int = 0,
        middle: bool = False,
        style: Callable[[RowT], Style | None] | None = None,
    ) -> None:
        self.title = title
        self.cell = cell
        self.width = width
        self.least = least
        self.most = most
        self.right = right
        self.need = need
        self.middle = middle
        self.style = style


class Columns(Generic[RowT]):
    """A fixed set of columns. `header` and `row` give lines of the same layout for one width."""

    def __init__(self, columns: Sequence[Column[RowT]]) -> None:
        self._columns = columns
        self._layouts: dict[int, list[tuple[Column[RowT], int]]] = {}

    def header(self, width: int) -> Text:
        """The titles."""
        cells = [_padded(clip(column.title, room), room, column.right) for column, room in self._layout(width)]
        return Text((" " * GAP).join(cells), no_wrap=True)

    def row(self, row: RowT, width: int) -> Text:
        """The cells of `row`."""
        plain, spans, at = [], [], 0  # put together by hand: a Text that grows cell by cell takes three times as long
        for column, room in self._layout(width):
            if at:
                plain.append(" " * GAP)
                at += GAP
            cell = column.cell(row, room)
            if isinstance(cell, Text):
                blanks = room - cell.cell_len
                start = at + (blanks if column.right else 0)
                text = _padded(cell.plain, room, column.right)
                if cell.style:
                    spans.append(Span(start, start + len(cell.plain), cell.style))
                spans += (Span(start + span.start, start + span.end, span.style) for span in cell.spans)
            else:
                text = _padded(shorten(cell, room) if column.middle else clip(cell, room), room, column.right)
                if column.style and (style := column.style(row)):
                    spans.append(Span(at, at + len(text), style))
            plain.append(text)
            at += len(text)
        return Text("".join(plain), no_wrap=True, spans=spans)

    def _layout(self, width: int) -> list[tuple[Column[RowT], int]]:
        if width not in self._layouts:
            self._layouts = {width: self._fitted(width)}
        return self._layouts[width]

    def _fitted(self, width: int) -> list[tuple[Column[RowT], int]]:
        kept = list(self._columns)
        while len(kept) > 1 and _least_width(kept) > width:
            kept.remove(min(reversed(kept), key=lambda column: column.need))
        spare = max(0, width - _least_width(kept))
        return [(column, _room(column, spare, width)) for column in kept]


def _room(column: Column[RowT], spare: int, width: int) -> int:
    if column.width is not None:
        return min(column.width, width)
    room = column.least + spare
    return min(width, room if column.most is None else min(room, column.most))


def _least_width(columns: Sequence[Column[RowT]]) -> int:
    widths = [column.least if column.width is None else column.width for column in columns]
    return sum(widths) + GAP * (len(widths) - 1)


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - text_width(text))
    return blanks + text if right else text + blanks
