"""A page: headings, passages, and passages side by side, as rows of one width; and the pane that scrolls it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple, TypeAlias, cast

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from arena_tui.judgments.hits import marked
from arena_tui.judgments.passages import Passage
from arena_tui.keys import bind
from arena_tui.output.word_diff import Placed, differing
from arena_tui.safe_text import clip, text_width
from arena_tui.theme import Inks, inks

MARGIN = 1  # blank columns before and after the text of a page
GUTTER = 3  # columns between two passages, with a rule in the middle


class Heading(NamedTuple):
    """The first row of a section, which stays on top while it is scrolled; a title for each column."""

    titles: tuple[str, ...]


class RowPart(NamedTuple):
    """The characters from `start` to `end` of a row, in the left (0) or right (1) column."""

    y: int
    side: int
    start: int
    end: int


class RowMark(NamedTuple):
    """A part of a row, and the style added to it."""

    part: RowPart
    style: Style


PageHit: TypeAlias = tuple[RowPart, ...]

Band: TypeAlias = "Heading | Passage | tuple[Passage, ...]"


class Page:
    """Rows of `width` columns: `bands` one under the other, with a blank row before each heading but the first.

    `compared` are two of the passages, whose words can be compared.
    """

    def __init__(self, bands: Sequence[Band], width: int, compared: tuple[Passage, Passage] | None = None) -> None:
        self.width = width
        self._compared = compared
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

    def row(self, y: int, inks: Inks, marks: Sequence[RowMark] = ()) -> Strip:
        """Return row `y` (from 0) with its marks, blank below the last one."""
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
            segments = []
            for side, passage in enumerate(cast("tuple[Passage, ...]", band)):
                own = [mark for mark in marks if mark.part.side == side]
                if side:
                    segments.append(Segment(" │ ".center(GUTTER), inks.muted))
                segments += _fitted(passage, inner, column_width(room, len(band)), inks, own)
        else:
            segments = _with_marks(band.segments(inner, inks), marks)
        return Strip([Segment(" " * MARGIN), *segments]).adjust_cell_length(self.width)

    def hits(self, pattern: re.Pattern[str]) -> list[PageHit]:
        """Return the hits of a search in the order in which they are read, of two columns the left one first."""
        found: list[PageHit] = []
        for start, band in zip(self._starts, self._bands, strict=True):
            sides = band if isinstance(band, tuple) and not isinstance(band, Heading) else (band,)
            for side, passage in enumerate(sides):
                if passage is not None and not isinstance(passage, Heading | str):
                    found += [
                        tuple(RowPart(start + part.row, side, part.start, part.end) for part in hit)
                        for hit in passage.hits(pattern)
                    ]
        return sorted(found, key=lambda hit: (hit[0].y, hit[0].side, hit[0].start))

    def differences(self) -> list[RowPart]:
        """Return the words of each compared passage that the other one does not have in the same place.

        Takes seconds for the longest texts: call it in a thread.
        """
        if self._compared is None:
            return []
        places = [list(self._placed(passage)) for passage in self._compared]
        return [part for side in differing(*places) for part in side]

    def _placed(self, passage: Passage) -> Iterator[Placed[RowPart]]:
        """Yield the words of a passage with where they are on the page."""
        for start, band in zip(self._starts, self._bands, strict=True):
            sides = band if isinstance(band, tuple) else (band,)
            for side, each in enumerate(sides):
                if each is passage:
                    for word, hit in passage.words():
                        yield word, [RowPart(start + part.row, side, part.start, part.end) for part in hit]

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


def column_width(room: int, columns: int = 2) -> int:
    """Return the width of each of the passages side by side."""
    return max(2, (room - GUTTER * (columns - 1)) // columns)


def _height(band: Band) -> int:
    if isinstance(band, Heading):
        return 1
    if isinstance(band, tuple):
        return max(passage.height for passage in cast("tuple[Passage, ...]", band))
    return band.height


def _fitted(passage: Passage, row: int, width: int, inks: Inks, marks: Sequence[RowMark]) -> list[Segment]:
    """Return a row of a passage with its marks, padded to its column."""
    segments = passage.segments(row, inks) if row < passage.height else []
    return list(Strip(_with_marks(segments, marks)).adjust_cell_length(width))


def _with_marks(segments: list[Segment], marks: Sequence[RowMark]) -> list[Segment]:
    return marked(segments, [(part.start, part.end, style) for part, style in marks]) if marks else segments


def _heading(heading: Heading, room: int, inks: Inks) -> list[Segment]:
    style = inks.strong + inks.accent
    if len(heading.titles) == 1:
        return [*_ruled(heading.titles[0], room, style, inks.muted)]
    width = column_width(room, len(heading.titles))
    segments: list[Segment] = []
    for title in heading.titles:
        if segments:
            segments.append(Segment("─┬─", inks.muted))
        segments += _ruled(title, width, style, inks.muted)
    return segments


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
        self.hits: list[PageHit] = []
        self.hit: int | None = None  # index of the current one
        self._page: Page | None = None
        self._posted_width = 0
        self._pattern: re.Pattern[str] | None = None
        self._marked: dict[int, list[tuple[int, RowPart]]] = {}  # by row: parts with the indices of their hits
        self._differing: dict[int, list[RowPart]] = {}  # by row

    @property
    def page(self) -> Page | None:
        return self._page

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """What is looked for in the pages."""
        return self._pattern

    @property
    def page_width(self) -> int:
        """The width of a page that fits."""
        return max(20, self.scrollable_content_region.width)

    def set_page(self, page: Page, *, keep_place: bool = False) -> None:
        """Show `page` from its top, or with `keep_place` (same text, other layout) from about the same place."""
        before, row = self._page, round(self.scroll_offset.y)
        self._page = page
        self.virtual_size = Size(page.width, page.height)
        self._differing = {}
        self._find()
        if not keep_place or before is None:
            row = 0
        elif before.height != page.height and row:
            row = _same_place(before, page, row)
        self.scroll_to(y=row, animate=False, immediate=True, force=True)
        self.refresh()

    def find(self, pattern: re.Pattern[str] | None) -> None:
        """Mark what `pattern` finds on this page and on pages to come; None marks nothing."""
        if pattern != self._pattern:
            self._pattern = pattern
            self._find()
            self.refresh()

    def go_to_hit(self, step: int) -> bool:
        """Go to the next or previous hit, first to the one nearest to what is shown; return False if there is none."""
        if not self.hits:
            return False
        if self.hit is None:
            top = round(self.scroll_offset.y)
            below = next((index for index, hit in enumerate(self.hits) if hit[0].y >= top), None)
            self.hit = (below if below is not None else 0) if step > 0 else ((below or len(self.hits)) - 1)
        else:
            self.hit = (self.hit + step) % len(self.hits)
        y, seen = self.hits[self.hit][0].y, self.size.height
        if not self.scroll_offset.y < y < self.scroll_offset.y + seen - 1:  # the first row is a heading
            self.scroll_to(y=max(0, y - seen // 3), animate=False, immediate=True)
        self.refresh()
        return True

    def mark_differences(self, parts: Sequence[RowPart]) -> None:
        """Mark words in which compared texts differ, until another page is shown."""
        self._differing = {}
        for part in parts:
            self._differing.setdefault(part.y, []).append(part)
        self.refresh()

    def _find(self) -> None:
        self.hits = self._page.hits(self._pattern) if self._page is not None and self._pattern is not None else []
        self.hit = None
        self._marked = {}
        for index, hit in enumerate(self.hits):
            for part in hit:
                self._marked.setdefault(part.y, []).append((index, part))

    def _marks(self, y: int) -> list[RowMark]:
        ink = inks(self.app)
        hits = [
            RowMark(part, ink.found_here if index == self.hit else ink.found) for index, part in self._marked.get(y, ())
        ]
        return [*hits, *(RowMark(part, ink.differing) for part in self._differing.get(y, ()))]

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
        line = self._page.row(row, inks(self.app), self._marks(row)).adjust_cell_length(self.size.width)
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
