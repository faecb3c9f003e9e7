"""Results as JSON on stdout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from arena_tui.advice import phrase
from engine.errors import Advice

_DECIMALS = 6  # far below any sampling error, and the same bytes on every machine
_ESCAPED = re.compile("(?<=#)#|[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
_STEP = "  "


def json_text(result: msgspec.Struct | dict[str, Any] | list[dict[str, Any]]) -> str:
    """Return a result as indented JSON, numbers rounded to 6 decimals.

    A list of numbers or single words takes one line. Escaped is what a terminal or the log of a CI service interprets.
    """
    text = _indented(json_data(result), "\n")
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def json_data(result: msgspec.Struct | dict[str, Any] | list[dict[str, Any]]) -> Any:
    """Return a result as plain data, numbers rounded."""
    return rounded(msgspec.to_builtins(result, enc_hook=_phrased_advice))


def _phrased_advice(value: object) -> str:
    if isinstance(value, Advice):
        return phrase(value)
    raise NotImplementedError(f"no JSON for {type(value)}")


def rounded(value: Any) -> Any:
    """Return plain JSON data with every float rounded."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _indented(value: Any, newline: str) -> str:
    """Return plain data as JSON; `newline` is a line break with the indentation of `value`."""
    if isinstance(value, dict) and value:
        items = (f"{_encoded(str(key))}: {_indented(item, newline + _STEP)}" for key, item in value.items())
        return "{" + ",".join(newline + _STEP + item for item in items) + newline + "}"
    if isinstance(value, list) and value:
        if all(map(_is_short, value)):
            return "[" + ", ".join(map(_encoded, value)) + "]"
        return "[" + ",".join(newline + _STEP + _indented(item, newline + _STEP) for item in value) + newline + "]"
    return _encoded(value)


def _is_short(value: Any) -> bool:
    return " " not in value if isinstance(value, str) else not isinstance(value, dict | list)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
