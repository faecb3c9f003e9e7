"""A curve drawn as text: an interval for each checkpoint, score upwards, step to the right, both to scale.

Bands are not symmetric, which the plot widgets for terminals do not draw (textual-plot has symmetric errors, plotext
none, and textual-plotext is archived). So intervals are drawn as on the leaderboard, upright, to half a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from arena_tui.output.curve_words import short_step
from arena_tui.output.forest import ASCII, Scale, Strokes

if TYPE_CHECKING:
    from engine.ratings.curve_result import Curve, CurvePoint

Part: TypeAlias = Literal["axis", "even", "band", "best", "possible", "excluded", "cursor"]
"""What a character of the plot is, for its colour."""
Run: TypeAlias = tuple[str, Part]

_GUTTER = 6  # columns of the numbers on the left
_LEAST_GAP = 2  # columns between numbers below


class PlotMarks(msgspec.Struct, frozen=True):
    """Characters of a plot: the strokes of an upright interval (bottom half, whole, top half), points, the axes."""

    upright: Strokes
    best: str
    possible: str
    excluded: str
    even: str
    edge: str
    corner: str
    below: str
    tick: str
    cursor: str


_UPRIGHT = Strokes("╹", "┃", "●", "╻", "┄", "╂", "─", "┴", "…", " · ", halves=True)
UNICODE_MARKS = PlotMarks(_UPRIGHT, "◆", "●", "○", "┄", "┤", "└", "─", "┬", "▲")
ASCII_MARKS = PlotMarks(
    msgspec.structs.replace(ASCII, line="|", left="|", right="|"), "#", "o", ".", "-", "+", "+", "-", "+", "^"
)


def curve_plot(
    curve: Curve, width: int, rows: int, *, marks: PlotMarks = UNICODE_MARKS, cursor: str = ""
) -> list[list[Run]]:
    """Return the lines of a plot in `width` columns, `rows` of them above the axis; runs of characters with what they
    are.

    `cursor` is the model that is marked below the axis. Where checkpoints share a column, the best, then those that can
    be the best, are drawn over the others.
    """
    points = curve.points
    limits = [limit for point in points for limit in (point.lower, point.upper)]
    up = Scale.around(limits, max(5, rows), 50.0)
    along = _along(curve, width)
    grid = _Grid(along.columns, up.columns, marks)
    for point in sorted(points, key=lambda each: _rank(curve, each)):
        bar = up.bar(point.lower, point.score, point.upper, marks.upright)
        grid.draw(_column(along, points, point), bar, up.place(point.score), _rank(curve, point))
    return [*grid.lines(up), *_axis(curve, along, marks, cursor)]


def nearest(curve: Curve, width: int, column: int) -> CurvePoint:
    """Return the checkpoint whose interval is nearest to a column of a plot of `width` columns."""
    along = _along(curve, width)
    return min(curve.points, key=lambda point: abs(_column(along, curve.points, point) + _GUTTER + 1 - column))


def _along(curve: Curve, width: int) -> Scale:
    """Return the scale of the steps in a plot of `width` columns."""
    first, last = float(curve.points[0].step), float(curve.points[-1].step)
    return Scale(first, last, max(8, width - _GUTTER - 1), first)


def legend(marks: PlotMarks = UNICODE_MARKS, width: int = 80) -> list[Run]:
    """Return what the marks mean, in one line of at most `width` columns."""
    known: list[tuple[str, Part, str]] = [
        (marks.best, "best", "best so far"),
        (marks.possible, "possible", "can be the best"),
        (marks.excluded, "excluded", "surely not"),
        (marks.even, "even", "the baseline"),
    ]
    runs: list[Run] = []
    for mark, part, words in known:
        width -= len(mark) + len(words) + 4
        if width >= -3:
            runs += [(f"{mark} ", part), (f"{words}   ", "axis")]
    return runs


class _Grid:
    """The cells of a plot, upwards from row 0."""

    def __init__(self, columns: int, rows: int, marks: PlotMarks) -> None:
        self._marks = marks
        self._cells: list[list[Run]] = [[(" ", "axis")] * columns for _ in range(rows)]

    def draw(self, column: int, bar: str, middle: int, rank: int) -> None:
        """Draw an interval upright; `rank` says how its point is marked."""
        mark, part = (
            (self._marks.excluded, "excluded"),
            (self._marks.possible, "possible"),
            (self._marks.best, "best"),
        )[rank]
        for row, stroke in enumerate(bar):
            if row == middle:
                self._cells[row][column] = (mark, part)  # type: ignore[assignment]
            elif stroke not in (" ", self._marks.upright.middle):
                self._cells[row][column] = (stroke, "excluded" if rank == 0 else "band")

    def lines(self, up: Scale) -> list[list[Run]]:
        """Return the rows from the top, with their numbers and the line of the baseline."""
        numbers = {up.place(value): f"{value:g}" for value in up.ticks()}
        even = up.place(up.middle)
        lines = []
        for row in range(len(self._cells) - 1, -1, -1):
            number = numbers.get(row, "")
            cells = self._cells[row]
            if row == even:
                cells = [(self._marks.even, "even") if text == " " else (text, part) for text, part in cells]
            edge = self._marks.edge if number else "│" if self._marks is UNICODE_MARKS else "|"
            lines.append(_joined([(f"{number:>{_GUTTER - 1}} {edge}", "axis"), *cells]))
        return lines


def _rank(curve: Curve, point: CurvePoint) -> int:
    """Return 2 for the best, 1 for those that can be the best, 0 for the others."""
    return 2 if point.model == curve.keep.model else 1 if point.can_be_best else 0


def _column(along: Scale, points: Sequence[CurvePoint], point: CurvePoint) -> int:
    return along.columns // 2 if points[0].step == points[-1].step else along.place(float(point.step))


def _axis(curve: Curve, along: Scale, marks: PlotMarks, cursor: str) -> list[list[Run]]:
    """Return the axis with a tick at every step, and as many of their numbers as have room."""
    columns = along.columns
    line, numbers, pointer = [marks.below] * columns, [" "] * columns, [" "] * columns
    places = [(point, _column(along, curve.points, point)) for point in curve.points]
    for point, column in places:
        line[column] = marks.tick
        if point.model == cursor:
            pointer[column] = marks.cursor
    for start, text in _numbered([(short_step(point.step), column) for point, column in places], columns):
        numbers[start : start + len(text)] = text
    gutter = " " * _GUTTER
    lines: list[list[Run]] = [
        [(f"{gutter}{marks.corner}{''.join(line)}", "axis")],
        [(f"{gutter} {''.join(numbers)}", "axis")],
    ]
    return [*lines, [(f"{gutter} {''.join(pointer)}", "cursor")]] if cursor else lines


def _numbered(ticks: Sequence[tuple[str, int]], columns: int) -> list[tuple[int, str]]:
    """Return the numbers that have room, the last and as many before it at equal distances as possible: where each
    starts, and its text."""
    placed = [
        (min(max(0, column - len(text) // 2), columns - len(text)), text)
        for text, column in ticks
        if len(text) <= columns
    ]
    for stride in range(1, len(placed) + 1):
        chosen = placed[::-1][::stride][::-1]
        if all(one[0] + len(one[1]) + _LEAST_GAP <= other[0] for one, other in pairwise(chosen)):
            return chosen
    return placed[-1:]


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Join neighbours that are the same."""
    joined: list[Run] = []
    for text, part in runs:
        if joined and joined[-1][1] == part:
            joined[-1] = (joined[-1][0] + text, part)
        else:
            joined.append((text, part))
    return joined
