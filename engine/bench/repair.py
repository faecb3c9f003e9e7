"""Mends the form of damaged files: what a crash left of a last line before a run, and everything else on request.

`recover` runs at the start of every run and cuts off a torn last line, so that the next record starts on a line of its
own. `repair_bench` mends a whole file: torn lines, lines run together, NUL bytes, a byte order mark, UTF-16. Records
are never changed. A line that cannot be saved is left out of the mended file and stays in the backup. A record that is
whole but unusable (an empty answer, an unknown label) is not damage: readers report it, a run recreates it.

Programs that write from several threads, or resume after a crash without a new line, run records together:
`{...}{...}`, or a piece of one and then a whole one. `salvage` saves a record only as it is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import msgspec

from engine.bench.atomic import atomic_file, storage_error, sync
from engine.bench.layout import BenchPaths
from engine.bench.lines import LONGEST_LINE, FileProblem, ProblemLog, clean_line, is_object, unreadable
from engine.bench.lock import BenchLock
from engine.errors import BenchError
from engine.opening import open_regular, open_to_write

_STEP = 64 << 10  # bytes read at a time when searching for the last line's start
_BETWEEN = b"\0 \t\r"
# Inside the text of an answer the quotes would be escaped, so this begins a record wherever it occurs.
_START_OF_RECORD = re.compile(r'\{\s*"(?:question_id|uid)"\s*:')
_TEXT = re.compile(r"[^\0 \t\r]")
_decoder = json.JSONDecoder()


class Cut(msgspec.Struct, frozen=True):
    """A torn last line, moved from `file` to the end of `kept_in`."""

    file: Path
    size: int  # bytes
    kept_in: Path

    def __str__(self) -> str:
        return f"{self.file}: a last line torn by a crash ({self.size} bytes) was moved to {self.kept_in.name}"


def recover(paths: BenchPaths) -> list[Cut]:
    """Make every appended file of the bench end in a whole line. The caller holds the `BenchLock`.

    A last line without its "\\n" is completed if it is whole otherwise. Anything else, NUL bytes after a crash of the
    machine included, is moved to `<file>.torn`, which is written before the file is cut. Raises StorageError.
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
    start, tail = _last_line(path)
    if not tail:
        return None
    if is_object(tail):
        _append(path, b"\n")
        return None
    kept_in = path.with_name(path.name + ".torn")
    _append(kept_in, tail + b"\n")
    with os.fdopen(open_to_write(path, os.O_RDWR), "r+b") as stream:
        stream.truncate(start)
        os.fsync(stream.fileno())
    return Cut(path, len(tail), kept_in)


def _last_line(path: Path) -> tuple[int, bytes]:
    """Return where a last line without its "\\n" begins, and the line. Raises BenchError if it cannot be read."""
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            start = _start_of_last_line(stream.fileno(), size)
            stream.seek(start)
            tail = stream.read(LONGEST_LINE + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(tail) > LONGEST_LINE:
        raise BenchError(f"{path}: its last line has more than {LONGEST_LINE >> 20} MiB", "cut it off by hand")
    return start, tail


def _start_of_last_line(descriptor: int, size: int) -> int:
    """Return the offset after the last "\\n", which is `size` if the file ends in one."""
    end = size
    while end > 0:
        begin = max(0, end - _STEP)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _append(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    with os.fdopen(open_to_write(path, os.O_WRONLY | os.O_APPEND), "ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync(path.parent)


class FileRepair(msgspec.Struct, frozen=True):
    """The damage in the form of a file and its repair; `backup` is the unchanged file, once it is mended.

    `saved` counts records taken out of damaged lines, `left_out` the lines with something lost. `mendable` is
    False for a file that has to stay as it is.
    """

    path: Path
    damage: tuple[FileProblem, ...]
    saved: int = 0
    left_out: int = 0
    mendable: bool = True
    backup: Path | None = None


def examine_bench(paths: BenchPaths) -> list[FileRepair]:
    """Return the damaged files of a bench, changing nothing. Raises BenchError for a file that cannot be read."""
    found = (_examine(path) for path in (paths.questions, *paths.appended_files()) if path.is_file())
    return [repair for repair in found if repair.damage]


def repair_bench(paths: BenchPaths) -> list[FileRepair]:
    """Mend every damaged file of a bench. Raises BenchLocked while a run writes to it, BenchError, StorageError."""
    with BenchLock(paths):
        return [_mended(repair) if repair.mendable else repair for repair in examine_bench(paths)]


def _mended(repair: FileRepair) -> FileRepair:
    """Mend one file. If another program wrote to it meanwhile, the file stays as it is and BenchError is raised."""
    path = repair.path.resolve()  # of a link, the file that it leads to
    log = _Damage(path)
    before = path.stat()
    with atomic_file(path) as stream:
        for line in _whole_lines(path, log):
            stream.write(line + b"\n")
        stream.flush()
        os.fsync(stream.fileno())  # here, since it takes time: what follows has to be quick
        now = path.stat()
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
            raise BenchError(f"{path}: another program wrote to it just now; it was not changed", "repair it once more")
        backup = _keep(path)
    return msgspec.structs.replace(log.result(), backup=backup)


def _keep(path: Path) -> Path:
    """Give the file a second name (a copy where links are impossible) that replaces no other backup."""
    for number in count():
        backup = path.with_name(path.name + (f".bak{number}" if number else ".bak"))
        if backup.exists():
            continue
        try:
            os.link(path, backup)
        except FileExistsError:
            continue
        except OSError:
            shutil.copy2(path, backup)
            sync(backup)
        sync(path.parent)
        return backup
    raise AssertionError("unreachable")


def _examine(path: Path) -> FileRepair:
    log = _Damage(path)
    try:
        for _ in _whole_lines(path, log):
            pass
    except OSError as error:
        raise unreadable(path, error) from error
    return log.result()


class _Damage:
    """Collects what is wrong with one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = ProblemLog(path)
        self._saved = self._left_out = 0
        self._mendable = True

    def add(self, line: int | None, message: str, *, saved: int = 0, left_out: bool = False) -> None:
        self._log.add(line, message)
        self._saved += saved
        self._left_out += left_out

    def refuse(self, message: str) -> None:
        self._log.add(None, message)
        self._mendable = False

    def result(self) -> FileRepair:
        return FileRepair(self._path, self._log.result(), self._saved, self._left_out, self._mendable)


def _whole_lines(path: Path, damage: _Damage) -> Iterator[bytes]:
    """Yield the lines of the mended file, without their "\\n", and collect the damage."""
    for number, line in enumerate(_lines(path, damage), start=1):
        whole = line.removesuffix(b"\n")
        if clean_line(whole)[0] is not None:
            if whole is line:
                damage.add(number, "the last line has no end; it gets one")
            yield whole
        elif whole.strip(b" \t\r"):
            yield from _saved(whole, number, damage)


def _saved(line: bytes, number: int, damage: _Damage) -> tuple[bytes, ...]:
    found = salvage(line)
    saved = len(found.records)
    records = f"{saved} whole record{'s' if saved > 1 else ''}"
    if not saved:
        damage.add(number, f"{clean_line(line)[1]}; left out", left_out=True)
    elif found.lost:
        message = f"{records} and {found.lost} bytes of others; those are left out"
        damage.add(number, message, saved=saved, left_out=True)
    else:
        what = "run together; each gets a line" if saved > 1 else "with NUL bytes around it; they are left out"
        damage.add(number, f"{records} {what}", saved=saved)
    return found.records


def _lines(path: Path, damage: _Damage) -> Iterator[bytes]:
    """Yield the lines of a file as UTF-8, each with its "\\n" if it has one, without a byte order mark."""
    with open_regular(path) as stream:
        start = stream.read(len(BOM_UTF8))
        if not start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            if start == BOM_UTF8:
                damage.add(None, "begins with a byte order mark; it is left out")
            else:
                stream.seek(0)
            for line in iter(partial(stream.readline, LONGEST_LINE), b""):
                if len(line) == LONGEST_LINE:
                    damage.refuse(f"has a line of more than {LONGEST_LINE >> 20} MiB; it stays as it is")
                    return
                yield line
            return
    damage.add(None, "is UTF-16; it becomes UTF-8")
    try:
        with path.open(encoding="utf-16", newline="\n") as text:
            for row in text:
                yield row.encode("utf-8", "replace")
    except UnicodeError:
        damage.refuse("looks like UTF-16, but is not; it stays as it is")


class Salvaged(msgspec.Struct, frozen=True):
    """The whole records of a line, each as JSON, and how many bytes of it belong to none."""

    records: tuple[bytes, ...]
    lost: int


def salvage(line: bytes) -> Salvaged:
    """Return the records in a line, which ends without its "\\n" and is not one JSON object."""
    text = line.decode("utf-8", "surrogateescape")  # a line that is not UTF-8 may hold a record that is
    records, lost, at = [], 0, 0
    for start, end in _objects(text):
        record = text[start:end].encode("utf-8", "surrogateescape")
        if clean_line(record)[0] is None:
            continue
        lost += _size(text[at:start])
        records.append(record)
        at = end
    return Salvaged(tuple(records), lost + _size(text[at:]))


def _objects(text: str) -> Iterator[tuple[int, int]]:
    """Yield where objects begin and end: each after the one before, or after a piece at the next that names its id."""
    at = 0
    while (begin := _TEXT.search(text, at)) is not None:
        start, end = begin.start(), _end_of_object(text, begin.start())
        if end is None:
            starts = (match.start() for match in _START_OF_RECORD.finditer(text, start + 1))
            found = ((each, end) for each in starts if (end := _end_of_object(text, each)) is not None)
            start, end = next(found, (start, None))
        if end is None:
            return
        yield start, end
        at = end


def _end_of_object(text: str, start: int) -> int | None:
    if not text.startswith("{", start):
        return None
    try:
        return _decoder.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape").strip(_BETWEEN))
