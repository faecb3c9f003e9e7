"""Results as text for stdout: one leaderboard, five formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from engine.ratings.leaderboard import Leaderboard

LeaderboardFormat: TypeAlias = Literal["table", "json", "csv", "markdown", "arena-hard"]
LEADERBOARD_FORMATS: tuple[LeaderboardFormat, ...] = get_args(LeaderboardFormat)


def format_leaderboard(
    board: Leaderboard, form: LeaderboardFormat, *, width: int = 120, ascii_only: bool = False
) -> str:
    """The leaderboard as text that ends with a newline. Warnings are part of the JSON alone.

    `width` (columns) and `ascii_only` (for terminals without Unicode) shape the table and nothing else. Text that came
    from files or models can neither move the cursor, nor break a line, nor run as a spreadsheet formula.
    """
    from arena_tui.output.json_text import json_text
    from arena_tui.output.leaderboard import machine, markdown, table

    match form:
        case "table":
            return table.as_table(board, width=width, ascii_only=ascii_only)
        case "json":
            return json_text(board)
        case "csv":
            return machine.as_csv(board)
        case "markdown":
            return markdown.as_markdown(board)
        case "arena-hard":
            return machine.as_arena_hard(board)
