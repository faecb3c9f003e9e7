"""How a place in a config, a list of choices and a guess at what was meant are put into words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands in a config: keys and list positions from the top, such as ("models", "aya", "rate")."""

QUOTE, ESCAPED_QUOTE = '"', '\\"'
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_LONGEST_NAME = 80


def key_of(place: KeyPath) -> str:
    """The place as TOML would say it: `models."aya 23".endpoints[0].base_url`."""
    words = ""
    for step in place:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            words += ("." if words else "") + quoted_key(shortened(step))
    return words or "config"


def quoted_key(key: str) -> str:
    """A TOML key, in quotes where it needs them; no control character is left as it is."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", key):
        return key
    return quoted(key)


def quoted(text: str) -> str:
    """The text as a TOML string in double quotes; whatever cannot be printed is escaped."""
    return f'"{escaped(text).replace(QUOTE, ESCAPED_QUOTE)}"'


def escaped(text: str) -> str:
    """The text as it may stand in a TOML string, but for its quotation marks."""
    return "".join(
        character if character.isprintable() else _escape(character) for character in text.replace("\\", "\\\\")
    )


def _escape(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:  # half of a surrogate pair is no character, and TOML has no way to say it
        return "\ufffd"
    return _SHORT_ESCAPES.get(character) or (f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}")


def toml_value(value: object) -> str:
    """A value of plain JSON as TOML, on one line."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{quoted_key(str(key))} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return str(value)


def shortened(text: str) -> str:
    """The text, cut where it is too long for a message."""
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def listed(choices: Iterable[str]) -> str:
    """`"a", "b" or "c"`."""
    names = [quoted(choice) for choice in choices]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`did you mean "x"?` for the known name closest to `name`, or an empty text when none is close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold()[:200], list(by_folded), n=1)
    return f"did you mean {quoted(by_folded[close[0]])}?" if close else ""
