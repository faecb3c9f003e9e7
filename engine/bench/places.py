"""Lines of a file that grows, each with its place."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator
from pathlib import Path

from engine.bench.lines import LineSpan, is_object, unreadable

BUFFER_BYTES = 1 << 19

_BLANK = b" \t\r\n"


class PlacedLines:
    """The lines of a file that grows, each with its place; every look tells only what is new.

    A file that was replaced, shortened or edited is read from its beginning again: `is_fresh` is true then, and what
    was told before no longer holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_fresh = True
        self._read_to = 0
        self._seen: os.stat_result | None = None

    def look(self) -> bool:
        """Whether there is something to `read`. Raises BenchError if the file cannot be read."""
        before, self._seen = self._seen, _stat(self.path)
        if before is None or self._seen is None:
            self.is_fresh, self._read_to = True, 0
            return (before is None) != (self._seen is None)
        if before.st_size == self._seen.st_size and before.st_mtime_ns == self._seen.st_mtime_ns:
            return False
        self.is_fresh = not (
            os.path.samestat(before, self._seen) and before.st_size < self._seen.st_size and self._goes_on()
        )
        if self.is_fresh:
            self._read_to = 0
        return True

    def read(self, buffer_bytes: int = BUFFER_BYTES) -> Iterator[tuple[LineSpan, memoryview]]:
        """Yield each line since the last look, which may be used until the next one is asked for; blank ones left out.

        A last line without its "\\n" is yielded if it is a whole object (a file written by hand); else it is just being
        written, or was torn. A file that is not there has no lines. Raises BenchError if the file cannot be read.
        """
        buffer, filled = bytearray(buffer_bytes), 0
        try:
            with self.path.open("rb", buffering=0) as stream:
                if self._read_to == 0 and stream.read(len(BOM_UTF8)) == BOM_UTF8:
                    self._read_to = len(BOM_UTF8)
                stream.seek(self._read_to)
                while count := stream.readinto(memoryview(buffer)[filled:]):
                    filled += count
                    start = yield from self._lines(buffer, filled)
                    # What is left of the last line goes to the front, into a larger buffer if it fills this one.
                    rest = buffer[start:filled]
                    filled = len(rest)
                    if 2 * filled > len(buffer):
                        buffer = bytearray(2 * len(buffer))
                    buffer[:filled] = rest
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(self.path, error) from error
        last = bytes(buffer[:filled])
        if last.strip() and is_object(last):
            yield LineSpan(self._read_to, len(last)), memoryview(last)

    def _lines(self, buffer: bytearray, filled: int) -> Generator[tuple[LineSpan, memoryview], None, int]:
        """Yield the whole lines of a buffer that begins at `_read_to`; returns where the next one starts in it."""
        view = memoryview(buffer)
        start = 0
        while (end := buffer.find(b"\n", start, filled)) != -1:
            if buffer[start] not in _BLANK or buffer[start:end].strip():
                yield LineSpan(self._read_to + start, end - start), view[start:end]
            start = end + 1
        self._read_to += start
        return start

    def _goes_on(self) -> bool:
        """Whether a line still ends where reading stopped."""
        if self._read_to == 0:
            return True
        with self.path.open("rb") as stream:
            stream.seek(self._read_to - 1)
            return stream.read(1) == b"\n"


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
