"""Appends whole lines to files so that a crash at any moment leaves at most one torn line at the very end.

The lines for a file go out in one `write` on an O_APPEND descriptor, followed by fdatasync. If a write falls short (a
full disk), the part of the line it stopped in is cut off again.

Other programs may write to the same files, such as an editor during a run. Nothing of theirs is overwritten: lines are
only appended, to the file that has the name now. An editor that saves what it read earlier drops lines of ours; that is
reported.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

import msgspec

from engine.bench.atomic import make_folder, storage_error, sync
from engine.errors import StorageError
from engine.opening import open_to_write

MOST_OPEN = 32  # descriptors kept; the sockets of a run need the others

How = Literal["appended", "rewritten", "removed"]

_CHANGES: dict[How, str] = {
    "appended": "another program has appended to it during the run; its lines are kept",
    "rewritten": "another program has rewritten it during the run; its content is kept, but records saved before may "
    "be lost: run the same command again to recreate them",
    "removed": "another program has removed it during the run, with the records in it: run the same command again to "
    "recreate them",
}


class OtherChange(msgspec.Struct, frozen=True):
    """What another program did to a file that we append to."""

    path: Path
    how: How

    def __str__(self) -> str:
        return f"{self.path}: {_CHANGES[self.how]}"


class Disk:
    """The system calls that bring lines to a disk: those that fail when it is full, worn out or gone."""

    write = staticmethod(os.write)
    sync = staticmethod(getattr(os, "fdatasync", os.fsync))  # macOS has no fdatasync
    truncate = staticmethod(os.ftruncate)


class Written(msgspec.Struct, frozen=True):
    """How many lines of each file are on disk for good, why the rest is not, and what others did to the files."""

    lines: Mapping[Path, int]
    error: StorageError | None = None
    changes: Sequence[OtherChange] = ()


class Appender:
    """Keeps files open for appending. May be called from several threads; writes go one after another."""

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        self._open: OrderedDict[Path, _OpenFile] = OrderedDict()
        self._mutex = threading.Lock()
        self._left: dict[Path, os.stat_result] = {}  # each file as our last write left it
        self._reported: set[OtherChange] = set()

    def write(self, batch: Mapping[Path, Sequence[bytes]]) -> Written:
        """Append each file's lines (each ending in "\\n") and sync. Stops at the first file that fails."""
        done: dict[Path, int] = {}
        changes: list[OtherChange] = []
        with self._mutex:
            for path, lines in batch.items():
                changes += self._change_by_others(path)
                try:
                    file = self._file(path)
                    done[path], failure = file.append(lines)
                    self._left[path] = os.fstat(file.descriptor)
                except OSError as error:
                    failure = error
                if failure is not None:
                    return Written(done, storage_error(path, failure), changes)
        return Written(done, changes=changes)

    def changes_by_others(self) -> list[OtherChange]:
        """Return what others did to the files since our last write to each; each kind of change once per file."""
        with self._mutex:
            return [change for path in self._left for change in self._change_by_others(path)]

    def close(self) -> None:
        with self._mutex:
            while self._open:
                self._open.popitem()[1].close()

    def _change_by_others(self, path: Path) -> list[OtherChange]:
        left = self._left.get(path)
        how = None if left is None else _difference(left, path)
        change = None if how is None else OtherChange(path, how)
        if change is None or change in self._reported:
            return []
        self._reported.add(change)
        return [change]

    def _file(self, path: Path) -> _OpenFile:
        file = self._open.pop(path, None)
        if file is not None and not file.is_at(path):
            file.close()
            file = None
        self._open[path] = file = file or _OpenFile(path, self._disk)
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return file


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append a few lines (each ending in "\\n") to one file and sync. Raises StorageError."""
    appender = Appender()
    try:
        error = appender.write({path: lines}).error
    finally:
        appender.close()
    if error is not None:
        raise error


class _OpenFile:
    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        make_folder(path.parent)
        is_new = not path.exists()
        self.descriptor = open_to_write(path, os.O_RDWR | os.O_APPEND)
        self._size = -1  # as of our last write; another size means that another program wrote to the file
        if is_new:
            sync(path.parent)

    def is_at(self, path: Path) -> bool:
        """Whether `path` still names this file: an editor that saves by renaming replaces it."""
        try:
            current = path.stat()
        except OSError:
            return False
        return os.path.samestat(current, os.fstat(self.descriptor))

    def append(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write and sync `lines`; return how many are in the file for good, and the error that stopped the others."""
        start = os.fstat(self.descriptor).st_size
        # A line that another program left without its end must not run together with ours.
        seam = b"\n" if start not in (0, self._size) and os.pread(self.descriptor, 1, start - 1) != b"\n" else b""
        data = memoryview(seam + b"".join(lines))
        written, failure = 0, None
        while written < len(data) and failure is None:
            try:
                written += self._disk.write(self.descriptor, data[written:])
            except OSError as error:
                failure = error
        ends = list(accumulate(map(len, lines), initial=len(seam)))
        whole = sum(end <= written for end in ends[1:])
        if failure is not None and written > ends[whole] and os.fstat(self.descriptor).st_size == start + written:
            self._disk.truncate(self.descriptor, start + ends[whole])
        self._size = os.fstat(self.descriptor).st_size
        try:
            self._disk.sync(self.descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: this kind of file cannot be synced
                return 0, failure or error
        return whole, failure

    def close(self) -> None:
        os.close(self.descriptor)


def _difference(left: os.stat_result, path: Path) -> How | None:
    try:
        now = path.stat()
    except FileNotFoundError:
        return "removed"
    except OSError:
        return None  # the write that follows reports it
    if not os.path.samestat(left, now) or now.st_size < left.st_size:
        return "rewritten"
    if now.st_size > left.st_size:
        return "appended"
    return "rewritten" if now.st_mtime_ns != left.st_mtime_ns else None
