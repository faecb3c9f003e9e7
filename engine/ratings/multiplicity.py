"""Many comparisons at once: p-values that stay honest together, and the ranks that are still possible."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.ratings.battles import BoolArray, IntArray


def two_sided_p(z: float) -> float:
    """The p-value of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def sign_test_p(questions: int) -> float:
    """The exact two-sided p-value of winning every one of so many questions."""
    return min(1.0, 2.0 * 0.5**questions)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: those below alpha are all right together with probability 1 - alpha.

    The step-down method of Holm (Scandinavian Journal of Statistics 6, 1979); it needs no independence.
    """
    count = len(p_values)
    adjusted = [1.0] * count
    highest = 0.0
    for done, index in enumerate(sorted(range(count), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (count - done) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def rank_ranges(better: BoolArray) -> tuple[IntArray, IntArray]:
    """The best and the worst rank [M] that each model can have, 1 being the top.

    `better[i, j]` [M, M] says that i is surely better than j. If all of it holds together with 95 % probability (as
    after `holm`), so do all ranges (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91, 2024).
    """
    best: IntArray = (1 + better.sum(axis=0)).astype(np.int64)
    worst: IntArray = (len(better) - better.sum(axis=1)).astype(np.int64)
    return best, worst
