"""The leaderboard as Markdown tables, for a README or a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import UNSET

from arena_tui.leaderboard_output.columns import headline, score_columns, stats_columns
from arena_tui.safe_text import one_line
from arena_tui.text_table import Column
from engine.ratings.leaderboard import Leaderboard, Row

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~])")


def as_markdown(board: Leaderboard) -> str:
    """A line that says what was compared, the table, and a section a group."""
    parts = [_escaped(" · ".join(headline(board))), *_tables(board.rows, board.baseline)]
    for group in board.groups if board.groups is not UNSET else []:
        parts.append(f"### {board.by}: {_escaped(one_line(group.group))} ({group.questions} questions)")
        parts += _tables(group.rows, board.baseline) or [_escaped(one_line(text)) for text in group.warnings]
    return "\n\n".join(parts) + "\n"


def _tables(rows: Sequence[Row], baseline: str) -> list[str]:
    if not rows:
        return []
    return [_table(columns) for columns in (score_columns(rows, baseline), stats_columns(rows)) if columns]


def _table(columns: Sequence[Column]) -> str:
    lines = [
        [_escaped(column.title) for column in columns],
        ["---:" if column.right else "---" for column in columns],
        *([_escaped(column.cells[row]) for column in columns] for row in range(len(columns[0].cells))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
