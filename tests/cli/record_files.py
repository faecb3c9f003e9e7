"""Reading what the program wrote, strictly."""

from __future__ import annotations

import json
from pathlib import Path


def records(path: Path) -> list[dict[str, object]]:
    """Every line of a JSONL file; each must be whole."""
    data = path.read_bytes()
    assert data.endswith(b"\n"), f"{path} ends in a torn line"
    return [json.loads(line) for line in data.split(b"\n")[:-1]]
