"""Places in a text where words were found, as characters of its rows."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

MOST_HITS = 5_000  # in one passage


class HitPart(NamedTuple):
    """The characters from `start` to `end` of a row; a hit that is wrapped has several."""

    row: int
    start: int
    end: int


Hit = tuple[HitPart, ...]


def find_hits(lines: Sequence[str], pattern: re.Pattern[str]) -> Iterator[Hit]:
    """Yield the hits in lines joined by line breaks, the row being the number of the line."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for found in islice(pattern.finditer("\n".join(lines)), MOST_HITS):
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
    """Return segments of a row with styles added from one character to another; the parts do not overlap."""
    cuts = sorted({0, *(at for start, end, _ in parts for at in (start, end))})
    made: list[Segment] = []
    at = 0
    for text, style, control in segments:
        edges = [0, *(cut - at for cut in cuts if 0 < cut - at < len(text)), len(text)]
        for start, end in pairwise(edges):
            added = next((each for first, last, each in parts if first <= at + start < last), None)
            shown = style if added is None else (style or Style.null()) + added
            made.append(Segment(text[start:end], shown, control))
        at += len(text)
    return made
