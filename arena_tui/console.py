"""The one owner of stderr and of exit codes.

stdout is results and nothing else; commands write those with `click.echo`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from shutil import get_terminal_size

from arena_tui.advice import phrase, title
from arena_tui.safe_text import printable as printable
from engine.errors import ArenaError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """A line for the user on stderr, if anybody is left to read it: a terminal that was lost must end no run."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def warn(texts: Iterable[str]) -> None:
    """A line for each warning."""
    for text in texts:
        say(f"warning: {phrase(text)}")


def complain(error: ArenaError) -> int:
    """Tell an error (what, where, what to do) and return its exit code."""
    say(f"arena-tui: {title(error)}")
    for line in phrase(error.hint).splitlines():
        say(f"  {line}")
    return error.exit_code


def confess() -> int:
    """Tell an error that is our own; called while it is handled. Its text may be a model's, so it is made harmless."""
    import traceback

    say(traceback.format_exc())
    say("arena-tui: this is a fault of the program; what it had saved is intact. Please report the lines above.")
    return FAILED


def stdout_width() -> int:
    """Columns that a table on stdout may take."""
    return get_terminal_size((120, 40)).columns


def stdout_has_unicode() -> bool:
    """Whether stdout can take more than ASCII."""
    return (sys.stdout.encoding or "").lower().startswith("utf")
