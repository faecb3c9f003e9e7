"""A page: headings, passages, and passages side by side, as rows of one width; and the pane that scrolls it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from arena_tui.judgments.passages import Passage
from arena_tui.keys import bind
from arena_tui.safe_text import clip, text_width
from arena_tui.theme import Inks, inks

MARGIN = 1  # blank columns before and after the text of a page
GUTTER = 3  # columns between two passages, with a rule in the middle


class Heading(NamedTuple):
    """The first row of a section, which stays on top while it is scrolled. Two titles are for two columns."""

    titles: tuple[str, ...]


Band: TypeAlias = "Heading | Passage | tuple[Passage, Passage]"


class Page:
    """Rows of `width` columns: `bands` one under the other, with a blank row before each heading but the first."""

    def __init__(self, bands: Sequence[Band], width: int) -> None:
        self.width = width
        self.headings: list[int] = []  # their rows
        self._bands: list[Band | None] = []
        self._starts: list[int] = []
        at = 0
        for band in bands:
            if isinstance(band, Heading):
                if self._bands:
                    at = self._add(None, at, 1)
                self.headings.append(at)
            at = self._add(band, at, _height(band))
        self.height = at

    def row(self, y: int, inks: Inks) -> Strip:
        """Return row `y` (from 0), blank below the last one."""
        if not 0 <= y < self.height:
            return Strip.blank(self.width)
        at = bisect_right(self._starts, y) - 1
        band, inner = self._bands[at], y - self._starts[at]
        room = self.width - 2 * MARGIN
        if band is None:
            return Strip.blank(self.width)
        if isinstance(band, Heading):
            segments = _heading(band, room, inks)
        elif isinstance(band, tuple):
            left, right = (_fitted(passage, inner, column_width(room), inks) for passage in band)
            segments = [*left, Segment(" │ ".center(GUTTER), inks.muted), *right]
        else:
            segments = band.segments(inner, inks)
        return Strip([Segment(" " * MARGIN), *segments]).adjust_cell_length(self.width)

    def heading_at(self, y: int) -> int | None:
        """Return the row of the heading of the section that contains row `y`."""
        index = bisect_right(self.headings, y) - 1
        return self.headings[index] if index >= 0 else None

    def _add(self, band: Band | None, at: int, height: int) -> int:
        if height:
            self._bands.append(band)
            self._starts.append(at)
        return at + height


def text_columns(width: int) -> int:
    """Return the width of a passage that is not side by side, on a page of this width."""
    return max(4, width - 2 * MARGIN)


def column_width(room: int) -> int:
    """Return the width of each of two passages side by side."""
    return max(2, (room - GUTTER) // 2)


def _height(band: Band) -> int:
    if isinstance(band, Heading):
        return 1
    if isinstance(band, tuple):
        return max(passage.height for passage in band)
    return band.height


def _fitted(passage: Passage, row: int, width: int, inks: Inks) -> list[Segment]:
    """Return a row of a passage, padded to its column."""
    segments = passage.segments(row, inks) if row < passage.height else []
    return list(Strip(segments).adjust_cell_length(width))


def _heading(heading: Heading, room: int, inks: Inks) -> list[Segment]:
    style = inks.strong + inks.accent
    if len(heading.titles) == 1:
        return [*_ruled(heading.titles[0], room, style, inks.muted)]
    width = column_width(room)
    left, right = (_ruled(title, width, style, inks.muted) for title in heading.titles)
    return [*left, Segment("─┬─", inks.muted), *right]


def _ruled(title: str, width: int, style: Style, rule: Style) -> list[Segment]:
    """Return a title followed by a rule, `width` columns in all."""
    shown = clip(title, max(0, width - 1))
    return [Segment(shown, style), Segment(" " + "─" * (width - text_width(shown) - 1), rule)]


class ReadingPane(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows one page. `WidthChanged` is posted when a page of another width is needed."""

    DEFAULT_CSS = """
    ReadingPane {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        overflow-y: scroll;
        background: $background;
        color: $foreground;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "scroll_rows(-1)", title="Scroll up", show=False),
        bind("down", "scroll_rows(1)", title="Scroll down", show=False),
        bind("page_up", "scroll_page(-1)", show=False),
        bind("page_down", "scroll_page(1)", show=False),
        bind("first", "scroll_rows(-1000000)", title="Top", show=False),
        bind("last", "scroll_rows(1000000)", title="Bottom", show=False),
        bind("next_list", "scroll_section(1)", title="Part", key_display="⇥", tooltip="Next part: answer, judge ..."),
        bind("previous_list", "scroll_section(-1)", title="Part before", tooltip="Part before", show=False),
    ]

    class WidthChanged(Message):
        """The width of the pane has changed."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.width = width

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._page: Page | None = None
        self._posted_width = 0

    @property
    def page(self) -> Page | None:
        return self._page

    @property
    def page_width(self) -> int:
        """The width of a page that fits."""
        return max(20, self.scrollable_content_region.width)

    def set_page(self, page: Page, *, keep_place: bool = False) -> None:
        """Show `page` from its top, or with `keep_place` (same text, other layout) from about the same place."""
        before, row = self._page, round(self.scroll_offset.y)
        self._page = page
        self.virtual_size = Size(page.width, page.height)
        if not keep_place or before is None:
            row = 0
        elif before.height != page.height and row:
            row = _same_place(before, page, row)
        self.scroll_to(y=row, animate=False, immediate=True, force=True)
        self.refresh()

    def on_resize(self) -> None:
        if self.page_width != self._posted_width:
            self._posted_width = self.page_width
            self.post_message(self.WidthChanged(self.page_width))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        if self._page is None:
            return Strip.blank(self.size.width, style)
        row = y + self.scroll_offset.y
        if y == 0 and (heading := self._page.heading_at(row)) is not None:
            row = heading
        line = self._page.row(row, inks(self.app)).adjust_cell_length(self.size.width)
        return line.apply_style(style)

    def action_scroll_rows(self, rows: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False, immediate=True)

    def action_scroll_page(self, pages: int) -> None:
        self.action_scroll_rows(pages * max(1, self.size.height - 2))

    def action_scroll_section(self, sections: int) -> None:
        """Go to the next heading, or back to the start of the section, then to the previous one."""
        if self._page is None:
            return
        row = self.scroll_offset.y
        target: int | None
        if sections > 0:
            target = next((y for y in self._page.headings if y > row), None)
        else:
            target = next((y for y in reversed(self._page.headings) if y < row), 0)
        if target is not None:
            self.scroll_to(y=target, animate=False, immediate=True)


def _same_place(before: Page, after: Page, row: int) -> int:
    """Return the row of `after` that is as far into the same section."""
    sections = [start for start in before.headings if start <= row]
    if not sections or len(before.headings) != len(after.headings):
        return round(row * after.height / max(1, before.height))
    index = len(sections) - 1
    ends = [*before.headings[index + 1 :], before.height][0], [*after.headings[index + 1 :], after.height][0]
    start, new_start = before.headings[index], after.headings[index]
    return new_start + round((row - start) * (ends[1] - new_start) / max(1, ends[0] - start))
