"""The one owner of stderr, of exit codes, and of text that comes from models or files on its way to a terminal.

stdout is results and nothing else; commands write those with `click.echo`.
"""

from __future__ import annotations

import re
import sys

from engine.errors import ArenaError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# C0 and C1 controls but tab and newline, and the bidirectional overrides that let text reorder its surroundings.
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with every control character made visible as U+FFFD, so that it cannot steer a terminal."""
    return _HARMFUL.sub("�", text)


def say(text: str) -> None:
    """A line for the user on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def complain(error: ArenaError) -> int:
    """Tell an error (what, where, what to do) and return its exit code."""
    say(f"arena-tui: {error.title}")
    for line in error.hint.splitlines():
        say(f"  {line}")
    return error.exit_code
