"""The program as a command, and what it wrote, read strictly."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from pty_terminal import Terminal

ARENA = (sys.executable, "-m", "arena_tui")
Open = Callable[..., Terminal]
QUESTIONS = 400  # of a slow bench: more than any test waits for

SIMULATED = """
bench = "small"
[answers]
models = ["sim-baseline", "sim-strong", "sim-weak"]
max_tokens = 64
[judge]
model = "sim-judge"
baseline = "sim-baseline"
"""


def records(path: Path) -> list[dict[str, object]]:
    """Every line of a JSONL file; each must be whole."""
    data = path.read_bytes()
    assert data.endswith(b"\n"), f"{path} ends in a torn line"
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def saved(bench: Path) -> int:
    """How many answers and judgments are on disk, whole."""
    return sum(file.read_bytes().count(b"\n") for file in results(bench))


def all_whole(bench: Path) -> bool:
    """Whether every line of every result can be read; raises where one cannot."""
    return all(records(file) for file in results(bench) if file.stat().st_size)


def results(bench: Path) -> list[Path]:
    return [*bench.glob("model_answer/*.jsonl"), *bench.glob("model_judgment/*/*.jsonl")]
