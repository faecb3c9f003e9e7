"""The failures of a bench: calls that failed for good, kept apart from answers and judgments."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.bench.lines import Loaded, load_structs
from engine.records import Failure

_decoder: msgspec.json.Decoder[Failure] = msgspec.json.Decoder(Failure)


def load_failures(path: Path) -> Loaded[list[Failure]]:
    """Every failure ever recorded, in order; those since made good are among them. None if there is no file."""
    return load_structs(path, _decoder)
