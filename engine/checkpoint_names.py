"""The training step of a checkpoint and the training that it belongs to, as its name says them. Pure."""

from __future__ import annotations

import re

MOST_STEPS = 10**12
_UNITS = {"": 1, "k": 10**3, "m": 10**6}
_NAMED = re.compile(
    r"(?<![a-z])(?:checkpoint|ckpt|global[_-]?step|steps?|iter(?:ation)?s?|epochs?)[-_=. ]{0,2}"
    r"(\d{1,15})([km]?)(?![0-9a-z])(?!\.\d)",
    re.IGNORECASE,
)


def step_of_name(name: str) -> int | None:
    """Return the step that the name of a checkpoint or of a model ends with or holds; None if it says none.

    `checkpoint-1500`, `step_200`, `global_step300_hf`, `iter_0000500`, `run-step12k`, or a number alone. Of several the
    last counts.
    """
    if name.isascii() and name.isdecimal():
        return bounded_step(int(name[:16]))
    found = _NAMED.findall(name)
    return bounded_step(int(found[-1][0]) * _UNITS[found[-1][1].lower()]) if found else None


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


def bounded_step(step: int) -> int | None:
    """Return a step, or None for a number that is none."""
    return step if 0 <= step <= MOST_STEPS else None
