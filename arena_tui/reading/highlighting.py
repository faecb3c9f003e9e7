"""Marks in raw Markdown what readers look for (headings, code, lists, bold, verdicts), and shows every character.

Rendering drops content (inline HTML, LaTeX, link targets), so what is shown first is the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

LONGEST_LINE = 4_000  # characters; longer ones are no prose, and are shown as they are


class Ink(Enum):
    """What a stretch of text is; the theme says how that looks."""

    PLAIN = "plain"
    HEADING = "heading"
    CODE = "code"
    STRONG = "strong"
    MARK = "mark"  # list markers and verdicts
    FAINT = "faint"  # fences, rules, quotes


class Stretch(NamedTuple):
    """The characters from `start` to `end` of a line are of one ink."""

    start: int
    end: int
    ink: Ink


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_RULE = re.compile(r" {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$")
_LIST = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])(?=\s)")
_INLINE = re.compile(r"(?P<code>`[^`]+`)|(?P<mark>\[\[?[AB][<>=]{1,2}[AB]\]?\])|(?P<strong>\*\*[^*]+\*\*|__[^_]+__)")


def fenced(lines: Sequence[str]) -> list[bool]:
    """For each line whether it is code in a fence; a fence that is never closed holds the rest of the text."""
    inside: str = ""  # what opened the fence
    told = []
    for line in lines:
        found = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if inside:
            told.append(True)
            if found and found[1].startswith(inside) and not found[2].strip():
                inside = ""
        else:
            inside = found[1] if found else ""
            told.append(found is not None)
    return told


def stretches(line: str, is_code: bool) -> list[Stretch]:
    """The whole line in stretches, in order and without gaps."""
    if is_code:
        return [Stretch(0, len(line), Ink.FAINT if _FENCE.match(line) else Ink.CODE)]
    if len(line) > LONGEST_LINE:
        return [Stretch(0, len(line), Ink.PLAIN)]
    if _HEADING.match(line):
        return [Stretch(0, len(line), Ink.HEADING)]
    if _RULE.match(line) or line.lstrip().startswith(">"):
        return [Stretch(0, len(line), Ink.FAINT)]
    return list(_inline(line))


def _inline(line: str) -> Iterator[Stretch]:
    at = 0
    if marker := _LIST.match(line):
        yield Stretch(0, marker.end(), Ink.MARK)
        at = marker.end()
    for found in _INLINE.finditer(line, at):
        if found.start() > at:
            yield Stretch(at, found.start(), Ink.PLAIN)
        yield Stretch(found.start(), found.end(), Ink[str(found.lastgroup).upper()])
        at = found.end()
    if at < len(line) or not line:
        yield Stretch(at, len(line), Ink.PLAIN)
