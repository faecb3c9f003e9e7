"""The training step of a checkpoint, as its name or its trainer says it."""

from __future__ import annotations

import json
from pathlib import Path

from engine.checkpoint_names import bounded_step, step_of_name
from engine.opening import read_whole

TRAINER_STATE = "trainer_state.json"
_LARGEST_STATE = 256 << 20  # bytes: the log history of a long training is in it


def step_in_folder(folder: Path) -> int | None:
    """Return the `global_step` of the `trainer_state.json` in a folder; None without one. Reads the file."""
    try:
        state = json.loads(read_whole(folder / TRAINER_STATE, _LARGEST_STATE, pipes=False))
    except (OSError, ValueError, RecursionError):
        return None
    step = state.get("global_step") if isinstance(state, dict) else None
    return bounded_step(step) if isinstance(step, int) and not isinstance(step, bool) else None


def step_of(name: str, folder: Path | None = None) -> int | None:
    """Return the step of a checkpoint: from its trainer's state, else from the name of the folder or of the model."""
    in_folder = (step_in_folder(folder), step_of_name(folder.name)) if folder is not None else ()
    return next((step for step in (*in_folder, step_of_name(name)) if step is not None), None)
