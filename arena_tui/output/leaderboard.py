"""A leaderboard as text for stdout: a table with intervals drawn to scale, JSON, CSV, Markdown, the original's.

No colour and no terminal codes. `leaderboard_columns` chooses the columns of the formats that people read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from arena_tui.output.forest import ASCII, UNICODE, Scale, Strokes
from arena_tui.output.json_text import json_text, rounded
from arena_tui.output.leaderboard_columns import (
    baseline_of,
    group_title,
    headline,
    interval,
    same_games,
    score_columns,
    stats_columns,
)
from arena_tui.output.tables import GAP, TableColumn, escaped, fitted, markdown_table, table_width, text_table
from arena_tui.output.verdict import answer_words, without_unicode
from arena_tui.safe_text import one_line, text_width
from engine.ratings.leaderboard import Leaderboard, Noise, Row

LeaderboardFormat: TypeAlias = Literal["table", "json", "csv", "markdown", "arena-hard"]
LEADERBOARD_FORMATS: tuple[LeaderboardFormat, ...] = get_args(LeaderboardFormat)

_NARROWEST_NAME = 24
_NARROWEST_BAR, _WIDEST_BAR = 15, 41
_DROPPED_FIRST = ("games", "questions", "ties %", "flips %", "tokens", "by label")


def format_leaderboard(
    board: Leaderboard, form: LeaderboardFormat, *, width: int = 120, ascii_only: bool = False
) -> str:
    """Return the leaderboard as text that ends with a newline. Warnings are part of the JSON alone.

    `width` (columns) and `ascii_only` (for terminals without Unicode) shape the table only. Text that came from files
    or models can neither move the cursor, nor break a line, nor run as a spreadsheet formula.
    """
    match form:
        case "table":
            return _table(board, width=width, ascii_only=ascii_only)
        case "json":
            return json_text(board)
        case "csv":
            return _csv(board)
        case "markdown":
            return _markdown(board)
        case "arena-hard":
            return _arena_hard(board)


def _csv(board: Leaderboard) -> str:
    """Return one line a row under the JSON's names; with groups, a first column names the group (empty: all questions).

    Details become further columns, one for each judge. No spreadsheet can take a text for a formula.
    """
    grouped = board.groups is not UNSET
    records = [_record(row, "") for row in board.rows]
    for group in board.groups if board.groups is not UNSET else []:
        records += [_record(row, group.group) for row in group.rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    if not grouped:
        names.remove("group")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_cell(name) for name in names)
    writer.writerows([_cell(record.get(name)) for name in names] for record in records)
    return buffer.getvalue()


def _arena_hard(board: Leaderboard) -> str:
    """Return the lines that the original prints, in its layout; groups have the headings of its second version.

    Where the baseline depends on the category it prints nothing over all categories.
    """
    lines = [_arena_hard_line(row) for row in (board.rows if isinstance(board.baseline_by_category, UnsetType) else ())]
    for group in board.groups if board.groups is not UNSET else []:
        lines += [f"##### Category: {one_line(group.group)} #####", *map(_arena_hard_line, group.rows)]
    return "".join(f"{line}\n" for line in lines)


def _arena_hard_line(row: Row) -> str:
    """Percent limits relative to the score, all rounded to 2 decimals and then to 1, or whole Elo points, as there."""
    score: float | str
    lower: float | str
    upper: float | str
    if isinstance(row.elo, UnsetType):
        score = round(row.score, 2)
        lower, upper = round(round(row.lower, 2) - score, 1), round(round(row.upper, 2) - score, 1)
        score = round(score, 1)
    elif row.elo is None:
        score, lower, upper = ("inf" if row.score > 50.0 else "-inf"), float("nan"), float("nan")
    else:
        score = int(row.elo)
        lower, upper = (
            int(limit) - int(row.elo) if isinstance(limit, float) else infinite
            for limit, infinite in ((row.elo_lower, float("-inf")), (row.elo_upper, float("inf")))
        )
    name, limits = one_line(row.model), f"({lower}, {upper})"
    return f"{name:<50} | score: {score:^5} | 95% CI: {limits:^15} | average #tokens: {row.avg_tokens or 0}"


def _record(row: Row, group: str) -> dict[str, Any]:
    record: dict[str, Any] = {"group": group, **rounded(msgspec.to_builtins(row))}
    stats: dict[str, Any] = record.pop("stats", {})
    judges: dict[str, float] = stats.pop("judges", {})
    return {**record, **stats, **{f"judge {name}": share for name, share in judges.items()}}


def _cell(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    from engine.formats.tables import neutral

    return neutral(one_line(value))


def _markdown(board: Leaderboard) -> str:
    """Return a line on what was compared, the table, and a section a group."""
    parts = [f"**{escaped(line)}**" for line in answer_words(board)[:1]]
    parts += [escaped(" · ".join(headline(board))), *_markdown_tables(board.rows, board.baseline, board.noise)]
    for group in board.groups if board.groups is not UNSET else []:
        parts.append(f"### {escaped(group_title(board, group))}")
        parts += _markdown_tables(group.rows, baseline_of(board, group)) or [
            escaped(one_line(text)) for text in group.warnings
        ]
    return "\n\n".join(parts) + "\n"


def _markdown_tables(rows: Sequence[Row], baseline: str, noise: Mapping[str, Noise] | UnsetType = UNSET) -> list[str]:
    if not rows:
        return []
    tables = score_columns(rows, baseline, noise), stats_columns(rows)
    return [markdown_table(columns) for columns in tables if columns]


def _table(board: Leaderboard, *, width: int, ascii_only: bool) -> str:
    """Return a headline, the table, a table a group, and the details if they were requested."""
    strokes = ASCII if ascii_only else UNICODE
    phrases = headline(board)
    if each := same_games(board.rows):
        phrases.append(f"{each.questions} questions, {each.games} games each")
    parts = ["\n".join(answer)] if (answer := answer_words(board)) else []
    parts += [
        "\n".join(_wrapped(phrases, strokes.separator, width)),
        *_blocks(board.rows, board, board.baseline, strokes, width),
    ]
    for group in board.groups if board.groups is not UNSET else []:
        blocks = _blocks(group.rows, board, baseline_of(board, group), strokes, width)
        blocks = blocks or [one_line(text) for text in group.warnings]
        parts += ["\n".join([group_title(board, group), *blocks[:1]]), *blocks[1:]]
    text = "\n\n".join(parts) + "\n"
    return without_unicode(text) if ascii_only else text


def _blocks(rows: Sequence[Row], board: Leaderboard, baseline: str, strokes: Strokes, width: int) -> list[str]:
    if not rows:
        return []
    columns = score_columns(rows, baseline, board.noise if rows is board.rows else UNSET)
    if same_games(board.rows) and same_games(rows):
        columns = [column for column in columns if column.title not in ("questions", "games")]
    columns = _fit(columns, width, strokes)
    room = width - table_width(columns) - GAP
    if room >= _NARROWEST_BAR:
        bar = _bars(rows, baseline, min(room, _WIDEST_BAR), strokes)
        columns.insert(4, TableColumn("", bar, right=False))
    blocks = [text_table(columns)]
    if details := stats_columns(rows):
        blocks.append(text_table(_fit(details, width, strokes)))
    return blocks


def _fit(columns: list[TableColumn], width: int, strokes: Strokes) -> list[TableColumn]:
    return fitted(columns, width, _DROPPED_FIRST, narrowest=_NARROWEST_NAME, ellipsis=strokes.ellipsis)


def _bars(rows: Sequence[Row], baseline: str, columns: int, strokes: Strokes) -> list[str]:
    """Draw the interval of each row, `columns` characters wide, on one scale."""
    shown = [interval(row) for row in rows]
    middle = next(number.score for row, number in zip(rows, shown, strict=True) if row.model == baseline)
    scale = Scale.around((limit for number in shown for limit in (number.lower, number.upper)), columns, middle)
    return [scale.bar(number.lower, number.score, number.upper, strokes) for number in shown]


def _wrapped(phrases: Sequence[str], separator: str, width: int) -> list[str]:
    """Join the phrases on as few lines as possible, broken between phrases only."""
    lines: list[str] = []
    for phrase in phrases:
        longer = f"{lines[-1]}{separator}{phrase}" if lines else phrase
        if lines and text_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return lines
