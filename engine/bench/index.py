"""The index of a bench: a table of each JSONL file under `.index/`, so that no line is parsed twice. A cache only.

A table is valid for the exact file that it was made of: same size, time, inode, and digest of its first and last bytes
(of all its bytes where it was written just before it was indexed). A file that grew is read on from where it ended if
the bytes before are the same; any other is indexed anew. A torn, foreign or old index is ignored, and where none can be
written the table stays in memory. Several processes may read and write: files appear whole, by a rename.

Each cache file is a header in JSON and a body in a format of its kind; both are checked before they are used.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, LineReader, LineSpan, ProblemLog, unreadable
from engine.opening import open_regular, read_whole

if TYPE_CHECKING:
    import polars as pl

    from engine.bench.tables import TableKind

VERSION = 7
_MAGIC = b"arena-tui index\n"
_LENGTHS = struct.Struct("<IIQ")  # version, bytes of the header, CRC-32 of header and body
_CHUNK = 4 << 20
_LARGEST_CACHE = 4 << 30  # bytes
_EDGE = 4096  # bytes at both ends of a file that its state has a digest of
SETTLED_NS = 2_000_000_000  # a file this old when it was read cannot change any more without a new time

H = TypeVar("H", bound=msgspec.Struct)


class FileState(msgspec.Struct, frozen=True):
    """Identifies one content of a file."""

    size: int
    mtime_ns: int
    inode: int
    edges: str


class TableHeader(msgspec.Struct, frozen=True):
    """What a table was made of. The bytes before `at` have the CRC-32 `checksum`; line `number` begins there.

    `is_settled` is False for a file that was written just before it was read: another write may leave its time as it
    is.
    """

    kind: str
    state: FileState
    is_settled: bool
    at: int
    number: int
    checksum: int
    rest: str
    problems: list[tuple[int | None, str]]
    problem_count: int


@dataclass(frozen=True, eq=False)
class Table:
    """What the index has of one file."""

    path: Path
    rows: pl.DataFrame
    problems: tuple[FileProblem, ...] = ()
    header: TableHeader | None = None
    """None for an absent file."""

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows of records that can be used."""
        return self.rows.drop_nulls("is_usable") if "is_usable" in self.rows.columns else self.rows

    @cached_property
    def failed(self) -> frozenset[str]:
        """The questions with an error or nothing in place of an answer, and no other answer."""
        return frozenset(self.rows["key"]) - frozenset(self.frame["key"])

    @cached_property
    def spans(self) -> dict[str, LineSpan]:
        """Where the records are, by question."""
        return spans(self.frame)


class BenchIndex:
    """The tables of one bench; those that were used are kept. May be used by several threads.

    With `is_fixed`, each file is taken as it is at its first use: changes after that are not seen.
    """

    def __init__(self, paths: BenchPaths, *, is_fixed: bool = False) -> None:
        self.paths = paths
        self._is_fixed = is_fixed
        self._tables: dict[Path, Table] = {}
        self._lock = threading.Lock()

    def questions(self) -> Table:
        """Return the table of the question set. Raises BenchError if the file cannot be read, as the others do."""
        from engine.bench.tables import QUESTIONS

        return self._table(self.paths.questions, QUESTIONS)

    def answers(self, model: str) -> Table:
        """Return the table of the usable answers, the last of each question."""
        from engine.bench.tables import ANSWERS

        return self._table(self.paths.answers(model), ANSWERS)

    def judgments(self, judge: str, model: str) -> Table:
        """Return the table of the judgments, the last of each question and baseline."""
        from engine.bench.tables import JUDGMENTS

        return self._table(self.paths.judgments(judge, model), JUDGMENTS)

    def repeats(self, judge: str, model: str) -> Table:
        """Return the table of the further judgments, the last of each question, baseline, choice and repeat."""
        from engine.bench.tables import JUDGMENTS

        return self._table(self.paths.repeats(judge, model), JUDGMENTS)

    def cache_file(self, path: Path, suffix: str) -> Path:
        """Return where the index keeps what it has of a file of the bench."""
        return self.paths.index / path.relative_to(self.paths.root).with_name(path.name + suffix)

    def _table(self, path: Path, kind: TableKind) -> Table:
        with self._lock:
            if self._is_fixed and path in self._tables:
                return self._tables[path]
            now = time.time_ns()
            state = file_state(path)
            if state is None:
                table = self._tables[path] = Table(path, kind.frame([]))
                return table
            is_old = now - state.mtime_ns > SETTLED_NS
            held = self._tables.get(path) or self._read(path, kind)
            if held is not None and held.header is not None and _is_of(held.header, path, state):
                if held.header.is_settled or not is_old:
                    self._tables[path] = held
                    return held
                table = replace(held, header=msgspec.structs.replace(held.header, is_settled=True))
            else:
                table = _indexed(path, kind, held, state, is_settled=is_old)
            self._tables[path] = table
            self._write(table)
            return table

    def _read(self, path: Path, kind: TableKind) -> Table | None:
        import polars as pl

        held = read_cache(self.cache_file(path, ".arrow"), TableHeader)
        if held is None:
            return None
        header, body = held
        if header.kind != kind.name:
            return None
        try:
            frame = pl.read_ipc(bytes(body))
        except (pl.exceptions.PolarsError, OSError):
            return None
        if dict(frame.schema) != kind.schema:
            return None
        log = ProblemLog(path, header.problems, header.problem_count)
        return Table(path, frame, log.result(), header)

    def _write(self, table: Table) -> None:
        if table.header is not None:
            write_cache(self.cache_file(table.path, ".arrow"), table.header, frame_bytes(table.rows))


def _is_of(header: TableHeader, path: Path, state: FileState) -> bool:
    """Return whether a table is of the file as it is now."""
    if header.state != state:
        return False
    return header.is_settled or (header.rest == "" and _has_checksum(path, header.at, header.checksum))


def _indexed(path: Path, kind: TableKind, held: Table | None, state: FileState, *, is_settled: bool) -> Table:
    """Read a file, or only what came after the table that is `held` if that still holds."""
    log = ProblemLog(path)
    reader = LineReader(path, log)
    old = held.header if held is not None else None
    goes_on = (
        old is not None
        and kind.grows
        and old.rest != "whole"
        and old.state.inode == state.inode
        and old.at <= state.size
        and _has_checksum(path, old.at, old.checksum)
    )
    if held is not None and old is not None and goes_on:
        before = [problem for problem in old.problems if problem[0] is None or problem[0] < old.number]
        log = ProblemLog(path, before, old.problem_count - (old.rest == "torn"))
        reader = LineReader(path, log)
        reader.resume(old.at, old.number, old.checksum)
    frame = kind.frame(kind.read(reader, log))
    if held is not None and goes_on:
        frame = kind.joined(held.rows, frame)
    header = TableHeader(
        kind=kind.name,
        state=state,
        is_settled=is_settled,
        at=reader.at,
        number=reader.number,
        checksum=reader.checksum,
        rest=reader.rest,
        problems=log.found,
        problem_count=log.count,
    )
    return Table(path, frame, log.result(), header)


def file_state(path: Path) -> FileState | None:
    """Return what identifies the content of a file; None if it is absent. Raises BenchError."""
    try:
        with open_regular(path, buffering=0) as stream:
            status = os.fstat(stream.fileno())
            head = os.pread(stream.fileno(), _EDGE, 0)
            tail = os.pread(stream.fileno(), _EDGE, max(0, status.st_size - _EDGE))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    edges = blake2b(head + tail, digest_size=8).hexdigest()
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino, edges)


def _has_checksum(path: Path, end: int, checksum: int) -> bool:
    """Return whether the bytes of a file before `end` have that CRC-32."""
    found = left = 0
    try:
        with open_regular(path, buffering=0) as stream:
            left = end
            while left and (chunk := stream.read(min(left, _CHUNK))):
                found = zlib.crc32(chunk, found)
                left -= len(chunk)
    except OSError:
        return False
    return left == 0 and found == checksum


def spans(frame: pl.DataFrame) -> dict[str, LineSpan]:
    """Return where the records of a table are, by question."""
    rows = frame.select("key", "start", "length").iter_rows()
    return {key: LineSpan(start, length) for key, start, length in rows}


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """Return a table as the body of a cache file (Arrow IPC)."""
    stream = io.BytesIO()
    frame.write_ipc(stream, compression="uncompressed")
    return stream.getvalue()


def read_cache(path: Path, kind: type[H]) -> tuple[H, memoryview] | None:
    """Return header and body of a cache file; None if it is absent, torn, foreign, or of another version."""
    try:
        data = memoryview(read_whole(path, _LARGEST_CACHE, pipes=False))
        start = len(_MAGIC) + _LENGTHS.size
        version, size, checksum = _LENGTHS.unpack(data[len(_MAGIC) : start])
        if data[: len(_MAGIC)] != _MAGIC or version != VERSION or zlib.crc32(data[start:]) != checksum:
            return None
        return msgspec.json.decode(data[start : start + size], type=kind), data[start + size :]
    except (OSError, struct.error, msgspec.DecodeError):
        return None


def write_cache(path: Path, header: msgspec.Struct, body: bytes) -> None:
    """Put a cache file in its place at once. Where none can be written (a read-only folder), nothing happens."""
    first = msgspec.json.encode(header)
    lengths = _LENGTHS.pack(VERSION, len(first), zlib.crc32(body, zlib.crc32(first)))
    fresh = path.with_name(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as stream:
            stream.writelines((_MAGIC, lengths, first, body))
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
