"""Makes text from models, servers and files safe for a terminal.

Textual and rich pass escape sequences through, so every foreign text reaches a widget or stderr through one of these
functions. The results are plain text: never markup, never styled.

    one_line    names and messages: every character that is not plain and visible becomes U+FFFD
    brief       the beginning of a long text on one line of a list
    readable    a whole text for a pane: lines are kept, characters that move the cursor are made visible
    printable   a message for stderr: lines and tabs are kept
"""

from __future__ import annotations

import re
import unicodedata

_REPLACEMENT = "�"
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# C0 and C1 controls except tab and newline, bidirectional overrides and isolates, surrogates, Unicode tags.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_LINE_BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")
# Characters whose width differs between terminals: joiners, variation selectors, skin tones, fillers.
_WIDTH_SHIFTING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef]"
)
_COMBINING = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f"
_STACKS = re.compile(f"([{_COMBINING}]{{3}})[{_COMBINING}]+")  # four marks on one letter leave the line
_TAB_STOP = 4
# Logs of CI services run lines as commands: `::name::` (GitHub), `##[name]`, `##vso[name]` (Azure), `##teamcity[`.
_CI_COMMANDS = re.compile(r"(?<!\S):(?=:[A-Za-z](?:[^\n]*?)::)|(?<=#)#(?=(?:vso|teamcity)?\[)")


def one_line(text: str) -> str:
    """Replace every control, format (bidirectional, zero-width) and line-breaking character."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_REPLACEMENT if unicodedata.category(char) in _UNSAFE_CATEGORIES else char for char in text)
    return without_commands(text)


def printable(text: str) -> str:
    """Make every character that could control a terminal visible; lines and tabs are kept."""
    if not (text.isascii() and text.isprintable()):
        text = _HARMFUL.sub(_REPLACEMENT, text)
    return without_commands(text)


def without_commands(text: str) -> str:
    """The text with what the log of a CI service would run as a command broken by U+FFFD."""
    return _CI_COMMANDS.sub(_REPLACEMENT, text) if "::" in text or "##" in text else text


def is_harmless(text: str) -> bool:
    """Return whether `printable` would not change the text, and it has no tab or line break."""
    return text.isprintable() or not (_HARMFUL.search(text) or "\n" in text or "\t" in text)


def readable(text: str) -> str:
    """Return a text for a pane: lines end in newlines, tabs become blanks, controls pictures; all widths are known."""
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_BREAKS.sub("\n", text)
    text = _WIDTH_SHIFTING.sub("", text)
    text = _HARMFUL.sub(_picture, text)
    text = _STACKS.sub(r"\1", text)
    return "\n".join(map(_untabbed, text.split("\n"))) if "\t" in text else text


def brief(text: str, columns: int) -> str:
    """Return the beginning of a text in at most `columns`; line breaks and runs of blanks become one blank."""
    start = " ".join(readable(text[: 4 * columns + 80]).split())
    if text_width(start) <= columns and len(text) <= 4 * columns + 80:
        return start
    return clip(start, columns)


def clip(text: str, columns: int, ellipsis: str = "…") -> str:
    """Cut a safe text at its end to `columns`."""
    if text_width(text) <= columns:
        return text
    return _prefix(text, columns - len(ellipsis)) + ellipsis if columns >= len(ellipsis) else ""


def shorten(text: str, columns: int, ellipsis: str = "…") -> str:
    """Cut a safe text in the middle to `columns`; both ends stay, since names differ in either."""
    if text_width(text) <= columns:
        return text
    room = max(0, columns - len(ellipsis))
    head = _prefix(text, (room + 1) // 2)
    tail = _prefix(text[::-1], room - text_width(head))[::-1]
    return (head + ellipsis + tail)[:columns] if columns < len(ellipsis) else head + ellipsis + tail


def wrapped(text: str, columns: int) -> list[str]:
    """Break a safe text at blanks into lines of at most `columns`; longer words are broken inside."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(lines[-1]) + 1 + text_width(word) <= columns:
            lines[-1] += f" {word}"
            continue
        rest = word
        while text_width(rest) > columns and (start := _prefix(rest, columns)):
            lines.append(start)
            rest = rest[len(start) :]
        lines.append(rest)
    return lines


def text_width(text: str) -> int:
    """Return the terminal columns of a safe text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _picture(found: re.Match[str]) -> str:
    """U+2400 to U+2421 draw the C0 controls and DEL; other harmful characters have no picture."""
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else _REPLACEMENT


def _untabbed(line: str) -> str:
    return line.expandtabs(_TAB_STOP) if "\t" in line else line


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
