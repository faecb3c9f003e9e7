"""The journal of a bench: finished parts of records that are not whole yet, so that no finished call is made twice.

A record (an answer with all its choices, a judgment with both games) is appended only when it is whole. What is ready
before that is kept here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import msgspec

from engine.bench.appender import storage_error, sync_folder
from engine.bench.lines import Loaded, encode_line, load_structs
from engine.records import AnswerPart, GamePart

Part: TypeAlias = AnswerPart | GamePart

_decoder: msgspec.json.Decoder[Part] = msgspec.json.Decoder(Part)


def load_journal(path: Path) -> Loaded[list[Part]]:
    """Every part in the journal, the last one where several are of the same call. None if there is no journal."""
    loaded = load_structs(path, _decoder)
    return Loaded(list({_key(part): part for part in loaded.items}.values()), loaded.problems)


def compact(path: Path, parts: Iterable[Part]) -> None:
    """Replace the journal by these parts at once, or remove it if there are none. Raises StorageError.

    The caller holds the `BenchLock`, and no writer has the journal open.
    """
    data = b"".join(map(encode_line, parts))
    fresh = path.with_name(path.name + ".new")
    try:
        if not data:
            path.unlink(missing_ok=True)
            return
        with fresh.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def _key(part: Part) -> tuple[object, ...]:
    """What tells one call from another."""
    if isinstance(part, AnswerPart):
        return ("answer", part.model, part.question_id, part.settings, part.choice.index)
    return ("game", part.judge, part.model, part.question_id, part.settings, part.inputs, part.number)
