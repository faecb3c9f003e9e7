"""Appends whole lines to files so that a crash at any moment leaves at most one torn line at the very end.

The lines for a file go out in one `write` on an O_APPEND descriptor, followed by fdatasync. If a write falls short (a
full disk), what is left of the line it stopped in is cut off again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import msgspec

from engine.bench.other_writers import OtherChange, OtherWriters
from engine.errors import StorageError

MOST_OPEN = 32  # descriptors kept; the sockets of a run need the others


class Disk:
    """The system calls by which lines come to a disk: those that fail when it is full, worn out or gone."""

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
        self._others = OtherWriters()

    def write(self, batch: Mapping[Path, Sequence[bytes]]) -> Written:
        """Append each file's lines (each ending in "\\n") and sync. Stops at the first file that fails."""
        done: dict[Path, int] = {}
        changes: list[OtherChange] = []
        with self._mutex:
            for path, lines in batch.items():
                if change := self._others.look(path):
                    changes.append(change)
                try:
                    file = self._file(path)
                    done[path], failure = file.append(lines)
                    self._others.remember(path, os.fstat(file.descriptor))
                except OSError as error:
                    failure = error
                if failure is not None:
                    return Written(done, storage_error(path, failure), changes)
        return Written(done, changes=changes)

    def changes_by_others(self) -> list[OtherChange]:
        """What others did to the files since our last write to each, as far as it was not told yet."""
        with self._mutex:
            return self._others.look_at_all()

    def close(self) -> None:
        with self._mutex:
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, path: Path) -> _OpenFile:
        file = self._open.pop(path, None)
        if file is not None and not file.is_at(path):
            file.close()
            file = None
        self._open[path] = file = file or _OpenFile(path, self._disk)
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return file


class _OpenFile:
    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self.descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = -1  # as of our last write; another size means that someone else wrote to the file
        if is_new:
            sync_folder(path.parent)

    def is_at(self, path: Path) -> bool:
        """Whether `path` still names this file: an editor that saves by renaming puts another in its place."""
        try:
            there = path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self.descriptor))

    def append(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write and sync `lines`; returns how many are in the file for good, and what stopped the others."""
        start = os.fstat(self.descriptor).st_size
        # A line that someone else left without its end must not run together with ours.
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
            if error.errno != errno.EINVAL:  # which only says that this kind of file cannot be synced
                return 0, failure or error
        return whole, failure

    def close(self) -> None:
        os.close(self.descriptor)


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error for a file that could not be written, with what to do about it."""
    hints = {
        errno.ENOSPC: "free some disk space",
        errno.EDQUOT: "free some of your disk quota",
        errno.EFBIG: "the file has reached the largest size allowed here",
        errno.EROFS: "the file system is mounted read-only",
        errno.EACCES: "the folder must be writable",
        errno.EPERM: "the folder must be writable",
    }
    hint = hints.get(error.errno or 0, "check the disk and the folder")
    why = error.strerror or str(error)
    return StorageError(
        f"{path}: cannot be written: {why}", f"{hint}, then run the same command again: what was saved is kept"
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a crash of the machine, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
