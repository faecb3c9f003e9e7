"""The leaderboard as Markdown tables, for a README or a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from arena_tui.output.leaderboard.columns import headline, score_columns, stats_columns
from arena_tui.output.markdown_text import escaped, markdown_table
from arena_tui.safe_text import one_line
from engine.ratings.leaderboard import Leaderboard, Row


def as_markdown(board: Leaderboard) -> str:
    """A line that says what was compared, the table, and a section a group."""
    parts = [escaped(" · ".join(headline(board))), *_tables(board.rows, board.baseline)]
    for group in board.groups if board.groups is not UNSET else []:
        parts.append(f"### {board.by}: {escaped(one_line(group.group))} ({group.questions} questions)")
        parts += _tables(group.rows, board.baseline) or [escaped(one_line(text)) for text in group.warnings]
    return "\n\n".join(parts) + "\n"


def _tables(rows: Sequence[Row], baseline: str) -> list[str]:
    if not rows:
        return []
    return [markdown_table(columns) for columns in (score_columns(rows, baseline), stats_columns(rows)) if columns]
