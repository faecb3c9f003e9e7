"""Cuts a JSONL file into blocks of whole lines, and judges single lines when a block cannot be read at once.

Lines end at "\\n" and nowhere else: answers hold U+2028, U+2029 and U+0085, at which `str.splitlines` would cut.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.bench.problems import ProblemLog
from engine.errors import BenchError

BLOCK_BYTES = 8 << 20

_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def blocks(path: Path, log: ProblemLog, size: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Yield (number of the first line, whole lines), see `placed_blocks`."""
    return ((number, block) for number, _, block in placed_blocks(path, log, size))


def placed_blocks(path: Path, log: ProblemLog, size: int = BLOCK_BYTES) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number of the first line, its place in the file, whole lines each ending in "\\n") by about `size` bytes.

    A byte order mark is left out. A last line without its "\\n" is yielded if it is a whole JSON object (a file written
    by hand), else it was torn by a crash: it is left out and told. A file that is not there has no lines. Raises
    BenchError if the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(len(BOM_UTF8))
            if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                log.add(None, "the file is UTF-16; save it as UTF-8")
                return
            at = stream.seek(len(BOM_UTF8) if start == BOM_UTF8 else 0)
            number, rest = 1, b""
            while chunk := stream.read(size):
                whole, newline, tail = chunk.rpartition(b"\n")
                if newline:
                    block = rest + whole + newline
                    yield number, at, block
                    number += block.count(b"\n")
                    at += len(block)
                    rest = tail
                else:
                    rest += chunk
    except FileNotFoundError:
        return
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}", "check that it is a file you may read") from error
    if is_object(rest):
        yield number, at, rest + b"\n"
    elif rest.strip(b" \t\r"):
        log.add(number, f"the last line is cut off after {len(rest)} bytes and left out")


def is_object(line: bytes) -> bool:
    """Whether `line` is one whole JSON object. No beginning of an object is one, so a cut line never passes."""
    cleaned, _ = clean_line(line)
    return cleaned is not None


def has_lone_surrogate(block: bytes) -> bool:
    """Whether an escape of half a surrogate pair may be in it. Polars reads other text in its place, silently."""
    return (b"\\ud" in block or b"\\uD" in block) and _LONE_SURROGATE.search(block) is not None


def numbered(first: int, block: bytes, log: ProblemLog) -> Iterator[tuple[int, bytes]]:
    """The lines of a block that are JSON objects, with their numbers; blank ones are skipped, bad ones told."""
    for number, line in enumerate(block.split(b"\n"), first):
        if not line.strip(b" \t\r"):
            continue
        cleaned, why = clean_line(line)
        if cleaned is None:
            log.add(number, why)
        else:
            yield number, cleaned


def clean_line(line: bytes) -> tuple[bytes | None, str]:
    """The line as JSON that every reader takes, or None and why not.

    What Python's own writer lets through is mended: half a surrogate pair becomes U+FFFD, NaN and Infinity null.
    """
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            return None, _why(line, error)
        if isinstance(value, dict):
            return without_surrogates(json.dumps(value, ensure_ascii=False)).encode(), ""
    return (line, "") if isinstance(value, dict) else (None, "not a JSON object")


def without_surrogates(text: str) -> str:
    """`text` with surrogate pairs joined and lone halves as U+FFFD, so that it can be written as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _why(line: bytes, error: Exception) -> str:
    if not line.strip(b"\0 \t\r"):
        return "only NUL bytes, as a crash of the machine leaves them"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte 0x{line[error.start]:02x} at {error.start})"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at character {error.pos})"
    return "JSON nested too deeply" if isinstance(error, RecursionError) else "not JSON"
