"""Messages on stderr, and exit codes; nothing else writes to stderr outside the terminal UI.

stdout is for results only; commands write them with `click.echo`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from shutil import get_terminal_size

from arena_tui.advice import phrase, title
from arena_tui.colors import marked, wants_color
from arena_tui.safe_text import printable as printable
from engine.errors import ArenaError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Print a line on stderr; ignore errors, so that a lost terminal ends no run."""
    with suppress(OSError):
        line = printable(text)
        print(marked(line) if wants_color(sys.stderr) else line, file=sys.stderr, flush=True)


def warn(texts: Iterable[str]) -> None:
    """Print a line for each warning, phrased."""
    for text in texts:
        say(f"warning: {phrase(text)}")


def report_error(error: ArenaError) -> int:
    """Print an error (what, where, what to do) and return its exit code."""
    say(f"arena-tui: {title(error)}")
    for line in phrase(error.hint).splitlines():
        say(f"  {line}")
    return error.exit_code


def report_bug() -> int:
    """Print the traceback of the exception being handled, made harmless for a terminal, and return the exit code."""
    import traceback

    say(traceback.format_exc())
    say("arena-tui: this is a bug in the program; saved results are intact. Please report the lines above.")
    return FAILED


def stdout_width() -> int:
    """Return how many columns a table on stdout may take."""
    return get_terminal_size((120, 40)).columns


def stdout_has_unicode() -> bool:
    """Return whether the encoding of stdout is a Unicode one."""
    return (sys.stdout.encoding or "").lower().startswith("utf")
