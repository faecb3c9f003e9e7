"""Intervals drawn to scale in text: one line each, the baseline marked, an axis with round numbers."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator

import msgspec

_FEWEST_COLUMNS_A_TICK, _MOST_TICKS = 4, 7
_STEPS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0)


class Strokes(msgspec.Struct, frozen=True):
    """Characters of an interval: left end, line, estimate, right end; the baseline outside and inside it; an axis.

    With `halves`, the ends are half as wide as the line, so that intervals are drawn to half a column.
    """

    left: str
    line: str
    point: str
    right: str
    middle: str
    cross: str
    axis: str
    tick: str
    ellipsis: str
    separator: str
    halves: bool


UNICODE = Strokes("╺", "━", "●", "╸", "┊", "┿", "─", "┴", "…", " · ", halves=True)
ASCII = Strokes("|", "-", "o", "|", ":", "+", "-", "+", "~", " | ", halves=False)


def terminal_strokes() -> Strokes:
    """Return the strokes that the terminal under a UI can show (while it runs, sys.stdout belongs to Textual)."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    return UNICODE if encoding.lower().startswith("utf") else ASCII


class Scale(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high` on `columns` columns; `middle` is the baseline."""

    low: float
    high: float
    columns: int
    middle: float

    @classmethod
    def around(cls, limits: Iterable[float], columns: int, middle: float) -> Scale:
        """Return a scale from the least to the greatest of the finite limits and the middle."""
        finite = [middle, *(limit for limit in limits if math.isfinite(limit))]
        return cls(min(finite), max(finite), columns, middle)

    def place(self, value: float) -> int:
        """Return the column of `value`; values beyond an end are drawn at that end."""
        return round(self._column(value))

    def _column(self, value: float) -> float:
        """Return where `value` is, in columns; whole numbers are the middles of columns."""
        span = (self.high - self.low) or 1.0
        return min(max((value - self.low) / span, 0.0), 1.0) * (self.columns - 1)

    def bar(self, lower: float, point: float, upper: float, strokes: Strokes) -> str:
        """Draw one interval, exactly `columns` wide."""
        cells = [" "] * self.columns
        middle = self.place(self.middle)
        cells[middle] = strokes.middle
        if lower != upper:
            for at, stroke in self._line(lower, upper, strokes):
                cells[at] = strokes.cross if at == middle and stroke == strokes.line else stroke
        cells[self.place(point)] = strokes.point
        return "".join(cells)

    def _line(self, lower: float, upper: float, strokes: Strokes) -> Iterator[tuple[int, str]]:
        """Yield the columns of an interval with their characters."""
        if not strokes.halves:
            left, right = self.place(lower), self.place(upper)
            yield from ((at, strokes.line) for at in range(left + 1, right))
            yield left, strokes.left
            yield right, strokes.right
            return
        first, end = round(2 * self._column(lower) + 1), round(2 * self._column(upper) + 1)  # in half columns
        for at in range(first // 2, (end + 1) // 2):
            has_left, has_right = first <= 2 * at < end, first <= 2 * at + 1 < end
            yield at, strokes.line if has_left and has_right else strokes.right if has_left else strokes.left

    def axis(self, strokes: Strokes) -> str:
        """Draw a line with a tick for each of `ticks`."""
        cells = [strokes.axis] * self.columns
        for value in self.ticks():
            cells[self.place(value)] = strokes.tick
        return "".join(cells)

    def numbers(self) -> str:
        """Write the numbers of the ticks, each centred on its tick as far as the ends allow."""
        cells = [" "] * self.columns
        for value in self.ticks():
            text = f"{value:g}"
            start = min(max(0, self.place(value) - len(text) // 2), self.columns - len(text))
            if start >= 0:
                cells[start : start + len(text)] = text
        return "".join(cells)

    def ticks(self) -> list[float]:
        """Return the middle and round numbers at equal distances from it, as many as have room."""
        span = self.high - self.low
        columns_a_point = (self.columns - 1) / span if span else 0.0
        least = max(_FEWEST_COLUMNS_A_TICK, self.columns / _MOST_TICKS)
        step = next((step for step in _STEPS if step * columns_a_point >= least), span or 1.0)
        below, above = int((self.middle - self.low) / step), int((self.high - self.middle) / step)
        return [self.middle + step * number for number in range(-below, above + 1)]
