"""Rows of files that people and data sets keep prompts in: JSON, JSON lines, CSV, TSV, Parquet and plain text.

    .json            an array of objects, of texts or of chats; an object around one array; objects one after another
    .jsonl, .ndjson  one value a line
    .csv, .tsv       with a header; cells separated by commas, semicolons or tabs, by what the header has most of
    .parquet         through Polars
    .txt             a prompt a line, or several lines each where lines of `---` separate them

Each also compressed with gzip, bzip2, xz or zstd, which the first bytes show. Text is UTF-8 (with or without a byte
order mark), UTF-16 or UTF-32 with one, or in the encoding that is named; no encoding is guessed. Every row has the
number of its line, so that what is wrong with it can be found.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from engine.bench.lines import ProblemLog, clean_line, without_surrogates
from engine.bench.packed import MAGIC_BYTES, packed_kind
from engine.errors import Advice, AdviceKind, BenchError
from engine.opening import open_regular

LARGEST = 2 << 30  # bytes of a file, unpacked
_BLOCK = 1 << 20
_MOST_CELLS = 1 << 28  # characters of one cell of a CSV file
_PACKED_ENDS = (".gz", ".bz2", ".xz", ".zst")
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLANK = " \t\r\n"


class FileRow(NamedTuple):
    """One row: the number of its line (of the row itself in Parquet), counted from 1, and its fields."""

    line: int
    fields: dict[str, Any]


class RowFile(NamedTuple):
    """The rows of a file, the form it is in ("json", "csv", ...), and the encoding of its text ("" in Parquet)."""

    rows: list[FileRow]
    form: str
    encoding: str


def is_row_file(path: Path) -> bool:
    """Whether the name of a file is that of one of these forms, compressed or not."""
    return _ending(path) in _READERS or _ending(path) == ".parquet"


def read_rows(path: Path, log: ProblemLog, encoding: str | None = None) -> RowFile:
    """Read a file; `log` gets the lines that hold no row.

    Raises BenchError for a file that cannot be read, is in none of the forms, or holds other text than `encoding`.
    """
    ending = _ending(path)
    if not is_row_file(path):
        known = ", ".join([*_READERS, ".parquet"])
        raise BenchError(
            f"{path}: a file whose name ends in {ending or 'nothing'}", f"known are {known} (and .gz, .zst)"
        )
    if ending == ".parquet":
        return RowFile(_parquet(path), "parquet", "")
    data = _unpacked(path)
    text, used = _decoded(path, data, encoding)
    del data
    return RowFile(list(_READERS[ending](path, text, log)), ending[1:], used)


def _ending(path: Path) -> str:
    """Return the ending that shows the form, in lower case: `.csv` of `a.csv.gz`."""
    name = path.name.lower()
    packed = next((end for end in _PACKED_ENDS if name.endswith(end)), "")
    return Path(name.removesuffix(packed)).suffix


def _unpacked(path: Path) -> bytes:
    """Return the content of a file. Raises BenchError if it is damaged or too large."""
    try:
        with open_regular(path, pipes=True) as stream:
            first = stream.read(MAGIC_BYTES)
            kind = packed_kind(first)
            opener = _OPENERS.get(kind or "")
            if kind is not None and opener is None:
                raise BenchError(f"{path}: is {kind}, not text", "give it the ending of what it is, or convert it")
            joined: IO[bytes] = _Joined(first, stream)  # type: ignore[assignment]  # all that readers of bytes call
            return _bounded(path, opener(joined) if opener is not None else joined)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror or error}", "check that it is a whole file"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise BenchError(f"{path}: its compression is damaged ({error})", "copy or download it again") from None


def _bounded(path: Path, stream: IO[bytes]) -> bytes:
    blocks, size = [], 0
    while block := stream.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        if size > LARGEST:
            raise BenchError(f"{path}: has more than {LARGEST >> 20} MiB", "take the part of it that is to be asked")
    return b"".join(blocks)


class _Joined(io.RawIOBase):
    """The bytes that were read already, and then the rest of a stream that may be a pipe."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._first[: len(buffer)] if self._first else self._rest.read(len(buffer))
        self._first = self._first[len(data) :] if self._first else b""
        buffer[: len(data)] = data
        return len(data)


def _zstd(stream: IO[bytes]) -> IO[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd.ZstdFile(stream)  # type: ignore[no-any-return,unused-ignore]


_OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "compressed with gzip": lambda stream: gzip.GzipFile(fileobj=stream),  # type: ignore[dict-item,return-value]
    "compressed with bzip2": bz2.BZ2File,
    "compressed with xz": lzma.LZMAFile,
    "compressed with zstd": _zstd,
}


def _decoded(path: Path, data: bytes, encoding: str | None) -> tuple[str, str]:
    """Return the text and its encoding. Raises BenchError with the line of the first byte that does not fit."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    used = marked or encoding or "utf-8"
    try:
        codecs.lookup(used)
        return data.decode(used), used.removesuffix("-sig")
    except LookupError:
        hint = Advice("name one such as utf-8, cp1251 or latin-1", AdviceKind.ENCODING)
        raise BenchError(f"{encoding!r} is not an encoding", hint) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"{path}:{line}: byte 0x{data[error.start]:02x} is not {used.removesuffix('-sig')}"
        raise BenchError(wrong, Advice("name its encoding, such as cp1251", AdviceKind.ENCODING)) from None


def _json_lines(_path: Path, text: str, log: ProblemLog) -> Iterator[FileRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(_BLANK):
            continue
        if line.lstrip(_BLANK)[0] == "{":
            cleaned, why = clean_line(line.encode("utf-8", "surrogatepass"))
            if cleaned is None:
                log.add(number, why)
                continue
            yield FileRow(number, json.loads(cleaned))
            continue
        try:
            row = _row(json.loads(line))
        except (ValueError, RecursionError):
            row = None
        if row is None:
            log.add(
                number, "not JSON" if line.lstrip(_BLANK)[0] not in '["' else "neither an object, a text nor a chat"
            )
        else:
            yield FileRow(number, row)


def _json(path: Path, text: str, log: ProblemLog) -> Iterator[FileRow]:
    """Yield the elements of an array, or the values that stand one after another, each with its line."""
    decoder = json.JSONDecoder()
    found: list[tuple[int, Any]] = []
    at, line, counted = 0, 1, 0
    is_array = False
    try:
        while (at := _past(text, at)) < len(text):
            line, counted = line + text.count("\n", counted, at), at
            if text[at] == "[" and not found and not is_array:
                is_array, at = True, at + 1
            elif text[at] in ",]" and is_array:
                at += 1
            else:
                value, at = decoder.raw_decode(text, at)
                found.append((line, value))
    except ValueError as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else at
        wrong, row = error.msg if isinstance(error, json.JSONDecodeError) else "not JSON", len(found) + 1
        line += text.count("\n", counted, position)
        raise BenchError(f"{path}:{line}: not JSON ({wrong}, in row {row})", "mend it, or use JSON lines") from None
    except RecursionError:
        raise BenchError(f"{path}:{line}: JSON nested too deeply", "give a file of rows") from None
    if len(found) == 1 and not is_array:
        found = [*_inside(*found[0])]
    elif found and all(isinstance(value, dict) and value.keys() >= {"role", "content"} for _, value in found):
        found = [(found[0][0], [value for _, value in found])]  # one chat as the whole file
    for number, value in found:
        fields = _row(value)
        if fields is None:
            log.add(number, "neither an object, a text nor a chat")
        else:
            yield FileRow(number, fields)


def _past(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _inside(line: int, value: Any) -> Iterator[tuple[int, Any]]:
    """Yield the rows of an object that holds one array of them (`{"data": [...]}`), or lists as columns."""
    if isinstance(value, dict):
        arrays = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
        if len(arrays) == 1 and not value.keys() & {"messages", "conversations", "conversation", "turns", "prompt"}:
            yield from ((line, each) for each in arrays[0])
            return
    yield line, value


def _row(value: Any) -> dict[str, Any] | None:
    """Return a row as an object: a text is a prompt, a list of messages a chat."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {"prompt": without_surrogates(value)}
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return {"messages": value}
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return {"turns": value}
    return None


def _table(path: Path, text: str, log: ProblemLog) -> Iterator[FileRow]:
    csv.field_size_limit(_MOST_CELLS)
    header = text.lstrip(_BLANK).partition("\n")[0]
    separator = "\t" if _ending(path) == ".tsv" else max(",;\t", key=header.count)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, strict=True)
    names: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            number, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                if len(set(names)) < len(names) or not all(names):
                    raise BenchError(f"{path}:{number}: columns without a name, or two of one", "name each column")
            elif len(cells) != len(names):
                log.add(number, f"{len(cells)} cells under {len(names)} columns")
            else:
                yield FileRow(number, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise BenchError(f"{path}:{reader.line_num}: not CSV ({error})", "check the quotes of this row") from None


def _plain(_path: Path, text: str, _log: ProblemLog) -> Iterator[FileRow]:
    lines = text.replace("\r\n", "\n").split("\n")
    if not any(line.strip() == "---" for line in lines):
        yield from (FileRow(number, {"prompt": line}) for number, line in enumerate(lines, start=1) if line.strip())
        return
    start, part = 1, list[str]()
    for number, line in enumerate([*lines, "---"], start=1):
        if line.strip() != "---":
            part.append(line)
            continue
        prompt = "\n".join(part).strip("\n")
        if prompt.strip():
            yield FileRow(start + next(at for at, each in enumerate(part) if each.strip()), {"prompt": prompt})
        start, part = number + 1, []


def _parquet(path: Path) -> list[FileRow]:
    import polars as pl

    try:
        with open_regular(path) as stream:
            if stream.read(4) != b"PAR1":
                raise BenchError(f"{path}: not Parquet, whatever its name says", "give it the ending of what it is")
            stream.seek(0)
            frame = pl.read_parquet(stream)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BenchError(f"{path}: cannot be read as Parquet: {str(error)[:200]}", "download it again") from None
    if frame.estimated_size() > LARGEST:
        raise BenchError(f"{path}: has more than {LARGEST >> 20} MiB", "take the part of it that is to be asked")
    return [FileRow(number, fields) for number, fields in enumerate(frame.iter_rows(named=True), start=1)]


_READERS: dict[str, Callable[[Path, str, ProblemLog], Iterator[FileRow]]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _table,
    ".tsv": _table,
    ".txt": _plain,
}
