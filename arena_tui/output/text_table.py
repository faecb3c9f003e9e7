"""Plain-text tables: columns of safe texts, aligned by what they take on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from arena_tui.safe_text import text_width

GAP = 2


class Column(msgspec.Struct, frozen=True):
    """A column: its title and one text a row; numbers stand to the right."""

    title: str
    cells: list[str]
    right: bool = True


def rendered(columns: Sequence[Column]) -> str:
    """The titles and one line a row, each cell as wide as the widest of its column."""
    widths = [column_width(column) for column in columns]
    header = [_padded(column.title, size, column.right) for column, size in zip(columns, widths, strict=True)]
    body = (
        [_padded(column.cells[row], size, column.right) for column, size in zip(columns, widths, strict=True)]
        for row in range(len(columns[0].cells))
    )
    return "\n".join((" " * GAP).join(line).rstrip() for line in (header, *body))


def _padded(text: str, columns: int, right: bool) -> str:
    padding = " " * (columns - text_width(text))
    return padding + text if right else text + padding


def column_width(column: Column) -> int:
    """Terminal columns of the widest of its texts."""
    return max(map(text_width, (column.title, *column.cells)))


def table_width(columns: Sequence[Column]) -> int:
    """Terminal columns of the longest line of `rendered`."""
    return sum(map(column_width, columns)) + GAP * (len(columns) - 1)
