"""A list that paints only visible lines, so that ten thousand rows cost as much as twenty.

Rows are any objects; `render_row(row, width)` renders one as a line of safe text (`arena_tui.safe_text`), which goes to
the terminal unchanged. When rows change, only the columns that differ are painted.

Own code instead of Textual's OptionList or DataTable: those render every row, and repaint all of them on a change.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar, cast

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from arena_tui.keys import bind

RowT = TypeVar("RowT")
GUTTER = 2  # columns before each row for the cursor, which is visible without colour

_CURSOR, _CURSOR_ELSEWHERE = "❯ ", "› "  # with and without the focus


class VirtualList(ScrollView, Generic[RowT], can_focus=True, inherit_bindings=False):
    """Rows with a cursor.

    `key` identifies a row across `set_rows`, so that the cursor stays with it; a row equal to the previous one at its
    index is not rendered again. `header(width)` is a line that stays on top. `empty` is shown if there are no rows.
    With `follow_top`, a cursor on the first row stays on the first row.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "virtual-list--header",
        "virtual-list--cursor",
        "virtual-list--cursor-elsewhere",
        "virtual-list--empty",
    }

    DEFAULT_CSS = """
    VirtualList {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        background: $background;
        color: $foreground;
        & > .virtual-list--header { color: $ink-muted; background: $surface; text-style: bold; }
        & > .virtual-list--cursor { background: $row-cursor; text-style: bold; }
        & > .virtual-list--cursor-elsewhere { background: $surface; }
        & > .virtual-list--empty { color: $ink-muted; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", show=False),
        bind("down", "move(1)", show=False),
        bind("page_up", "move_page(-1)", show=False),
        bind("page_down", "move_page(1)", key="pagedown,ctrl+f", show=False),
        bind("first", "move_to_end(0)", show=False),
        bind("last", "move_to_end(-1)", show=False),
        bind("open", "select", show=False),
    ]

    cursor: reactive[int] = reactive(0)

    class _RowMessage(Message):
        def __init__(self, virtual_list: VirtualList[Any], index: int, row: Any) -> None:
            super().__init__()
            self.virtual_list = virtual_list
            self.index = index
            self.row = row

        @property
        def control(self) -> VirtualList[Any]:
            return self.virtual_list

    class Highlighted(_RowMessage):
        """The cursor moved to another row."""

    class Selected(_RowMessage):
        """Enter or a click on the row under the cursor."""

    def __init__(
        self,
        render_row: Callable[[RowT, int], Text],
        *,
        key: Callable[[RowT], Hashable] | None = None,
        header: Callable[[int], Text] | None = None,
        empty: str = "",
        follow_top: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.empty = empty
        self._render_row = render_row
        self._key = key or cast("Callable[[RowT], Hashable]", lambda row: row)
        self._header = header
        self._follow_top = follow_top
        self._rows: Sequence[RowT] = ()
        self._lines: dict[
            int, Strip
        ] = {}  # rendered rows by index, without the cursor, for the width in `_painted_for`
        self._kept_style: Style | None = None
        self._painted_for: tuple[object, ...] = ()

    @property
    def rows(self) -> Sequence[RowT]:
        return self._rows

    @property
    def row(self) -> RowT | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def set_rows(self, rows: Sequence[RowT]) -> None:
        """Show `rows` (kept, not copied). The cursor stays with its row if it still exists."""
        was, was_at = self.row, self.cursor
        before = self._rows
        self._rows = rows
        cursor = self._cursor_in(rows, was, was_at)
        if len(rows) != len(before) or not self.is_mounted:
            self.virtual_size = Size(self.virtual_size.width, len(rows) + self._header_lines)
            self._lines = {}
            self.refresh()
        else:
            self._repaint_changed(before)
        offset = cursor - was_at
        if offset and was is not None and self.scroll_offset.y:
            self._scroll_rows_to(self.scroll_offset.y + offset)
        if cursor != was_at:
            self.cursor = cursor
        elif self.is_mounted and rows and was is not self.row:
            self.post_message(self.Highlighted(self, cursor, rows[cursor]))

    def repaint(self) -> None:
        """Paint every line again, after a change of something that `render_row` depends on."""
        self._lines = {}
        self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at `index`, or on the nearest one."""
        self.cursor = max(0, min(index, len(self._rows) - 1))

    def move_to_key(self, key: Hashable) -> bool:
        """Put the cursor on the row with `key`; return False if there is none."""
        for index, row in enumerate(self._rows):
            if self._key(row) == key:
                self.cursor = index
                return True
        return False

    def action_move(self, rows: int) -> None:
        self.move_to(self.cursor + rows)

    def action_move_page(self, pages: int) -> None:
        self.move_to(self.cursor + pages * max(1, self._rows_in_view - 1))

    def action_move_to_end(self, end: int) -> None:
        self.move_to(len(self._rows) - 1 if end else 0)

    def action_select(self) -> None:
        if self.row is not None:
            self.post_message(self.Selected(self, self.cursor, self.row))

    def on_click(self, event: events.Click) -> None:
        index = event.y - self._header_lines + self.scroll_offset.y
        if 0 <= index < len(self._rows) and event.y >= self._header_lines:
            if index == self.cursor:
                self.action_select()
            else:
                self.cursor = index

    def on_focus(self) -> None:
        self._refresh_row(self.cursor)

    def on_blur(self) -> None:
        self._refresh_row(self.cursor)

    def on_resize(self) -> None:
        self._keep_in_view(self.cursor)

    def notify_style_update(self) -> None:
        self._lines = {}
        self._kept_style = None
        super().notify_style_update()

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._rows) - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        self._refresh_row(before)
        self._refresh_row(after)
        self._keep_in_view(after)
        if self.row is not None:
            self.post_message(self.Highlighted(self, after, self.row))

    def render_line(self, y: int) -> Strip:
        width = self._width
        if y < self._header_lines and self._header is not None:
            style = self.get_component_rich_style("virtual-list--header")
            return self._strip(self._header(max(1, width - GUTTER)), " " * GUTTER, width).apply_style(style)
        index = y - self._header_lines + self.scroll_offset.y
        if index >= len(self._rows):
            return self._blank(width, self._empty_line(y - self._header_lines))
        line = self._row_strip(index)
        if index != self.cursor:
            return line.apply_style(self._plain_style)
        if self.has_focus:
            return _marked(line, _CURSOR).apply_style(self.get_component_rich_style("virtual-list--cursor"))
        style = self.get_component_rich_style("virtual-list--cursor-elsewhere")
        return _marked(line, _CURSOR_ELSEWHERE).apply_style(style)

    @property
    def _plain_style(self) -> Style:
        """`rich_style`, cached until a style changes because it visits all ancestors."""
        if self._kept_style is None:
            self._kept_style = self.rich_style
        return self._kept_style

    @property
    def _width(self) -> int:
        """Columns without the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def _header_lines(self) -> int:
        return 0 if self._header is None else 1

    @property
    def _rows_in_view(self) -> int:
        return max(1, self.size.height - self._header_lines)

    def _cursor_in(self, rows: Sequence[RowT], was: RowT | None, was_at: int) -> int:
        """Return the new index of the row that had the cursor, else the same index."""
        if was is None or (self._follow_top and was_at == 0):
            return 0
        key = self._key(was)
        if was_at < len(rows) and self._key(rows[was_at]) == key:
            return was_at
        found = next((index for index, row in enumerate(rows) if self._key(row) == key), was_at)
        return max(0, min(found, len(rows) - 1))

    def _repaint_changed(self, rows_before: Sequence[RowT]) -> None:
        """Render the visible rows that changed, and refresh the columns that differ."""
        before, self._lines = self._lines, {}
        first = self.scroll_offset.y
        for index in range(first, min(first + self._rows_in_view, len(self._rows))):
            if index in before and self._rows[index] == rows_before[index]:
                self._lines[index] = before[index]
                continue
            span = _changed_span(before[index], self._row_strip(index)) if index in before else (0, self._width)
            if span is not None:
                self.refresh(Region(span[0], index - first + self._header_lines, span[1] - span[0], 1))

    def _row_strip(self, index: int) -> Strip:
        width = self._width
        if self._painted_for != (width,):
            self._painted_for = (width,)
            self._lines = {}
        line = self._lines.get(index)
        if line is None:
            if len(self._lines) > 4 * self._rows_in_view + 64:
                self._lines.clear()
            line = self._strip(self._render_row(self._rows[index], max(1, width - GUTTER)), " " * GUTTER, width)
            self._lines[index] = line
        return line

    def _strip(self, text: Text, gutter: str, width: int) -> Strip:
        return Strip([Segment(gutter), *segments(text, self.app.console)]).adjust_cell_length(width)

    def _blank(self, width: int, text: str) -> Strip:
        style = self.get_component_rich_style("virtual-list--empty") if text else self._plain_style
        return Strip([Segment(" " * GUTTER + text, style)]).adjust_cell_length(width, style)

    def _empty_line(self, number: int) -> str:
        """Return a line of `empty`, wrapped, if there are no rows."""
        if self._rows or not self.empty:
            return ""
        lines = textwrap.wrap(self.empty, max(10, self._width - 2 * GUTTER))
        return lines[number] if number < len(lines) else ""

    def _refresh_row(self, index: int) -> None:
        y = index - self.scroll_offset.y + self._header_lines
        if self._header_lines <= y < self.size.height:
            self.refresh(Region(0, y, self._width, 1))

    def _keep_in_view(self, index: int) -> None:
        first, seen = self.scroll_offset.y, self._rows_in_view
        if index < first:
            self._scroll_rows_to(index)
        elif index >= first + seen:
            self._scroll_rows_to(index - seen + 1)

    def _scroll_rows_to(self, index: int) -> None:
        """Scroll the row at `index` to the top; forced, because rows may be newer than the scrollbar."""
        self.scroll_to(y=index, animate=False, immediate=True, force=True)


def segments(text: Text, console: Console) -> list[Segment]:
    """Return the segments of a line of text; in simple cases without rich's slow general renderer."""
    spans = text.spans
    if not spans and text.style:  # rich drops the style of a whole text if there are no spans
        return [Segment(text.plain, console.get_style(text.style))]
    simple = not text.style and all(isinstance(span.style, Style) for span in spans)
    if not simple or any(before.end > after.start for before, after in pairwise(spans)):
        return [segment for segment in text.render(console) if segment.text != "\n"]
    plain, at, made = text.plain, 0, []
    for span in spans:
        if span.start > at:
            made.append(Segment(plain[at : span.start]))
        made.append(Segment(plain[span.start : span.end], cast("Style", span.style)))
        at = span.end
    if at < len(plain):
        made.append(Segment(plain[at:]))
    return made


def _marked(line: Strip, mark: str) -> Strip:
    """Return the line with `mark` in its gutter."""
    return Strip.join([Strip([Segment(mark)]), line.crop(GUTTER)])


def _changed_span(before: Strip, after: Strip) -> tuple[int, int] | None:
    """Return the first column in which two lines of one width differ and the end of the last; None if equal."""
    if before == after:
        return None
    width = after.cell_length
    old, new = _cells(before), _cells(after)
    if len(old) != len(new) or len(new) != width:
        return 0, width  # wide characters: columns are not characters
    first = next(index for index in range(width) if old[index] != new[index])
    last = next(index for index in reversed(range(width)) if old[index] != new[index])
    return first, last + 1


def _cells(line: Strip) -> list[tuple[str, object]]:
    return [(char, segment.style) for segment in line for char in segment.text]
