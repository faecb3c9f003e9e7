"""The cache on a disk that fails in every way at any moment: what was announced is there, whole, and nothing twice.

A life of the program appends the records that it does not find on the disk, in batches, until it is through or until
something happens: a write that falls short, an error of the disk, a crash between any two system calls. A crash of the
machine takes of what was not synced as much as it likes, and may leave NUL bytes in its place. Then comes another life.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.appender import Appender, Disk
from engine.bench.layout import BenchPaths
from engine.bench.lines import encode_line
from engine.bench.repair import recover
from engine.records import AnswerRecord, Choice, Turn

RECORDS = 12


class Crash(BaseException):
    """The machine is gone."""


class FaultyDisk(Disk):
    """Fails at the call that `fault` names; `lost` bytes are the most that a crash takes of what is not synced."""

    def __init__(self, fault: tuple[str, int, int] | None) -> None:
        self._what, self._countdown, self._size = fault or ("", -1, 0)
        self.synced: dict[int, int] = {}  # inode -> bytes that are on disk for good

    def _is_due(self, *names: str) -> bool:
        if self._what not in names:
            return False
        self._countdown -= 1
        return self._countdown == 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:  # type: ignore[override]
        if self._is_due("short write", "full", "broken", "crash in write"):
            written = os.write(descriptor, data[: self._size % (len(data) + 1)])
            if self._what == "crash in write":
                raise Crash
            if self._what == "short write" and written:
                return written
            raise OSError(errno.EIO if self._what == "broken" else errno.ENOSPC, "made to fail")
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:  # type: ignore[override]
        if self._is_due("sync fails", "crash before sync"):
            if self._what == "sync fails":
                raise OSError(errno.EIO, "made to fail")
            raise Crash
        there = os.fstat(descriptor)
        self.synced[there.st_ino] = there.st_size

    def truncate(self, descriptor: int, size: int) -> None:  # type: ignore[override]
        os.ftruncate(descriptor, size)


FAULTS = st.tuples(
    st.sampled_from(
        ["short write", "full", "broken", "crash in write", "sync fails", "crash before sync", "crash in write"]
    ),
    st.integers(1, 6),
    st.integers(0, 2000),
)
LOSSES = st.tuples(st.integers(0, 1500), st.integers(0, 40))  # bytes that a crash takes, and NULs that it leaves


def record(number: int) -> AnswerRecord:
    return AnswerRecord(
        str(number), "a", "m", (Choice(0, (Turn("слово\n\u2028 " * (number * 7 % 23) + "!", number),)),)
    )


def found(paths: BenchPaths) -> set[int]:
    """The records on disk, read strictly: each is whole and stands once."""
    numbers: list[int] = []
    for path in paths.root.glob("model_answer/*.jsonl"):
        lines = path.read_bytes().split(b"\n")
        assert lines.pop() == b"", "a torn line"
        for line in lines:
            numbers.append(int(json.loads(line)["question_id"]))
            assert line + b"\n" == encode_line(record(numbers[-1]))
    assert len(set(numbers)) == len(numbers), "a record stands twice"
    return set(numbers)


def live(paths: BenchPaths, disk: FaultyDisk, batches: list[int], announced: set[int]) -> None:
    """Append what is missing in batches of these sizes, and add what is announced to `announced`."""
    missing = [number for number in range(RECORDS) if number not in found(paths)]
    appender = Appender(disk)
    try:
        for size in [*batches, RECORDS]:
            batch, missing = missing[:size], missing[size:]
            by_path: dict[Path, list[int]] = {}
            for number in batch:
                by_path.setdefault(paths.answers(f"m{number % 2}"), []).append(number)
            written = appender.write({path: [encode_line(record(n)) for n in ns] for path, ns in by_path.items()})
            for path, numbers in by_path.items():
                announced |= set(numbers[: written.lines.get(path, 0)])
            if written.error is not None:
                break
    finally:
        appender.close()


def lose_power(paths: BenchPaths, disk: FaultyDisk, taken: int, nuls: int) -> None:
    """What was not synced may be gone, from its end on, or have become NULs."""
    for path in paths.root.glob("model_answer/*.jsonl"):
        there = path.stat()
        kept = max(disk.synced.get(there.st_ino, 0), there.st_size - taken)
        with path.open("r+b") as stream:
            stream.truncate(kept)
            if kept < there.st_size:
                stream.seek(kept)
                stream.write(bytes(min(nuls, there.st_size - kept)))


@given(st.lists(st.tuples(FAULTS, LOSSES, st.lists(st.integers(1, 4), max_size=5)), max_size=5))
@settings(deadline=None, max_examples=100)
def test_on_any_failing_disk_what_was_announced_is_there_and_nothing_is_torn_or_doubled(tmp_path_factory, lives):
    paths = BenchPaths(tmp_path_factory.mktemp("bench"))
    announced: set[int] = set()
    for fault, loss, batches in lives:
        disk = FaultyDisk(fault)
        for path in paths.root.glob("model_answer/*.jsonl"):
            disk.synced[path.stat().st_ino] = path.stat().st_size  # by the recovery of the last life
        try:
            live(paths, disk, batches, announced)
        except Crash:
            lose_power(paths, disk, *loss)
        recover(paths)
        assert announced <= found(paths)
    live(paths, FaultyDisk(None), [3], announced)
    assert found(paths) == set(range(RECORDS))
