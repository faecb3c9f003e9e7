"""What can be saved of a line that is no JSON object: whole records in it, next to what is left of others.

Programs that write from several threads, or go on after a crash without a new line, run records together:
`{...}{...}`, or a piece of one and then a whole one. Nothing is guessed: a record is saved only as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from engine.bench.lines import clean_line

_BETWEEN = b"\0 \t\r"
# Inside the text of an answer the quotes would be escaped, so this begins a record wherever it stands.
_START_OF_RECORD = re.compile(r'\{\s*"(?:question_id|uid)"\s*:')
_blanks = re.compile(r"[\0 \t\r]*")
_decoder = json.JSONDecoder()


class Salvaged(msgspec.Struct, frozen=True):
    """The whole records of a line, each as JSON, and how many bytes of it belong to none."""

    records: tuple[bytes, ...]
    lost: int


def salvage(line: bytes) -> Salvaged:
    """The records in a line, which ends without its "\\n" and is not one JSON object."""
    text = line.decode("utf-8", "surrogateescape")  # one that is not UTF-8 may still hold a record that is
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
    """Where objects begin and end: one after the other, and after a piece of one at the next that names its id."""
    at = 0
    while at < len(text):
        start = _blanks.match(text, at).end()  # type: ignore[union-attr]  # which always matches
        end = _end_of_object(text, start)
        if end is None:
            found = _next_record(text, start + 1)
            if found is None:
                return
            start, end = found
        yield start, end
        at = end


def _next_record(text: str, begin: int) -> tuple[int, int] | None:
    for match in _START_OF_RECORD.finditer(text, begin):
        end = _end_of_object(text, match.start())
        if end is not None:
            return match.start(), end
    return None


def _end_of_object(text: str, start: int) -> int | None:
    if not text.startswith("{", start):
        return None
    try:
        return _decoder.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape").strip(_BETWEEN))
