"""The one owner of stderr and of exit codes.

stdout is results and nothing else; commands write those with `click.echo`.
"""

from __future__ import annotations

import sys

from arena_tui.safe_text import printable as printable
from engine.errors import ArenaError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """A line for the user on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def complain(error: ArenaError) -> int:
    """Tell an error (what, where, what to do) and return its exit code."""
    say(f"arena-tui: {error.title}")
    for line in error.hint.splitlines():
        say(f"  {line}")
    return error.exit_code
