"""After a crash: cuts off what was left of a line, so that the next record starts on a line of its own."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engine.bench.appender import storage_error
from engine.bench.layout import BenchPaths
from engine.bench.lines import is_object

_STEP = 64 << 10


class Cut(msgspec.Struct, frozen=True):
    """A torn last line was moved from `file` to the end of `kept_in`."""

    file: Path
    size: int  # bytes
    kept_in: Path

    def __str__(self) -> str:
        return f"{self.file}: a last line torn by a crash ({self.size} bytes) was moved to {self.kept_in.name}"


def recover(paths: BenchPaths) -> list[Cut]:
    """Make every appended file of the bench end in a whole line. The caller holds the `BenchLock`.

    A last line without its "\\n" is completed if it is whole otherwise. Anything else, NUL bytes of a machine's crash
    included, is moved to `<file>.torn`, which is written before the file is cut. Raises StorageError.
    """
    cuts = []
    for path in paths.appended_files():
        try:
            cut = _mend(path)
        except OSError as error:
            raise storage_error(path, error) from error
        if cut is not None:
            cuts.append(cut)
    return cuts


def _mend(path: Path) -> Cut | None:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = _start_of_last_line(stream.fileno(), size)
        if start == size:
            return None
        stream.seek(start)
        tail = stream.read()
    if is_object(tail):
        _append(path, b"\n")
        return None
    kept_in = path.with_name(path.name + ".torn")
    _append(kept_in, tail + b"\n")
    with path.open("r+b") as stream:
        stream.truncate(start)
        os.fsync(stream.fileno())
    return Cut(path, len(tail), kept_in)


def _start_of_last_line(descriptor: int, size: int) -> int:
    """The offset after the last "\\n", which is `size` if the file ends in one."""
    end = size
    while end > 0:
        begin = max(0, end - _STEP)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
