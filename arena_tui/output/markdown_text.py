"""Markdown for a README or a pull request: tables, and text that cannot be taken for markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from arena_tui.output.text_table import Column

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~])")


def markdown_table(columns: Sequence[Column]) -> str:
    """A table of safe texts; numbers stand to the right."""
    lines = [
        [escaped(column.title) for column in columns],
        ["---:" if column.right else "---" for column in columns],
        *([escaped(column.cells[row]) for column in columns] for row in range(len(columns[0].cells))),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """The text as Markdown that shows just it."""
    return _SPECIAL.sub(r"\\\1", text)
