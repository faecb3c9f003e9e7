"""The program as a command, and what it wrote, read strictly."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ARENA = (sys.executable, "-m", "arena_tui")


def records(path: Path) -> list[dict[str, object]]:
    """Every line of a JSONL file; each must be whole."""
    data = path.read_bytes()
    assert data.endswith(b"\n"), f"{path} ends in a torn line"
    return [json.loads(line) for line in data.split(b"\n")[:-1]]
