"""Tables of safe texts: as plain text, aligned by terminal columns, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from arena_tui.safe_text import shorten, text_width

GAP = 2  # blanks between columns
# Emphasis, code, links, HTML, entities, strikethrough, cells, mathematics; at the start rulers, lists and headings; and
# addresses that become links by themselves.
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&]|^[-+=#](?=[\s\-=#])|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"^(\d+)([.)])(?=\s)")
_REFERENCE = re.compile(r"@(?=\w)|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)  # of people, teams and issues, escaped or not
_BREAK = "\u200b"  # as wide as nothing


class TableColumn(msgspec.Struct, frozen=True):
    """A column: its title and one text a row; `right` aligns numbers."""

    title: str
    cells: list[str]
    right: bool = True


def text_table(columns: Sequence[TableColumn]) -> str:
    """Return the titles and one line a row, each cell as wide as the widest of its column."""
    widths = [column_width(column) for column in columns]
    header = [_padded(column.title, size, column.right) for column, size in zip(columns, widths, strict=True)]
    body = (
        [_padded(column.cells[row], size, column.right) for column, size in zip(columns, widths, strict=True)]
        for row in range(len(columns[0].cells))
    )
    return "\n".join((" " * GAP).join(line).rstrip() for line in (header, *body))


def fitted(
    columns: Sequence[TableColumn], width: int, droppable: Sequence[str], *, narrowest: int = 16, ellipsis: str = "…"
) -> list[TableColumn]:
    """Drop columns by title, then shorten names (left-aligned cells), until the table fits, as far as it can.

    Names keep at least `narrowest` columns.
    """
    kept = list(columns)
    for title in droppable:
        shortest = (
            min(narrowest, column_width(column)) if not column.right else column_width(column) for column in kept
        )
        if sum(shortest) + GAP * (len(kept) - 1) <= width:
            break
        kept = [column for column in kept if column.title != title]
    if table_width(kept) <= width:
        return kept
    names = [column for column in kept if not column.right]
    room = (width - table_width(kept) + sum(map(column_width, names))) // max(1, len(names))
    return [
        column
        if column.right
        else TableColumn(column.title, [shorten(cell, max(narrowest, room), ellipsis) for cell in column.cells], False)
        for column in kept
    ]


def _padded(text: str, columns: int, right: bool) -> str:
    padding = " " * (columns - text_width(text))
    return padding + text if right else text + padding


def column_width(column: TableColumn) -> int:
    """Return the terminal columns of its widest text."""
    return max(map(text_width, (column.title, *column.cells)))


def table_width(columns: Sequence[TableColumn]) -> int:
    """Return the terminal columns of the longest line of `text_table`."""
    return sum(map(column_width, columns)) + GAP * (len(columns) - 1)


def markdown_table(columns: Sequence[TableColumn]) -> str:
    """Return a Markdown table; numbers stand to the right."""
    lines = [
        [escaped(column.title) for column in columns],
        ["---:" if column.right else "---" for column in columns],
        *([escaped(column.cells[row]) for column in columns] for row in range(len(columns[0].cells))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return the text with everything escaped that Markdown would interpret, or a forge would link or notify."""
    text = _LIST_NUMBER.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", text))
    return _REFERENCE.sub(rf"\g<0>{_BREAK}", text)
