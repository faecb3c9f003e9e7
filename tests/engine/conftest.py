"""Real files for the tests of the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteLines = Callable[..., Path]


@pytest.fixture
def write_lines() -> WriteLines:
    """Write a file of records (as JSON) and of raw lines (bytes), each ended by a newline."""

    def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = (line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines)
        path.write_bytes(b"".join(line + b"\n" for line in raw))
        return path

    return write
