"""`python -m arena_tui`."""

from arena_tui.entry import entry

entry()
