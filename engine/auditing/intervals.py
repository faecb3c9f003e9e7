"""Estimates with 95 % limits that respect what belongs together: whole questions are resampled, not single games."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np

from engine.ratings.battles import BoolArray, FloatArray, IntArray
from engine.ratings.limits import interval, question_draws, sandwich_limits
from engine.ratings.score_limits import unseen_limits

_ROUNDING = 1e-9


class IntervalEstimate(msgspec.Struct, frozen=True):
    """A number with its 95 % limits and the number of questions behind it; all None without any question.

    The limits alone are None where there are too few questions for them.
    """

    value: float | None
    lower: float | None
    upper: float | None
    questions: int

    @property
    def known(self) -> bool:
        return self.value is not None

    @property
    def number(self) -> float:
        """The value; NaN if it is unknown, so that every comparison with it is false."""
        return math.nan if self.value is None else self.value

    def distance_from(self, middle: float) -> float:
        """Return how far the whole interval is from `middle`; 0 if it contains it, or is unknown."""
        if self.lower is None or self.upper is None:
            return 0.0
        return max(0.0, self.lower - middle, middle - self.upper)


NOTHING = IntervalEstimate(None, None, None, 0)


class QuestionResampler:
    """Limits of everything estimated from Q questions: the same resamples of them each time.

    Cluster bootstrap (Field and Welsh, J. R. Stat. Soc. B 69, 2007) with percentile limits. Shares, many of them small,
    get clustered errors on the logit scale instead (`engine.ratings.limits`): percentiles of a share of 8 % on 100
    questions hold it 93.5 times in 100, these 95. Where all questions have the same share, the
    limits are those of `unseen_limits`.
    """

    def __init__(self, questions: int, rounds: int, seed: int) -> None:
        self.questions = questions
        self._rounds = rounds
        self._seed = seed

    @cached_property
    def draws(self) -> FloatArray:
        """How often each question is drawn in each resample, [R, Q]."""
        if not self.questions:
            return np.empty((self._rounds, 0))
        return np.concatenate([*question_draws(self.questions, self._rounds, self._seed)])

    def share(
        self, question: IntArray, part: FloatArray | BoolArray, whole: FloatArray | None = None
    ) -> IntervalEstimate:
        """Estimate the percentage that the sum of `part` is of the sum of `whole`, or of the number of rows.

        Args:
            question: [K] index of each row's question.
            part, whole: [K] what each row adds to both sums.
        """
        weights = np.ones(len(question)) if whole is None else whole
        return self.share_of_sums(self.sums(question, part), self.sums(question, weights))

    def share_of_sums(self, part: FloatArray, whole: FloatArray) -> IntervalEstimate:
        """The same from sums by question, [Q]."""
        total = float(whole.sum())
        questions = int(np.count_nonzero(whole))
        if total <= 0.0:
            return NOTHING
        rate = np.array([float(part.sum()) / total])
        if questions < 2 and 0.0 < rate[0] < 1.0:
            return IntervalEstimate(100.0 * float(rate[0]), None, None, questions)
        asked = whole > 0.0
        mean = np.array([whole[asked].mean()])
        values = (part[asked] - rate * whole[asked]) / mean
        if np.ptp(values) > _ROUNDING:
            lower, upper = sandwich_limits(rate, values[:, None])
        else:
            lower, upper = unseen_limits(rate, mean, np.array([float(questions)]), np.array([whole.max()]))
        return IntervalEstimate(100.0 * float(rate[0]), 100.0 * float(lower[0]), 100.0 * float(upper[0]), questions)

    def sums(self, question: IntArray, values: FloatArray | BoolArray) -> FloatArray:
        """Sum `values` [K] by question, [Q]."""
        return np.bincount(question, weights=values, minlength=self.questions).astype(np.float64)

    def estimate(self, value: float, resampled: FloatArray, questions: int) -> IntervalEstimate:
        """Estimate any number with percentile limits from its resamples [R]; NaN resamples are left out.

        Resamples that are all alike say nothing of what was not seen, so they give no limits.
        """
        if math.isnan(value):
            return NOTHING
        lower, upper = interval(resampled[:, None], questions)
        if not upper[0] - lower[0] > _ROUNDING:
            return IntervalEstimate(value, None, None, questions)
        return IntervalEstimate(value, float(lower[0]), float(upper[0]), questions)


def resampler_of(names: Sequence[str], rounds: int = 1000, seed: int = 42) -> tuple[IntArray, QuestionResampler]:
    """Return the index of each named question among the distinct ones, [K], and a resampler of these."""
    distinct, index = np.unique(np.array(names, dtype=str), return_inverse=True)
    return index.astype(np.int64), QuestionResampler(len(distinct), rounds, seed)
