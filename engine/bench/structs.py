"""Reads this program's own JSONL files (journal, failures, settings), line by line into typed records."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from engine.bench.lines import blocks, numbered
from engine.bench.problems import Loaded, ProblemLog

T = TypeVar("T")


def load_structs(path: Path, decoder: msgspec.json.Decoder[T]) -> Loaded[list[T]]:
    """Every line that `decoder` takes, in order; the others are told. A file that is not there has none.

    Raises BenchError if the file cannot be read.
    """
    log = ProblemLog(path)
    found: list[T] = []
    for first, block in blocks(path, log):
        for number, line in numbered(first, block, log):
            try:
                found.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                log.add(number, f"not a record of this file ({error})")
    return Loaded(found, log.result())
