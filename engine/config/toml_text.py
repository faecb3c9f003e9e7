"""Writing a config as TOML: texts of several lines stay readable, tables stand in the order they were given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.config.wording import ESCAPED_QUOTE, escaped, quoted, quoted_key


def toml_text(document: Mapping[str, Any]) -> str:
    """The document as TOML. It may hold texts, numbers, booleans, lists, and tables whose keys are texts."""
    return "\n".join(_table((), document)).lstrip("\n") + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """The lines of one table: its own values first, as TOML wants it, then the tables inside."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    own = [f"{quoted_key(key)} = {_value(value)}" for key, value in table.items() if key not in inner]
    lines = []
    if path and (own or not inner):
        lines = ["", f"[{'.'.join(map(quoted_key, path))}]"]
    lines += own
    for key, value in inner.items():
        lines += _table((*path, key), value)
    return lines


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _several_lines(value) if "\n" in value else quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{quoted_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)


def _several_lines(text: str) -> str:
    """A text in triple quotes. A line break right behind the opening quotes is not part of it."""
    body = "\n".join(map(escaped, text.split("\n")))
    # Three quotes in a row, or any at the end, would close the text.
    body = re.sub(r'"{3,}|"+\Z', lambda quotes: ESCAPED_QUOTE * len(quotes[0]), body)
    return f'"""\n{body}"""'
