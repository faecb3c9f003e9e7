"""Code in the colours of the theme, by Pygments: the lexer that a fence names, bounded in length and time.

Lexers are regular expressions that hostile text can slow down: a long block, a long line or a block that takes too long
is shown in one colour.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from arena_tui.judgments.roles import Ink, Stretch

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LONGEST_BLOCK, LONGEST_LINE = 20_000, 500  # characters
SECONDS = 0.05  # for one block


def code_stretches(code: str, language: str) -> list[list[Stretch]] | None:
    """Return the stretches of each line of a block; None if its language is unknown or it takes too long."""
    lines = code.split("\n")
    if not language or len(code) > LONGEST_BLOCK or max(map(len, lines)) > LONGEST_LINE:
        return None
    lexer = _lexer(language.casefold())
    if lexer is None:
        return None
    ends = time.monotonic() + SECONDS
    rows: list[list[Stretch]] = [[]]
    at = 0
    for kind, text in lexer.get_tokens(code):
        if time.monotonic() > ends:
            return None
        for number, part in enumerate(text.split("\n")):
            if number:
                rows.append([])
                at = 0
            if not part:
                continue
            ink, row = _ink(kind), rows[-1]
            if row and row[-1].ink is ink:
                row[-1] = Stretch(row[-1].start, at + len(part), ink)
            else:
                row.append(Stretch(at, at + len(part), ink))
            at += len(part)
    return list(_filled(rows, lines))


def _filled(rows: list[list[Stretch]], lines: list[str]) -> Iterator[list[Stretch]]:
    """Yield the stretches of each line up to its end, also if the lexer dropped something."""
    for number, line in enumerate(lines):
        row = [part for part in (rows[number] if number < len(rows) else []) if part.end <= len(line)]
        end = row[-1].end if row else 0
        yield [*row, Stretch(end, len(line), Ink.PLAIN)] if end < len(line) or not row else row


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=256)
def _ink(kind: Any) -> Ink:
    """Return the role of a Pygments token."""
    from pygments.token import Comment, Keyword, Literal, Name, Operator

    if kind in Comment:
        return Ink.FAINT
    if kind in Keyword or kind in Operator.Word or kind in Name.Tag:
        return Ink.KEYWORD
    if kind in Literal.String:
        return Ink.STRING
    if kind in Literal.Number or kind in Keyword.Constant:
        return Ink.NUMBER
    if kind in Name.Function or kind in Name.Class:
        return Ink.STRONG
    return Ink.PLAIN
