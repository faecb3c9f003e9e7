"""Text from models and files, made safe for a terminal line."""

from __future__ import annotations

import unicodedata

_REPLACEMENT = "\ufffd"
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: str) -> str:
    """The text with every control, format (bidirectional, zero-width) and line-breaking character replaced."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_REPLACEMENT if unicodedata.category(char) in _UNSAFE_CATEGORIES else char for char in text)


def text_width(text: str) -> int:
    """How many terminal columns a safe text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def shorten(text: str, columns: int, ellipsis: str = "…") -> str:
    """The text cut in the middle to `columns`; both ends stay, since names differ in either."""
    if text_width(text) <= columns:
        return text
    room = max(0, columns - len(ellipsis))
    head = _prefix(text, (room + 1) // 2)
    tail = _prefix(text[::-1], room - text_width(head))[::-1]
    return (head + ellipsis + tail)[:columns] if columns < len(ellipsis) else head + ellipsis + tail


def _prefix(text: str, columns: int) -> str:
    taken = 0
    for index, char in enumerate(text):
        taken += _char_width(char)
        if taken > columns:
            return text[:index]
    return text


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
