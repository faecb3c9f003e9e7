"""A judge's probabilities of the five labels: from weights to a distribution, and back from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.labels import LABELS, Label

Probabilities: TypeAlias = dict[Label, float]
"""Every label of `LABELS`, in their order; the values sum to 1."""

_EXACT = 1e-9  # off by no more than rounding: kept as it is, so that what is read is what was written
_NEAR = 0.01  # off by what a program that prints few digits leaves


def normalised(weights: Mapping[Label, float]) -> Probabilities | None:
    """Weights (0 or more, absent ones are 0) as a distribution; None if they hold nothing to divide by."""
    total = math.fsum(weights.values())
    if not 0 < total < math.inf:
        return None
    return {label: weights.get(label, 0.0) / total for label in LABELS}


def most_probable(probabilities: Mapping[Label, float]) -> Label:
    """The label with the largest probability; of equal ones the more cautious, then the one that favours A."""
    return max(_BY_CAUTION, key=probabilities.__getitem__)


def read_probabilities(told: object) -> Probabilities | None:
    """The distribution that a file holds for a game, or None where it holds none that makes sense."""
    if not isinstance(told, Mapping):
        return None
    weights = {label: value for label in LABELS if (value := _weight(told.get(label))) is not None}
    if any(label not in weights and told.get(label) is not None for label in LABELS):
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


_BY_CAUTION: tuple[Label, ...] = ("A=B", "A>B", "B>A", "A>>B", "B>>A")
