"""The words in which two texts differ, in an order that keeps most words in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple, TypeAlias, TypeVar

MOST_WORDS = 6_000  # of a text that is compared; the rest is not
LEAST_COMMON = 0.25  # of the words: where less is in common, marks would cover both texts

PartT = TypeVar("PartT")
Placed: TypeAlias = tuple[str, Sequence[PartT]]  # a word, and the parts of rows that it stands in

_WORD = re.compile(r"\S+")


class DiffRun(NamedTuple):
    """A stretch of a text; `is_own` if the other text lacks its words."""

    text: str
    is_own: bool


def differing(one: Sequence[Placed[PartT]], other: Sequence[Placed[PartT]]) -> tuple[list[PartT], list[PartT]]:
    """Return the parts of the words that only one of two texts has."""
    ours, theirs = one[:MOST_WORDS], other[:MOST_WORDS]
    matcher = SequenceMatcher(None, [word for word, _ in ours], [word for word, _ in theirs])
    parts: tuple[list[PartT], list[PartT]] = ([], [])
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            parts[0].extend(part for _, places in ours[start:end] for part in places)
            parts[1].extend(part for _, places in theirs[other_start:other_end] for part in places)
    return parts


def diff_runs(one: str, other: str) -> tuple[list[DiffRun], list[DiffRun]] | None:
    """Split both texts into runs of common and of own words; None where hardly any word is in common."""
    placed = [[(found[0], [found.span()]) for found in _WORD.finditer(text)] for text in (one, other)]
    own = differing(*placed)
    words = sum(min(len(each), MOST_WORDS) for each in placed)
    if not words or 1.0 - sum(map(len, own)) / words < LEAST_COMMON:
        return None
    first, second = (_runs(text, spans) for text, spans in zip((one, other), own, strict=True))
    return first, second


def _runs(text: str, spans: Sequence[tuple[int, int]]) -> list[DiffRun]:
    """Join own words with nothing but blanks between them, and fill the gaps with what is common."""
    joined: list[list[int]] = []
    for start, end in spans:
        if joined and not text[joined[-1][1] : start].strip():
            joined[-1][1] = end
        else:
            joined.append([start, end])
    runs, at = [], 0
    for start, end in joined:
        runs += [DiffRun(text[at:start], False), DiffRun(text[start:end], True)]
        at = end
    return [run for run in (*runs, DiffRun(text[at:], False)) if run.text]
