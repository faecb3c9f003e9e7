"""The leaderboard for programs: CSV, and the original's own lines."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from arena_tui.output.json_text import rounded
from arena_tui.safe_text import one_line
from engine.exporting.spreadsheet import neutral
from engine.ratings.leaderboard import Leaderboard, Row


def as_csv(board: Leaderboard) -> str:
    """One line a row under the JSON's names; with groups a first column says which, empty for the whole bench.

    Details become columns of their own, one for each judge among them. Texts are made such that no spreadsheet takes
    them for a formula, see `engine.exporting.spreadsheet`.
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


def as_arena_hard(board: Leaderboard) -> str:
    """The lines that the original prints, in its layout; groups are headed as in its second version."""
    lines = [_arena_hard_line(row) for row in board.rows]
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
    return neutral(one_line(value))
