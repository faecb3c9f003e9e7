"""Whether a stream gets colours, by common variables, and the styles outside the terminal UI.

NO_COLOR (not empty) wins over FORCE_COLOR and CLICOLOR_FORCE (neither empty nor 0), these over CLICOLOR=0, TERM=dumb
and a stream that is no terminal. The terminal UI and the live table keep to NO_COLOR by themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

_CODES = {"bold": "1", "red": "1;31", "yellow": "33"}
_PREFIXES = ((re.compile(r"^arena-tui:"), "red"), (re.compile(r"^warning:"), "yellow"))


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether to write colours to a stream."""
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if environ.get("CLICOLOR") == "0" or environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def styled(text: str, style: str) -> str:
    """Return the text in a style of `_CODES`."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def marked(line: str) -> str:
    """Return a message whose first word says what it is, with that word in its colour."""
    for prefix, style in _PREFIXES:
        if found := prefix.match(line):
            return styled(found[0], style) + line[found.end() :]
    return line
