"""Columns for the rows of a `VirtualList`, fitted to a width by dropping the least needed; bars and short numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.style import Style
from rich.text import Span, Text

from arena_tui.safe_text import clip, shorten, text_width
from arena_tui.theme import Inks

RowT = TypeVar("RowT")
GAP = 2
_LESS_THAN_NAMES = 3  # columns of this `need` or less are dropped before an eager column is shortened


class Column(Generic[RowT]):
    """One column. `cell(row, width)` returns safe text, or a Text that fits the width.

    Columns whose `width` is None share the remaining width, each from `least` to `most`, `eager` ones first. If the
    line is too narrow, columns with a `narrow` width (and `short` title) use it; then columns are dropped, lowest
    `need` first. `middle` shortens text in the middle (names) rather than at the end.
    """

    def __init__(
        self,
        title: str,
        cell: Callable[[RowT, int], str | Text],
        *,
        width: int | None,
        narrow: int | None = None,
        short: str = "",
        least: int = 8,
        most: int | None = None,
        eager: bool = False,
        right: bool = False,
        need: int = 0,
        middle: bool = False,
        style: Callable[[RowT], Style | None] | None = None,
    ) -> None:
        self.title = title
        self.cell = cell
        self.width = width
        self.narrow = narrow
        self.short = short
        self.least = least
        self.most = most
        self.eager = eager
        self.right = right
        self.need = need
        self.middle = middle
        self.style = style


class Columns(Generic[RowT]):
    """A fixed set of columns. `header` and `row` return lines of the same layout for one width."""

    def __init__(self, columns: Sequence[Column[RowT]], gap: int = GAP) -> None:
        self._columns = columns
        self._gap = gap
        self._layouts: dict[int, list[tuple[Column[RowT], int]]] = {}

    def header(self, width: int) -> Text:
        """Return the line of titles."""
        cells = [_padded(_title(column, room), room, column.right) for column, room in self._layout(width)]
        return Text((" " * self._gap).join(cells), no_wrap=True)

    def row(self, row: RowT, width: int) -> Text:
        """Return the line of `row`."""
        plain, spans, at = [], [], 0  # joined here, because a Text that grows cell by cell is three times slower
        for column, room in self._layout(width):
            if at:
                plain.append(" " * self._gap)
                at += self._gap
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

    def place(self, column: Column[RowT], width: int) -> tuple[int, int] | None:
        """Return start and width of `column` in a line of `width`; None if it was dropped."""
        at = 0
        for shown, room in self._layout(width):
            if shown is column:
                return at, room
            at += room + self._gap
        return None

    def _fitted(self, width: int) -> list[tuple[Column[RowT], int]]:
        kept = self._beside_full_names(width) or list(self._columns)
        is_narrow = self._least_width(kept, is_narrow=False) > width
        while len(kept) > 1 and self._least_width(kept, is_narrow) > width:
            kept.remove(min(reversed(kept), key=lambda column: column.need))
        rooms = {column: _least(column, is_narrow) for column in kept}
        spare = max(0, width - self._least_width(kept, is_narrow))
        for is_eager in (True, False):
            growing = [column for column in kept if column.width is None and column.eager == is_eager]
            while spare and growing:
                share = max(1, spare // len(growing))
                for column in growing:
                    most = width if column.most is None else column.most
                    grown = min(share, spare, max(0, most - rooms[column]))
                    rooms[column] += grown
                    spare -= grown
                growing = [column for column in growing if column.most is None or rooms[column] < column.most]
        return [(column, min(room, width)) for column, room in rooms.items()]

    def _beside_full_names(self, width: int) -> list[Column[RowT]]:
        """Return the columns that have room beside eager ones in full; none if too many would have to be dropped."""
        kept = list(self._columns)
        more = sum(column.most - column.least for column in kept if column.eager and column.most is not None)
        while kept and self._least_width(kept, is_narrow=True) + more > width:
            least = min(reversed(kept), key=lambda column: column.need)
            kept = [column for column in kept if column is not least] if least.need <= _LESS_THAN_NAMES else []
        return kept

    def _least_width(self, columns: Sequence[Column[RowT]], is_narrow: bool) -> int:
        return sum(_least(column, is_narrow) for column in columns) + self._gap * (len(columns) - 1)


def _title(column: Column[RowT], room: int) -> str:
    is_short = column.short and text_width(column.title) > room
    return clip(column.short if is_short else column.title, room)


def _least(column: Column[RowT], is_narrow: bool) -> int:
    if column.width is None:
        return column.least
    return column.narrow if is_narrow and column.narrow is not None else column.width


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - text_width(text))
    return blanks + text if right else text + blanks


_FULL, _HALF, _EMPTY = "━", "╸", "╌"


def bar(share: float, width: int, ink: Inks) -> Text:
    """Return a bar of `width` columns, filled by `share` (0..1) to half a column."""
    halves = round(min(max(share, 0.0), 1.0) * 2 * width)
    full = _FULL * (halves // 2) + _HALF * (halves % 2)
    return Text.assemble((full, ink.bar), (_EMPTY * (width - len(full)), ink.muted))


_SHARES = "━─╌"  # apart without colour, too


def shares_bar(*parts: tuple[int, Style], width: int) -> Text:
    """Return a bar of `width` columns divided as the numbers of `parts` (at most three)."""
    total, drawn, seen, text = sum(number for number, _ in parts), 0, 0, Text()
    for mark, (number, style) in zip(_SHARES, parts, strict=False):
        seen += number
        end = round(width * seen / total) if total else 0
        text.append(mark * (end - drawn), style)
        drawn = end
    return text


def percent(share: float | None) -> str:
    """Format a share (0..1) in percent, `-` if unknown."""
    return "-" if share is None else f"{100 * share:.0f}%"


def short_number(value: float) -> str:
    """Format a number in at most five columns: 7, 84.2, 1204, 38.1k, 2.4M."""
    if value < 99.95:
        return f"{value:.1f}" if value % 1 and value < 99.95 else f"{value:.0f}"
    if value < 9999.5:
        return f"{value:.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if value < 999.5 * size:
            return f"{value / size:.1f}{unit}" if value < 99.95 * size else f"{value / size:.0f}{unit}"
    return f"{value / 1e12:.0f}T"


def short_seconds(seconds: float | None) -> str:
    """Format seconds in at most five columns: 84ms, 1.4s, 38s, 2:05, `-` if unknown."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 99.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"
