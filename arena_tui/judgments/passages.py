"""Passages: texts wrapped to one width, which give their rows as segments when painted.

Raw Markdown is highlighted (headings, code, lists, bold, labels) and every character shown, because rendering drops
content (inline HTML, LaTeX, link targets).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from rich.cells import cell_len
from rich.segment import Segment

from arena_tui.judgments.code import code_stretches
from arena_tui.judgments.hits import Hit, HitPart, find_hits
from arena_tui.judgments.roles import Ink, Stretch, style_of
from arena_tui.output.word_diff import MOST_WORDS
from arena_tui.safe_text import readable
from arena_tui.theme import Inks

LONGEST_LINE = 4_000  # characters; longer lines are not highlighted


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_RULE = re.compile(r" {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$")
_LIST = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])(?=\s)")
_INLINE = re.compile(r"(?P<code>`[^`]+`)|(?P<mark>\[\[?[AB][<>=]{1,2}[AB]\]?\])|(?P<strong>\*\*[^*]+\*\*|__[^_]+__)")


class CodeBlock(NamedTuple):
    """The lines from `start` (the opening fence) to before `end` (past the closing fence)."""

    start: int
    end: int
    language: str
    is_closed: bool


def code_blocks(lines: Sequence[str]) -> Iterator[CodeBlock]:
    """Yield the fenced blocks; an unclosed fence extends to the end of the text."""
    fence, start, language = "", 0, ""  # the characters that opened the block
    for number, line in enumerate(lines):
        found = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if found is None:
            continue
        if not fence:
            fence, start = found[1], number
            language = (found[2].split() or [""])[0].strip("{}.")
        elif found[1].startswith(fence) and not found[2].strip():
            yield CodeBlock(start, number + 1, language, True)
            fence = ""
    if fence:
        yield CodeBlock(start, len(lines), language, False)


def stretches(line: str, is_code: bool) -> list[Stretch]:
    """Split a line into stretches, in order and without gaps."""
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


# Runs of characters that are one column wide each: letters of Europe, punctuation, arrows and mathematical signs.
_ALL_NARROW = re.compile(
    "[ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u22ff\u2500-\u257f]*"
)
_WORD = re.compile(r"\S+")
_MARKER = re.compile(r"\s*(?:(?:[-*+•]|\d{1,3}[.)]|>)\s+)?")


class WrappedRow(NamedTuple):
    """The characters from `start` to `end` of a line, after `indent` blanks."""

    start: int
    end: int
    indent: int


def wrap(line: str, width: int) -> list[WrappedRow]:
    """Wrap a line into at least one row; rows after a list marker or an indentation are indented below it."""
    width = max(2, width)  # room for a wide character
    if len(line) <= width and (line.isascii() or cell_len(line) <= width):
        return [WrappedRow(0, len(line), 0)]
    marker = _MARKER.match(line)
    hanging = min(marker.end() if marker else 0, width // 3)
    if line.isascii() or _ALL_NARROW.fullmatch(line):
        return _wrap_narrow(line, width, hanging)
    return _wrap_wide(line, width, hanging)


def _wrap_narrow(line: str, width: int, hanging: int) -> list[WrappedRow]:
    rows: list[WrappedRow] = []
    start, length, indent = 0, len(line), 0
    while length - start > width - indent:
        limit = start + width - indent
        blank = line.rfind(" ", start + 1, limit + 1)
        if blank == -1 or (not rows and blank < hanging):
            rows.append(WrappedRow(start, limit, indent))
            start = limit
        else:
            rows.append(WrappedRow(start, blank, indent))
            start = blank + 1
        indent = hanging
    if start < length or not rows:
        rows.append(WrappedRow(start, length, indent))
    return rows


def _wrap_wide(line: str, width: int, hanging: int) -> list[WrappedRow]:
    rows: list[WrappedRow] = []
    start, used, blank, indent = 0, 0, -1, 0
    for index, char in enumerate(line):
        columns = 1 if char < "\u0300" else cell_len(char)
        if used + columns > width - indent:
            if char == " ":
                rows.append(WrappedRow(start, index, indent))
                start = index + 1
            elif blank > start and (rows or blank >= hanging):
                rows.append(WrappedRow(start, blank, indent))
                start = blank + 1
            else:
                rows.append(WrappedRow(start, index, indent))
                start = index
            indent, blank = hanging, -1
            used = sum(1 if behind < "\u0300" else cell_len(behind) for behind in line[start:index])
            if start > index:
                continue
        elif char == " ":
            blank = index
        used += columns
    if start < len(line) or not rows:
        rows.append(WrappedRow(start, len(line), indent))
    return rows


MOST_CHARACTERS = 200_000  # of one text; a longer one is cut


class Passage(Protocol):
    """Rows of text."""

    @property
    def height(self) -> int: ...

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        """One row, no wider than the passage."""
        ...

    def hits(self, pattern: re.Pattern[str]) -> list[Hit]:
        """Where the rows contain what was searched for."""
        ...

    def words(self) -> Iterator[tuple[str, Hit]]:
        """The words of the text with their places."""
        ...


class RawText:
    """A text as written, highlighted. It is wrapped at once and highlighted when painted."""

    def __init__(self, text: str, width: int) -> None:
        omitted = len(text) - MOST_CHARACTERS
        self._lines = readable(text[:MOST_CHARACTERS]).strip("\n").split("\n")
        if omitted > 0:
            self._lines.append(f"… {omitted:,} more characters not shown; see the file")
        self._blocks = list(code_blocks(self._lines))
        self._rows: list[tuple[int, WrappedRow]] = [
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
            self._highlight(number)
        parts = [Segment(" " * indent)] if indent else []
        for stretch in self._stretches[number]:
            first, last = max(start, stretch.start), min(end, stretch.end)
            if first < last:
                parts.append(Segment(line[first:last], style_of(stretch.ink, inks)))
        return parts

    def hits(self, pattern: re.Pattern[str]) -> list[Hit]:
        return [self._in_rows(hit) for hit in find_hits(self._lines, pattern)]

    def words(self) -> Iterator[tuple[str, Hit]]:
        for hit in find_hits(self._lines, _WORD, MOST_WORDS):
            placed = self._in_rows(hit)
            yield self._word(placed), placed

    def _in_rows(self, hit: Hit) -> Hit:
        return tuple(piece for part in hit for piece in self._pieces(part))

    def _word(self, hit: Hit) -> str:
        words = []
        for index, start, end in hit:
            number, row = self._rows[index]
            words.append(self._lines[number][row.start + start - row.indent : row.start + end - row.indent])
        return "".join(words)

    def _pieces(self, part: HitPart) -> Iterator[HitPart]:
        """Yield the part of a line as parts of the rows that it is wrapped into."""
        place = part.row, part.start
        begins = max(0, bisect_right(self._rows, place, key=lambda row: (row[0], row[1].start)) - 1)
        for index in range(begins, len(self._rows)):
            number, (start, end, indent) = self._rows[index]
            if number != part.row or start >= part.end:
                return
            first, last = max(part.start, start), min(part.end, end)
            if first < last:
                yield HitPart(index, first - start + indent, last - start + indent)

    def _highlight(self, number: int) -> None:
        """Find the stretches of a line, with those of the whole block if it is code."""
        at = bisect_right(self._blocks, number, key=lambda block: block.start) - 1
        block = self._blocks[at] if at >= 0 else None
        if block is None or number >= block.end:
            self._stretches[number] = stretches(self._lines[number], is_code=False)
            return
        inner = range(block.start + 1, block.end - 1 if block.is_closed else block.end)
        lines = [self._lines[line] for line in inner]
        known = code_stretches("\n".join(lines), block.language) if lines else None
        for line in range(block.start, block.end):
            self._stretches[line] = stretches(self._lines[line], is_code=True)
        for line, found in zip(inner, known or (), strict=False):
            self._stretches[line] = found


class Words:
    """A text of the program itself, wrapped, in one style."""

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

    def hits(self, pattern: re.Pattern[str]) -> list[Hit]:
        return []  # not what models wrote

    def words(self) -> Iterator[tuple[str, Hit]]:
        return iter(())


class Stack:
    """Passages below each other, with a blank row between them."""

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

    def hits(self, pattern: re.Pattern[str]) -> list[Hit]:
        return [
            tuple(HitPart(first + row, start, end) for row, start, end in hit)
            for first, place in enumerate(self._rows)
            if place is not None and place[1] == 0
            for hit in place[0].hits(pattern)
        ]

    def words(self) -> Iterator[tuple[str, Hit]]:
        for first, place in enumerate(self._rows):
            if place is not None and place[1] == 0:
                for word, hit in place[0].words():
                    yield word, tuple(HitPart(first + row, start, end) for row, start, end in hit)
