"""JSONL files: their lines, one record of them, and what is wrong with them.

Lines end at "\\n" and nowhere else: answers hold U+2028, U+2029 and U+0085, at which `str.splitlines` would cut.
One bad line never fails a file: what can be used is used, and every other line is reported by file and number.
"""

from __future__ import annotations

import json
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeVar

import msgspec

from engine.bench.packed import MAGIC_BYTES, UNPACK, packed_kind
from engine.errors import BenchError
from engine.opening import open_regular

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BLOCK_BYTES = 1 << 20
LONGEST_LINE = 256 << 20  # bytes; no record is longer, and memory has an end
MOST_PER_FILE = 20  # problems reported one by one; a file that is bad throughout must not flood a screen
CHANGED = "the file has changed since it was read; try again"
BLANK = b" \t\r\n"

_encoder = msgspec.json.Encoder()


class FileProblem(msgspec.Struct, frozen=True):
    """One thing wrong in a file; `line` counts from 1, None means the whole file."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class Loaded(msgspec.Struct, Generic[T_co], frozen=True):
    """What a file holds, and what of it could not be used."""

    items: T_co
    problems: tuple[FileProblem, ...] = ()


class ProblemLog:
    """Collects the problems of one file in the order of their lines, and counts those beyond `MOST_PER_FILE`."""

    def __init__(self, file: Path, found: Iterable[tuple[int | None, str]] = (), count: int = 0) -> None:
        self.found = list(found)
        self.count = count
        self._file = str(file)

    def add(self, line: int | None, message: str) -> None:
        self.count += 1
        if len(self.found) < MOST_PER_FILE:
            self.found.append((line, message))

    def result(self) -> tuple[FileProblem, ...]:
        """Return the problems by line; a last one stands for all beyond `MOST_PER_FILE`."""
        ordered = sorted(self.found, key=lambda problem: problem[0] or 0)
        shown = [FileProblem(self._file, line, message) for line, message in ordered]
        if self.count > len(shown):
            shown.append(FileProblem(self._file, None, f"{self.count - len(shown)} more lines have problems"))
        return tuple(shown)


class LineSpan(msgspec.Struct, frozen=True, gc=False):
    """One line of a file: its first byte and its length in bytes, without its "\\n"."""

    start: int
    length: int


class LineReader:
    """Iterates over (number, first byte, line without "\\n") of a file from byte `at`, which begins line `number`.

    Blank lines and a byte order mark are skipped. A last line without "\\n" counts if it is a whole JSON object (a file
    written by hand); else it is torn: skipped and reported, as are lines of more than `longest` bytes. An absent file
    has no lines. Afterwards `at` and `number` are those of the first line without its "\\n" (or of the next one),
    `checksum` is the CRC-32 of all bytes before it, and `rest` is what follows: "torn", "whole" or "" (nothing). Raises
    BenchError if the file cannot be read.
    """

    def __init__(
        self, path: Path, log: ProblemLog, *, block_bytes: int = BLOCK_BYTES, longest: int = LONGEST_LINE
    ) -> None:
        self.at = 0
        self.number = 1
        self.checksum = 0
        self.rest: Literal["", "torn", "whole"] = ""
        self._path = path
        self._log = log
        self._block_bytes = block_bytes
        self._longest = longest

    def resume(self, at: int, number: int, checksum: int) -> None:
        """Start where an earlier reader ended."""
        self.at, self.number, self.checksum = at, number, checksum

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        last = b""
        try:
            with open_regular(self._path, buffering=self._block_bytes) as stream:
                if self.at == 0 and not self._skip_mark(stream.read(MAGIC_BYTES)):
                    return
                stream.seek(self.at)
                for line in iter(partial(stream.readline, self._longest), b""):
                    if not line.endswith(b"\n"):
                        if len(line) == self._longest and self._skip_line(stream, line):
                            continue
                        last = line if len(line) < self._longest else b""
                        break
                    number, start = self.number, self.at
                    self.number += 1
                    self.at += len(line)
                    self.checksum = zlib.crc32(line, self.checksum)
                    if line.strip(BLANK):
                        yield number, start, line[:-1]
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(self._path, error) from error
        if is_object(last):
            self.rest = "whole"
            yield self.number, self.at, last
        elif last.strip(BLANK):
            self.rest = "torn"
            self._log.add(self.number, f"the last line is cut off after {len(last)} bytes and left out")

    def _skip_line(self, stream: BinaryIO, start: bytes) -> bool:
        """Read to the end of a line that is too long, of which `start` was read; return whether it has an end."""
        self._log.add(self.number, f"the line has more than {self._longest >> 20} MiB; it is left out")
        size, checksum = 0, self.checksum
        for part in chain((start,), iter(partial(stream.readline, self._block_bytes), b"")):
            size, checksum = size + len(part), zlib.crc32(part, checksum)
            if part.endswith(b"\n"):
                self.number, self.at, self.checksum = self.number + 1, self.at + size, checksum
                return True
        self.rest = "torn"
        return False

    def _skip_mark(self, first: bytes) -> bool:
        """Return whether the file can be read as UTF-8."""
        if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            self._log.add(None, "the file is UTF-16; save it as UTF-8")
            return False
        if (packed := packed_kind(first)) is not None:
            self._log.add(None, f"the file is {packed}; {UNPACK}")
            return False
        if first.removeprefix(BOM_UTF8).split(b"{", 1)[0].strip() == b"[":
            self._log.add(None, "the file is a JSON array; write one object per line, without commas between them")
        if first.startswith(BOM_UTF8):
            self.at = len(BOM_UTF8)
            self.checksum = zlib.crc32(BOM_UTF8)
        return True


def json_lines(path: Path, log: ProblemLog) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) of the JSON objects in a file, mended as `clean_line` does; report the other lines."""
    for number, _, line in LineReader(path, log):
        cleaned, why = clean_line(line)
        if cleaned is None:
            log.add(number, why)
        else:
            yield number, cleaned


def load_structs(path: Path, decoder: msgspec.json.Decoder[T]) -> Loaded[list[T]]:
    """Decode the lines of one of this program's own files (journal, failures, settings); report the others.

    An absent file has none. Raises BenchError if the file cannot be read.
    """
    log = ProblemLog(path)
    found: list[T] = []
    for number, line in json_lines(path, log):
        try:
            found.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            log.add(number, f"not a record of this file ({error})")
    return Loaded(found, log.result())


def read_object(path: Path, span: LineSpan, mark: int | None = None) -> bytes:
    """Return the JSON object at `span`, mended as `clean_line` does.

    Raises BenchError if it is no longer there, or if `mark` is not the mark of its line.
    """
    try:
        with open_regular(path) as stream:
            stream.seek(span.start)
            line = stream.read(span.length)
    except OSError as error:
        raise unreadable(path, error) from error
    if mark is not None and mark != mark_of(line):
        raise changed_meanwhile(path, span, "it is another one")
    cleaned, why = clean_line(line)
    if cleaned is None:
        raise changed_meanwhile(path, span, why)
    return cleaned


def mark_of(line: bytes) -> int:
    """Return what distinguishes a line from others: its CRC-32 and its length, in 64 bits."""
    return zlib.crc32(line) << 32 | len(line) & 0xFFFFFFFF


def changed_meanwhile(path: Path, span: LineSpan, why: str) -> BenchError:
    """Return the error for a record that is no longer where it was listed."""
    return BenchError(
        f"{path}: the record at byte {span.start} cannot be read: {why}",
        CHANGED,
    )


def unreadable(path: Path, error: OSError) -> BenchError:
    """Return the error for a file that cannot be read."""
    return BenchError(f"{path}: cannot be read: {error.strerror or error}", "check that it is a file you may read")


def is_object(line: bytes) -> bool:
    """Return whether `line` is one whole JSON object; a cut line never is."""
    return clean_line(line)[0] is not None


def clean_line(line: bytes) -> tuple[bytes | None, str]:
    """Return the line as JSON that every reader takes, or None and why not.

    What Python's own writer lets through is mended: half a surrogate pair becomes U+FFFD; NaN, Infinity and 1e999 null.
    """
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = json.loads(line, parse_constant=lambda _: None, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            return None, _why(line, error)
        if isinstance(value, dict):
            return without_surrogates(json.dumps(value, ensure_ascii=False)).encode(), ""
    return (line, "") if isinstance(value, dict) else (None, "not a JSON object")


def _finite(number: str) -> float | None:
    value = float(number)
    return value if isfinite(value) else None


def without_surrogates(text: str) -> str:
    """Return `text` with surrogate pairs joined and lone halves as U+FFFD, so that it can be written as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encode_line(record: msgspec.Struct | Mapping[str, object]) -> bytes:
    """Return a record as one line with its "\\n", as `encode_json` writes it."""
    return encode_json(record) + b"\n"


def encode_json(value: object) -> bytes:
    """Return a record or plain JSON data as UTF-8 on one line; half a surrogate pair becomes U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(plain(value), ensure_ascii=False)
        return without_surrogates(text).encode()


def plain(value: object) -> Any:
    """Return a record as plain JSON data."""
    return msgspec.to_builtins(value, enc_hook=_decoded)


def _decoded(encoded: msgspec.Raw) -> object:
    return msgspec.json.decode(encoded)


def _why(line: bytes, error: Exception) -> str:
    if not line.strip(b"\0 \t\r"):
        return "only NUL bytes, as a crash of the machine leaves them"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte 0x{line[error.start]:02x} at {error.start})"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at character {error.pos})"
    return "JSON nested too deeply" if isinstance(error, RecursionError) else "not JSON"
