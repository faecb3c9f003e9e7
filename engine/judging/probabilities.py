"""Distributions over the five labels: from weights, and from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.labels import LABELS, Label

Probabilities: TypeAlias = dict[Label, float]
"""Every label of `LABELS`, in their order; the values sum to 1."""

_EXACT = 1e-9  # deviation of the sum by rounding: the values are kept as they were written
_NEAR = 0.01  # deviation of the sum by a program that prints few digits


def normalised(weights: Mapping[Label, float]) -> Probabilities | None:
    """Return weights (0 or more, absent ones are 0) as a distribution; None if their sum is 0 or infinite."""
    total = math.fsum(weights.values())
    if not 0 < total < math.inf:
        return None
    return {label: weights.get(label, 0.0) / total for label in LABELS}


def most_probable(probabilities: Mapping[Label, float]) -> Label:
    """Return the likeliest label; of equal ones the weaker, then the one that favours A."""
    return max(_WEAKEST_FIRST, key=probabilities.__getitem__)


def read_probabilities(stored: object) -> Probabilities | None:
    """Return the distribution that a file holds for a game; None without a valid one."""
    if not isinstance(stored, Mapping):
        return None
    weights = {label: value for label in LABELS if (value := _weight(stored.get(label))) is not None}
    if any(label not in weights and stored.get(label) is not None for label in LABELS):
        return None
    total = math.fsum(weights.values())
    if abs(total - 1) > _NEAR:
        return None
    if abs(total - 1) > _EXACT:
        return normalised(weights)
    return {label: weights.get(label, 0.0) for label in LABELS}


def _weight(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 + _NEAR:
        return float(value)
    return None


_WEAKEST_FIRST: tuple[Label, ...] = ("A=B", "A>B", "B>A", "A>>B", "B>>A")
