"""The leaderboard as a plain-text table with the intervals drawn to scale; no colour, no terminal codes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from arena_tui.output.forest import ASCII, UNICODE, Scale, Strokes
from arena_tui.output.leaderboard.columns import (
    headline,
    interval,
    same_games,
    score_columns,
    stats_columns,
)
from arena_tui.output.text_table import GAP, Column, column_width, rendered, table_width
from arena_tui.safe_text import one_line, shorten, text_width
from engine.ratings.leaderboard import Leaderboard, Row

_NARROWEST_NAME = 24
_NARROWEST_BAR, _WIDEST_BAR = 15, 41
_LEFT_OUT_WHEN_NARROW = ("games", "questions", "tokens", "by label")


def as_table(board: Leaderboard, *, width: int, ascii_only: bool) -> str:
    """A headline, the table, one table a group, and the details where they were asked for."""
    strokes = ASCII if ascii_only else UNICODE
    phrases = headline(board)
    if each := same_games(board.rows):
        phrases.append(f"{each.questions} questions, {each.games} games each")
    parts = ["\n".join(_wrapped(phrases, strokes.separator, width)), *_blocks(board.rows, board, strokes, width)]
    for group in board.groups if board.groups is not UNSET else []:
        title = f"{board.by}: {one_line(group.group)} ({group.questions} question{'s' if group.questions != 1 else ''})"
        blocks = _blocks(group.rows, board, strokes, width) or [one_line(text) for text in group.warnings]
        parts += ["\n".join([title, *blocks[:1]]), *blocks[1:]]
    text = "\n\n".join(parts) + "\n"
    return text.encode("ascii", "replace").decode("ascii") if ascii_only else text


def _blocks(rows: Sequence[Row], board: Leaderboard, strokes: Strokes, width: int) -> list[str]:
    if not rows:
        return []
    columns = score_columns(rows, board.baseline)
    if same_games(board.rows) and same_games(rows):
        columns = [column for column in columns if column.title not in ("questions", "games")]
    columns = _fitted(columns, width, strokes)
    room = width - table_width(columns) - GAP
    if room >= _NARROWEST_BAR:
        bar = _bars(rows, board.baseline, min(room, _WIDEST_BAR), strokes)
        columns.insert(4, Column("", bar, right=False))
    blocks = [rendered(columns)]
    if details := stats_columns(rows):
        blocks.append(rendered(_fitted(details, width, strokes)))
    return blocks


def _fitted(columns: list[Column], width: int, strokes: Strokes) -> list[Column]:
    """Fewer columns and a shorter name until the table fits, as far as it can."""
    fitted = list(columns)
    for title in _LEFT_OUT_WHEN_NARROW:
        if table_width(fitted) - _name_width(fitted) + min(_NARROWEST_NAME, _name_width(fitted)) <= width:
            break
        fitted = [column for column in fitted if column.title != title]
    excess = table_width(fitted) - width
    if excess <= 0:
        return fitted
    longest = max(_name_width(fitted) - excess, min(_NARROWEST_NAME, _name_width(fitted)))
    return [
        msgspec.structs.replace(column, cells=[shorten(cell, longest, strokes.ellipsis) for cell in column.cells])
        if column.title == "model"
        else column
        for column in fitted
    ]


def _bars(rows: Sequence[Row], baseline: str, columns: int, strokes: Strokes) -> list[str]:
    """One text of `columns` characters a row: its interval on the scale that holds all of them."""
    shown = [interval(row) for row in rows]
    middle = next(number.score for row, number in zip(rows, shown, strict=True) if row.model == baseline)
    scale = Scale.around((limit for number in shown for limit in (number.lower, number.upper)), columns, middle)
    return [scale.bar(number.lower, number.score, number.upper, strokes) for number in shown]


def _name_width(columns: Sequence[Column]) -> int:
    return next(column_width(column) for column in columns if column.title == "model")


def _wrapped(phrases: Sequence[str], separator: str, width: int) -> list[str]:
    """The phrases on as few lines as hold them, broken between phrases only."""
    lines: list[str] = []
    for phrase in phrases:
        longer = f"{lines[-1]}{separator}{phrase}" if lines else phrase
        if lines and text_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return lines
