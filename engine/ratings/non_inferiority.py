"""Is one model not worse than another by more than a margin? The test behind `gate`.

Non-inferiority is shown when the lower limit of the difference lies above -margin: the test of the hypothesis that the
model is worse by the margin or more, at the one-sided level of that limit (ICH E9, "Statistical principles for clinical
trials", 1998, section 3.3.2; Blackwelder, Controlled Clinical Trials 3, 1982). No difference that was not found is
taken for no difference: too few questions make the limit low, and the test fails.

The difference is paired: both models answered the same questions. Its standard error is clustered by question, by the
influence of each question on both scores (see `engine.ratings.influence`); its limits are Student's t. Near 0 and 100
percent the questions may hold no surprise at all, so the limits start from two imagined ones, of which each model won
one and lost one, and never the same (as in `engine.ratings.confidence_sequence`). `benchmarks/statistics_coverage.py`
measures that without them a model that is worse by just the margin passes up to twice as often as it may.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from engine.ratings.battles import FloatArray
from engine.ratings.student import student_quantile

POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """Score of a model minus that of its reference, as fractions, with one-sided limits at level alpha on each side."""

    questions: int
    rate: float
    reference_rate: float
    lower: float
    upper: float
    std_error: float

    @property
    def difference(self) -> float:
        return self.rate - self.reference_rate

    @property
    def spread(self) -> float:
        """The standard error that one question would give."""
        return self.std_error * math.sqrt(self.questions)


def difference(
    won: FloatArray, total: FloatArray, reference: tuple[FloatArray, FloatArray] | None, alpha: float
) -> Difference:
    """The paired difference of two scores, from points won and played for [Q] on the same questions (at least two).

    `reference` has those of the other model; None is the baseline, which is even on every question.
    """
    questions = len(won)
    rate, their_rate, error = _compared(won, total, reference)
    imagined = None if reference is None else _strengthened(*reference, first=0.0)
    mine, theirs, spread = _compared(*_strengthened(won, total, first=1.0), imagined)
    reach = student_quantile(questions + 1, 1.0 - alpha) * spread
    return Difference(
        questions, rate, their_rate, max(-1.0, mine - theirs - reach), min(1.0, mine - theirs + reach), error
    )


def questions_for(spread: float, margin: float, alpha: float) -> int:
    """Questions on which a model that is just as good as its reference passes with 80 % probability.

    Args:
        spread: the standard error of the difference that one question gives.
        margin: in the same unit; above 0.
    """
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(1.0 - alpha) + normal.inv_cdf(POWER)) * spread / margin) ** 2)


def _compared(
    won: FloatArray, total: FloatArray, reference: tuple[FloatArray, FloatArray] | None
) -> tuple[float, float, float]:
    """Both scores, and the clustered standard error of their difference."""
    rate, values = _score(won, total)
    their_rate, their_values = _score(*reference) if reference is not None else (0.5, np.zeros(len(won)))
    return rate, their_rate, float((values - their_values).std(ddof=1)) / math.sqrt(len(won))


def _score(won: FloatArray, total: FloatArray) -> tuple[float, FloatArray]:
    """The score, and the influence [Q] of each question on it."""
    rate = float(won.sum() / total.sum())
    return rate, np.asarray((won - rate * total) / total.mean(), dtype=np.float64)


def _strengthened(won: FloatArray, total: FloatArray, first: float) -> tuple[FloatArray, FloatArray]:
    """With two questions more, of average weight: `first` is the share won of the one, the rest of the other."""
    weight = total.mean()
    return np.append(won, [first * weight, (1.0 - first) * weight]), np.append(total, [weight, weight])
