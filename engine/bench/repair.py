"""`doctor --repair`: damaged files of a bench made readable again, with the file as it was kept beside it.

What is mended is the form of a file: torn lines, lines run together, NUL bytes, a byte order mark, UTF-16. A line that
cannot be saved is left out of the mended file; it stays in the backup. Records are never changed, and a record that is
whole but says nothing usable (an empty answer, an unknown label) is not damage: readers tell it, a run makes it again.
"""

from __future__ import annotations

import os
import shutil
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.bench.appender import storage_error
from engine.bench.atomic import atomic_file
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, ProblemLog, clean_line
from engine.bench.lock import BenchLock
from engine.bench.salvage import salvage
from engine.errors import BenchError


class FileRepair(msgspec.Struct, frozen=True):
    """What is wrong with the form of a file and what becomes of it; `backup` is the file as it was, once mended.

    `saved` counts records taken out of damaged lines, `left_out` the lines of which something is lost. `mendable` is
    False for a file that has to stay as it is.
    """

    path: Path
    damage: tuple[FileProblem, ...]
    saved: int = 0
    left_out: int = 0
    mendable: bool = True
    backup: Path | None = None


def examine_bench(paths: BenchPaths) -> list[FileRepair]:
    """The damaged files of a bench; nothing is changed. Raises BenchError for a file that cannot be read."""
    found = (_examine(path) for path in (paths.questions, *paths.appended_files()) if path.is_file())
    return [repair for repair in found if repair.damage]


def repair_bench(paths: BenchPaths) -> list[FileRepair]:
    """Mend every damaged file of a bench. Raises BenchLocked while a run writes to it, BenchError, StorageError."""
    with BenchLock(paths):
        return [_mended(repair) if repair.mendable else repair for repair in examine_bench(paths)]


def _mended(repair: FileRepair) -> FileRepair:
    """Nobody else writes to the file meanwhile; if somebody did by hand, what they wrote is left alone."""
    path = repair.path.resolve()  # of a link, the file that it leads to
    log = _Damage(path)
    before = path.stat()
    with atomic_file(path.with_name(path.name + ".mended")) as stream:
        for line in _whole_lines(path, log):
            stream.write(line + b"\n")
    fresh = path.with_name(path.name + ".mended")
    try:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
            raise BenchError(f"{path}: somebody wrote to it just now; it was left alone", "run the repair once more")
        shutil.copymode(path, fresh)
        backup = _keep(path)
        fresh.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        fresh.unlink(missing_ok=True)
    return msgspec.structs.replace(log.result(), backup=backup)


def _keep(path: Path) -> Path:
    """A second name for the file as it is (a copy where there can be none), in place of no other."""
    number = 0
    while True:
        backup = path.with_name(path.name + (f".bak{number}" if number else ".bak"))
        try:
            os.link(path, backup)
        except FileExistsError:
            number += 1
            continue
        except OSError:
            if backup.exists():
                number += 1
                continue
            shutil.copy2(path, backup)
        return backup


def _examine(path: Path) -> FileRepair:
    log = _Damage(path)
    try:
        for _ in _whole_lines(path, log):
            pass
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}", "check that it is a file you may read") from error
    return log.result()


class _Damage:
    """Collects what is wrong with one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = ProblemLog(path)
        self._saved = self._left_out = 0
        self._mendable = True

    def tell(self, line: int | None, message: str, *, saved: int = 0, left_out: bool = False) -> None:
        self._log.add(line, message)
        self._saved += saved
        self._left_out += left_out

    def refuse(self, message: str) -> None:
        self._log.add(None, message)
        self._mendable = False

    def result(self) -> FileRepair:
        return FileRepair(self._path, self._log.result(), self._saved, self._left_out, self._mendable)


def _whole_lines(path: Path, log: _Damage) -> Iterator[bytes]:
    """The lines of the mended file, without their "\\n"; the damage goes to `log`."""
    for number, line in enumerate(_lines(path, log), start=1):
        whole = line.removesuffix(b"\n")
        if clean_line(whole)[0] is not None:
            if whole is line:
                log.tell(number, "the last line has no end; it gets one")
            yield whole
        elif whole.strip(b" \t\r"):
            yield from _saved(whole, number, log)


def _saved(line: bytes, number: int, log: _Damage) -> tuple[bytes, ...]:
    found = salvage(line)
    count = len(found.records)
    records = f"{count} whole record{'s' if count > 1 else ''}"
    if not count:
        log.tell(number, f"{clean_line(line)[1]}; left out", left_out=True)
    elif found.lost:
        log.tell(number, f"{records} and {found.lost} bytes of others; those are left out", saved=count, left_out=True)
    else:
        what = "run together; each gets a line" if count > 1 else "with NUL bytes around it; they are left out"
        log.tell(number, f"{records} {what}", saved=count)
    return found.records


def _lines(path: Path, log: _Damage) -> Iterator[bytes]:
    """The lines of a file as UTF-8, each with its "\\n" if it has one, without a byte order mark."""
    with path.open("rb") as stream:
        start = stream.read(len(BOM_UTF8))
        if not start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            if start == BOM_UTF8:
                log.tell(None, "begins with a byte order mark; it is left out")
            else:
                stream.seek(0)
            yield from stream
            return
    log.tell(None, "is UTF-16; it becomes UTF-8")
    try:
        with path.open(encoding="utf-16", newline="\n") as text:
            for line in text:
                yield line.encode("utf-8", "replace")
    except UnicodeError:
        log.refuse("looks like UTF-16, but is not; it stays as it is")
