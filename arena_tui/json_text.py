"""Results as JSON on stdout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

_DECIMALS = 6  # far below any sampling error, and the same bytes on every machine
_TERMINAL_CONTROLS = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def json_text(result: msgspec.Struct) -> str:
    """A result as indented JSON, numbers rounded to 6 decimals.

    Characters that a terminal would obey but JSON leaves alone are written as escapes: the same text to any reader.
    """
    text = msgspec.json.format(msgspec.json.encode(rounded(msgspec.to_builtins(result))), indent=2).decode()
    return _TERMINAL_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def rounded(value: Any) -> Any:
    """Plain JSON data with every float in it rounded."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
