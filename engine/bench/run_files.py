"""What a run leaves beside its records: a journal, its failures, and what it was made with.

    journal.jsonl    finished parts of records that are not whole yet, so that no finished call is made twice
    errors.jsonl     calls that failed for good
    runs/<id>.json   what is known of one run: versions, flags, sampling, counts

A record (an answer with all its choices, a judgment with both games) is appended only when it is whole; parts that are
ready before that are kept in the journal. The file of a run distinguishes results that look alike (another server
version, other flags) and holds what is needed to reproduce them. It never holds a secret: the config's own type for
keys leaves them out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec

from engine.bench.atomic import storage_error, write_file
from engine.bench.lines import Loaded, encode_line, load_structs
from engine.opening import read_whole
from engine.records import AnswerPart, Failure, GamePart

_LARGEST_RUN = 64 << 20  # bytes
Part: TypeAlias = AnswerPart | GamePart

_parts: msgspec.json.Decoder[Part] = msgspec.json.Decoder(Part)
_failures: msgspec.json.Decoder[Failure] = msgspec.json.Decoder(Failure)


def load_journal(path: Path) -> Loaded[list[Part]]:
    """Return every part in the journal, the last one where several are of the same call; none without a journal."""
    loaded = load_structs(path, _parts)
    return Loaded(list({_call(part): part for part in loaded.items}.values()), loaded.problems)


def compact(path: Path, parts: Iterable[Part]) -> None:
    """Replace the journal by these parts at once, or remove it if there are none. Raises StorageError.

    The caller holds the `BenchLock`, and no writer has the journal open.
    """
    data = b"".join(map(encode_line, parts))
    if data:
        write_file(path, data)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def load_failures(path: Path) -> Loaded[list[Failure]]:
    """Return every failure ever recorded, in order, including those resolved since; none without a file."""
    return load_structs(path, _failures)


def new_run_id(now: float) -> str:
    """Return an id that sorts by time and is unique."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{uuid4().hex[:6]}"


def write_run(path: Path, record: Mapping[str, Any]) -> None:
    """Write or replace the file of a run. Raises StorageError."""
    write_file(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def load_runs(folder: Path) -> list[dict[str, Any]]:
    """Return every run that can be read, the oldest first."""
    runs = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = msgspec.json.decode(read_whole(file, _LARGEST_RUN, pipes=False))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # it only explains, nothing depends on it
        if isinstance(record, dict):
            runs.append({"id": file.stem} | record)
    return runs


def _call(part: Part) -> tuple[object, ...]:
    """Return what identifies the call that made a part."""
    if isinstance(part, AnswerPart):
        return ("answer", part.model, part.question_id, part.settings, part.choice.index)
    which = part.choice, part.repeat, part.number
    return ("game", part.judge, part.model, part.question_id, part.settings, part.inputs, *which)
