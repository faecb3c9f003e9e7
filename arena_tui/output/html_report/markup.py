"""Text on its way into HTML: everything passes through here, so that nothing in it is ever markup."""

from __future__ import annotations

from html import escape

from arena_tui.safe_text import one_line, readable


def name(text: str) -> str:
    """A name or a message as HTML text, on one line."""
    return escape(one_line(text))


def passage(text: str) -> str:
    """A whole text as HTML text; lines are kept, controls made visible."""
    return escape(readable(text))
