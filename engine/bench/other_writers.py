"""Notices when somebody else writes to a file that we append to, such as an editor during a run.

Nothing of theirs is overwritten: we only ever append, to the file that has the name now. But an editor that saves what
it had read before puts lines of ours away, and that must be told.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

How = Literal["appended", "rewritten", "removed"]

_WORDS: dict[How, str] = {
    "appended": "another program has appended to it during the run; its lines are kept beside ours",
    "rewritten": "another program has rewritten it during the run; what it left is kept, but records that were saved "
    "before may be gone: run the same command again, which makes what is missing",
    "removed": "another program has removed it during the run, with the records that were in it: run the same command "
    "again, which makes what is missing",
}


class OtherChange(msgspec.Struct, frozen=True):
    """What somebody else did to a file."""

    path: Path
    how: How

    def __str__(self) -> str:
        return f"{self.path}: {_WORDS[self.how]}"


class OtherWriters:
    """Knows the files as our last writes left them. `look` before a write, `remember` after it."""

    def __init__(self) -> None:
        self._left: dict[Path, os.stat_result] = {}
        self._told: set[OtherChange] = set()

    def look(self, path: Path) -> OtherChange | None:
        """What somebody else has done to the file since our last write; each kind of change is told once a file."""
        left = self._left.get(path)
        how = None if left is None else _difference(left, path)
        if how is None:
            return None
        change = OtherChange(path, how)
        if change in self._told:
            return None
        self._told.add(change)
        return change

    def look_at_all(self) -> list[OtherChange]:
        """The same for every file that was written to."""
        return [change for path in self._left if (change := self.look(path)) is not None]

    def remember(self, path: Path, left: os.stat_result) -> None:
        """How our write has left the file."""
        self._left[path] = left


def _difference(left: os.stat_result, path: Path) -> How | None:
    try:
        now = path.stat()
    except FileNotFoundError:
        return "removed"
    except OSError:
        return None  # the write that follows will tell
    if not os.path.samestat(left, now) or now.st_size < left.st_size:
        return "rewritten"
    if now.st_size > left.st_size:
        return "appended"
    return "rewritten" if now.st_mtime_ns != left.st_mtime_ns else None
