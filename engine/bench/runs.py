"""What is known of each run beside its records: `data/<bench>/runs/<id>.json`, one file a run.

It tells results apart that look alike (another server version, other flags) and holds what it takes to make one again.
No secret is ever part of it: keys are left out by the config's own type for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from engine.bench.appender import storage_error

SUFFIX = ".json"


def new_run_id(now: float) -> str:
    """An id that sorts by time and is never the same twice."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{uuid4().hex[:6]}"


def write_run(path: Path, told: Mapping[str, Any]) -> None:
    """Write (or replace) the file of a run, whole or not at all. Raises StorageError."""
    written = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
        os.replace(written, path)  # noqa: PTH105  # the same, and it says what it does
    except OSError as error:
        raise storage_error(path, error) from error


def load_runs(folder: Path) -> list[dict[str, Any]]:
    """Every run that can be read, the oldest first."""
    runs = []
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            told = msgspec.json.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # it only explains, nothing depends on it
        if isinstance(told, dict):
            runs.append({"id": file.stem} | told)
    return runs
