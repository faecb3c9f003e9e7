"""Where an export writes: records as JSON lines or as one JSON array, one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.bench.lines import encode_json
from engine.exporting.selection import RawRecord


class WrittenFile(msgspec.Struct, frozen=True):
    """A file of an export, by its place under the export's own, and how many records it has."""

    place: str
    records: int


class Output:
    """The folder that an export fills."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[WrittenFile] = []

    def lines(self, path: Path, records: Iterable[RawRecord]) -> None:
        """One JSON object a line. Nothing is written where there is no record."""
        self._write(path, records, b"", b"\n", b"\n")

    def array(self, path: Path, records: Iterable[RawRecord]) -> None:
        """One JSON array. Nothing is written where there is no record."""
        self._write(path, records, b"[\n", b",\n", b"\n]\n")

    def _write(self, path: Path, records: Iterable[RawRecord], start: bytes, between: bytes, end: bytes) -> None:
        coming = iter(records)
        first = next(coming, None)
        if first is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        count = 1
        with path.open("wb") as stream:
            stream.write(start + encode_json(first))
            for record in coming:
                stream.write(between + encode_json(record))
                count += 1
            stream.write(end)
        self.written.append(WrittenFile(path.relative_to(self.root).as_posix(), count))
