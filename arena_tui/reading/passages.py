"""Passages: texts of one width that give their rows as segments, one at a time, when they are painted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.segment import Segment
from rich.style import Style

from arena_tui.reading.highlighting import Ink, Stretch, fenced, stretches
from arena_tui.reading.wrapping import Row, wrap
from arena_tui.safe_text import readable
from arena_tui.theme import Inks

MOST_CHARACTERS = 200_000  # of one text; a longer one is cut, and says so


class Passage(Protocol):
    """Rows of text."""

    @property
    def height(self) -> int: ...

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        """One row, no wider than the passage."""
        ...


class RawText:
    """A text as it was written, highlighted. Wrapping is done at once, highlighting for the lines that are painted."""

    def __init__(self, text: str, width: int) -> None:
        omitted = len(text) - MOST_CHARACTERS
        self._lines = readable(text[:MOST_CHARACTERS]).strip("\n").split("\n")
        if omitted > 0:
            self._lines.append(f"… {omitted:,} more characters are not shown here; the file has them.")
        self._is_code = fenced(self._lines)
        self._rows: list[tuple[int, Row]] = [
            (number, row) for number, line in enumerate(self._lines) for row in wrap(line, width)
        ]
        self._stretches: dict[int, Sequence[Stretch]] = {}

    @property
    def height(self) -> int:
        return len(self._rows)

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        number, (start, end, indent) = self._rows[row]
        line = self._lines[number]
        if number not in self._stretches:
            self._stretches[number] = stretches(line, self._is_code[number])
        parts = [Segment(" " * indent)] if indent else []
        for stretch in self._stretches[number]:
            first, last = max(start, stretch.start), min(end, stretch.end)
            if first < last:
                parts.append(Segment(line[first:last], style_of(stretch.ink, inks)))
        return parts


class Words:
    """A text of our own in one ink, wrapped."""

    def __init__(self, text: str, width: int, ink: Ink = Ink.FAINT) -> None:
        self._rows = [
            " " * row.indent + line[row.start : row.end] for line in text.split("\n") for row in wrap(line, width)
        ]
        self._ink = ink

    @property
    def height(self) -> int:
        return len(self._rows)

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        return [Segment(self._rows[row], style_of(self._ink, inks))]


class Stack:
    """Passages one under the other, with a blank row between them."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._rows: list[tuple[Passage, int] | None] = []
        for passage in passages:
            if self._rows:
                self._rows.append(None)
            self._rows += [(passage, row) for row in range(passage.height)]

    @property
    def height(self) -> int:
        return len(self._rows)

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        place = self._rows[row]
        return [] if place is None else place[0].segments(place[1], inks)


def style_of(ink: Ink, inks: Inks) -> Style | None:
    """How the theme shows an ink; None is the style of the widget."""
    match ink:
        case Ink.HEADING:
            return inks.accent + inks.strong
        case Ink.CODE:
            return inks.good
        case Ink.STRONG:
            return inks.strong
        case Ink.MARK:
            return inks.accent
        case Ink.FAINT:
            return inks.muted
        case _:
            return None
