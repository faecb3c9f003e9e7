"""The roles of stretches of text, to which the theme gives styles."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rich.style import Style

from arena_tui.theme import Inks


class Ink(Enum):
    """The role of a stretch of text, which the theme gives a style."""

    PLAIN = "plain"
    HEADING = "heading"
    CODE = "code"
    STRONG = "strong"
    MARK = "mark"  # list markers and verdicts
    FAINT = "faint"  # fences, rules, quotes, comments
    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"


class Stretch(NamedTuple):
    """The characters from `start` to `end` of a line, of one role."""

    start: int
    end: int
    ink: Ink


def style_of(ink: Ink, inks: Inks) -> Style | None:
    """Return the style of a role; None is the style of the widget."""
    match ink:
        case Ink.HEADING:
            return inks.accent + inks.strong
        case Ink.CODE | Ink.STRING:
            return inks.good
        case Ink.KEYWORD | Ink.MARK:
            return inks.accent
        case Ink.NUMBER:
            return inks.warning
        case Ink.STRONG:
            return inks.strong
        case Ink.FAINT:
            return inks.muted
        case _:
            return None
