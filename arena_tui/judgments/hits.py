"""Places in a text, as characters of its rows: where words were found, and how they are marked."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

MOST_HITS = 500  # in one passage


class HitPart(NamedTuple):
    """The characters from `start` to `end` of a row; a hit that is wrapped has several."""

    row: int
    start: int
    end: int


Hit = tuple[HitPart, ...]


def find_hits(lines: Sequence[str], pattern: re.Pattern[str], most: int = MOST_HITS) -> Iterator[Hit]:
    """Yield the first hits in lines joined by line breaks, the row being the number of the line."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for found in islice(pattern.finditer("\n".join(lines)), most):
        parts = []
        number = bisect_right(starts, found.start()) - 1
        while number < len(lines) and starts[number] < found.end():
            start, end = max(found.start(), starts[number]), min(found.end(), starts[number] + len(lines[number]))
            if start < end:
                parts.append(HitPart(number, start - starts[number], end - starts[number]))
            number += 1
        if parts:
            yield tuple(parts)


def marked(segments: Sequence[Segment], parts: Sequence[tuple[int, int, Style]]) -> list[Segment]:
    """Return segments of a row with styles added from one character to another; of overlapping parts the first wins."""
    waiting = sorted(parts, key=lambda part: part[0])
    made: list[Segment] = []
    at = index = 0
    for text, style, control in segments:
        done = 0
        while done < len(text):
            here = at + done
            while index < len(waiting) and waiting[index][1] <= here:
                index += 1
            start, end, added = waiting[index] if index < len(waiting) else (at + len(text), 0, None)
            if added is not None and start <= here:
                until = min(len(text), end - at)
                made.append(Segment(text[done:until], (style or Style.null()) + added, control))
            else:
                until = min(len(text), max(start, here + 1) - at)
                made.append(Segment(text[done:until], style, control))
            done = until
        at += len(text)
    return made
