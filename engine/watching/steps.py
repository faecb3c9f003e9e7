"""The training step of a checkpoint, as its name or its trainer says it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engine.opening import read_whole

TRAINER_STATE = "trainer_state.json"
_LARGEST_STATE = 256 << 20  # bytes: the log history of a long training is in it
_MOST_STEPS = 10**12
_UNITS = {"": 1, "k": 10**3, "m": 10**6}
_NAMED = re.compile(
    r"(?<![a-z])(?:checkpoint|ckpt|global[_-]?step|steps?|iter(?:ation)?s?)[-_=]{0,2}(\d{1,15})([km]?)(?![0-9a-z])(?!\.\d)",
    re.IGNORECASE,
)


def step_of_name(name: str) -> int | None:
    """Return the step that the name of a checkpoint or of a model ends with or holds; None if it says none.

    `checkpoint-1500`, `step_200`, `global_step300_hf`, `iter_0000500`, `run-step12k`, or a number alone. Of several the
    last counts.
    """
    if name.isascii() and name.isdecimal():
        return _bounded(int(name[:16]))
    found = _NAMED.findall(name)
    return _bounded(int(found[-1][0]) * _UNITS[found[-1][1].lower()]) if found else None


def series_of_name(name: str) -> str | None:
    """Return what the names of all checkpoints of a training have in common: the name without its step; None where it
    says none. Empty for a step alone."""
    if name.isascii() and name.isdecimal():
        return ""
    found = list(_NAMED.finditer(name))
    if not found:
        return None
    before, after = (part.strip("-_=. /") for part in (name[: found[-1].start()], name[found[-1].end() :]))
    return "-".join(part for part in (before, after) if part)


def step_in_folder(folder: Path) -> int | None:
    """Return the `global_step` of the `trainer_state.json` in a folder; None without one. Reads the file."""
    try:
        state = json.loads(read_whole(folder / TRAINER_STATE, _LARGEST_STATE, pipes=False))
    except (OSError, ValueError, RecursionError):
        return None
    step = state.get("global_step") if isinstance(state, dict) else None
    return _bounded(step) if isinstance(step, int) and not isinstance(step, bool) else None


def step_of(name: str, folder: Path | None = None) -> int | None:
    """Return the step of a checkpoint: from its trainer's state, else from the name of the folder or of the model."""
    in_folder = (step_in_folder(folder), step_of_name(folder.name)) if folder is not None else ()
    return next((step for step in (*in_folder, step_of_name(name)) if step is not None), None)


def _bounded(step: int) -> int | None:
    return step if 0 <= step <= _MOST_STEPS else None
