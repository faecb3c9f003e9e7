"""`python -m arena_tui`."""

from arena_tui.cli import entry

entry()
