"""A page: headings, passages, and passages side by side, as rows of one width that are painted one at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from arena_tui.reading.passages import Passage
from arena_tui.safe_text import clip, text_width
from arena_tui.theme import Inks

MARGIN = 1  # blank columns before and after the text of a page
GUTTER = 3  # columns between two passages, with a rule in the middle


class Heading(NamedTuple):
    """A row that begins a section, and stays on top while the section is scrolled. Two titles head two columns."""

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
        """Row `y`, counting from 0; blank below the last one."""
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
        """The row of the heading whose section row `y` is in."""
        index = bisect_right(self.headings, y) - 1
        return self.headings[index] if index >= 0 else None

    def _add(self, band: Band | None, at: int, height: int) -> int:
        if height:
            self._bands.append(band)
            self._starts.append(at)
        return at + height


def text_columns(width: int) -> int:
    """The room for a passage that has a page of this width to itself."""
    return max(4, width - 2 * MARGIN)


def column_width(room: int) -> int:
    """The room for each of two passages side by side."""
    return max(2, (room - GUTTER) // 2)


def _height(band: Band) -> int:
    if isinstance(band, Heading):
        return 1
    if isinstance(band, tuple):
        return max(passage.height for passage in band)
    return band.height


def _fitted(passage: Passage, row: int, width: int, inks: Inks) -> list[Segment]:
    """A row of a passage, exactly as wide as its column."""
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
    """A safe title with a rule behind it, exactly `width` columns."""
    shown = clip(title, max(0, width - 1))
    return [Segment(shown, style), Segment(" " + "─" * (width - text_width(shown) - 1), rule)]
