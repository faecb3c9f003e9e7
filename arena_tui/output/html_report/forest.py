"""The forest plot of a leaderboard: every score with its interval on one scale, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from arena_tui.output.html_report.markup import name
from arena_tui.safe_text import one_line, shorten
from engine.ratings.leaderboard import Row

_WIDTH, _NAMES, _RIGHT = 1000, 300, 130  # of the picture, of the names at its left, of the figures at its right
_ROW, _TOP, _BOTTOM = 26, 10, 30
_LONGEST_NAME = 40
_TICKS = range(0, 101, 10)


def forest_plot(rows: Sequence[Row], baseline: str) -> Iterator[str]:
    """The picture, line by line."""
    height = _TOP + _ROW * len(rows) + _BOTTOM
    below = height - _BOTTOM
    yield (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Scores with 95% intervals, baseline {name(baseline)}">'
    )
    for tick in _TICKS:
        x = _x(tick)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{below}"/>'
        yield f'<text class="tick" x="{x}" y="{below + 18}">{tick}</text>'
    yield f'<line class="base" x1="{_x(50)}" x2="{_x(50)}" y1="{_TOP}" y2="{below}"/>'
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number + _ROW // 2
        yield f'<text x="0" y="{y + 4}">{name(shorten(one_line(row.model), _LONGEST_NAME))}</text>'
        if row.lower != row.upper:
            yield f'<line class="ci" x1="{_x(row.lower)}" x2="{_x(row.upper)}" y1="{y}" y2="{y}"/>'
            for end in (row.lower, row.upper):
                yield f'<line class="ci" x1="{_x(end)}" x2="{_x(end)}" y1="{y - 4}" y2="{y + 4}"/>'
        yield f'<circle class="point" cx="{_x(row.score)}" cy="{y}" r="4"/>'
        limits = "baseline" if row.model == baseline else f"{row.score:.1f} [{row.lower:.1f}, {row.upper:.1f}]"
        yield f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 4}">{limits}</text>'
    yield "</svg>"


def _x(percent: float) -> float:
    """Where a percentage stands; an unknown limit stands at the edge."""
    share = min(max(percent if math.isfinite(percent) else 0.0, 0.0), 100.0) / 100.0
    return round(_NAMES + share * (_WIDTH - _NAMES - _RIGHT), 1)
