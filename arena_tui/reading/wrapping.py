"""Breaks one line of safe text into rows of a width, at blanks where there are any. Linear for any text."""

from __future__ import annotations

import re
from typing import NamedTuple

from rich.cells import cell_len

# Runs of characters that are one column wide each: letters of Europe, punctuation, arrows and mathematical signs.
_ALL_NARROW = re.compile(
    "[ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u22ff\u2500-\u257f]*"
)
_MARKER = re.compile(r"\s*(?:(?:[-*+•]|\d{1,3}[.)]|>)\s+)?")


class Row(NamedTuple):
    """The characters from `start` to `end` of a line, behind `indent` blanks."""

    start: int
    end: int
    indent: int


def wrap(line: str, width: int) -> list[Row]:
    """At least one row. What follows a list marker or an indentation hangs under it."""
    width = max(2, width)  # room for a wide character
    if len(line) <= width and (line.isascii() or cell_len(line) <= width):
        return [Row(0, len(line), 0)]
    marker = _MARKER.match(line)
    hanging = min(marker.end() if marker else 0, width // 3)
    if line.isascii() or _ALL_NARROW.fullmatch(line):
        return _wrap_narrow(line, width, hanging)
    return _wrap_wide(line, width, hanging)


def _wrap_narrow(line: str, width: int, hanging: int) -> list[Row]:
    rows: list[Row] = []
    start, length, indent = 0, len(line), 0
    while length - start > width - indent:
        limit = start + width - indent
        blank = line.rfind(" ", start + 1, limit + 1)
        if blank == -1 or (not rows and blank < hanging):
            rows.append(Row(start, limit, indent))
            start = limit
        else:
            rows.append(Row(start, blank, indent))
            start = blank + 1
        indent = hanging
    if start < length or not rows:
        rows.append(Row(start, length, indent))
    return rows


def _wrap_wide(line: str, width: int, hanging: int) -> list[Row]:
    rows: list[Row] = []
    start, used, blank, indent = 0, 0, -1, 0
    for index, char in enumerate(line):
        columns = 1 if char < "\u0300" else cell_len(char)
        if used + columns > width - indent:
            if char == " ":
                rows.append(Row(start, index, indent))
                start = index + 1
            elif blank > start and (rows or blank >= hanging):
                rows.append(Row(start, blank, indent))
                start = blank + 1
            else:
                rows.append(Row(start, index, indent))
                start = index
            indent, blank = hanging, -1
            used = sum(1 if behind < "\u0300" else cell_len(behind) for behind in line[start:index])
            if start > index:
                continue
        elif char == " ":
            blank = index
        used += columns
    if start < len(line) or not rows:
        rows.append(Row(start, len(line), indent))
    return rows
