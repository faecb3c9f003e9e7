"""Tests of a curve: which checkpoints can be the best, how much one loses against it, and after which none is better.

Each family of tests has an error rate of 5 %. Differences of fixed samples share what Bonferroni's division leaves
them, by the joint distribution of their errors (`engine.ratings.simultaneous`); those of a checkpoint that was stopped
early have their parts of it, for a confidence sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import FloatArray
from engine.ratings.checkpoint_scores import CheckpointScores
from engine.ratings.simultaneous import ROUNDS, JointErrors, critical_value, level_of


class CurveTests:
    """Tests of K checkpoints in the order of their steps."""

    def __init__(self, scores: CheckpointScores, seed: int, rounds: int = ROUNDS) -> None:
        self._scores = scores
        self._joint = JointErrors(len(scores), seed, rounds)
        self._everyone = range(len(scores))
        self._errors: dict[int, FloatArray] = {}

    def bands(self) -> tuple[FloatArray, FloatArray]:
        """Return the limits [K] of all scores together: the error rate is divided between those of fixed samples, which
        share theirs, and those that were stopped, by their number."""
        scores = self._scores
        lower, upper = scores.rate.copy(), scores.rate.copy()
        fixed = ~scores.stopped
        if fixed.any():
            largest = np.abs(self._joint.draw(scores.values())[:, fixed]).max(axis=1)
            level = level_of(critical_value(largest, ALPHA * float(fixed.mean())))
            lower[fixed], upper[fixed] = scores.score_limits(fixed, 2.0 * level)
        for at in np.flatnonzero(scores.stopped):
            lower[at], upper[at] = scores.stopped_limits(int(at), ALPHA / len(scores))
        return lower, upper

    def errors(self, at: int) -> FloatArray:
        """Return draws [R, K] of the standardised errors of all differences from `at`."""
        if at not in self._errors:
            self._errors[at] = self._joint.draw(self._scores.above(at).values)
        return self._errors[at]

    def parted(self, at: int, among: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return those of `among` that are compared with `at` on fixed samples, and those that were stopped early."""
        found = self._scores.above(at)
        known = [other for other in among if other != at and not np.isnan(found.gap[other])]
        early = [other for other in known if self._scores.is_early(at, other)]
        return [other for other in known if other not in early], early

    def critical(self, at: int, fixed: Sequence[int], family: int, *, two_sided: bool = False) -> float:
        """Return the deviate that the errors of differences of fixed samples from `at` exceed with the probability that
        they have of all: their part of the family."""
        errors = self.errors(at)[:, list(fixed)]
        largest = (np.abs(errors) if two_sided else errors).max(axis=1)
        return max(0.0, critical_value(largest, ALPHA * len(fixed) / family))

    def is_beaten(self, at: int) -> bool:
        """Return whether another checkpoint is surely better."""
        fixed, early = self.parted(at, self._everyone)
        family = len(fixed) + len(early)
        gap = self._scores.above(at).gap
        if ahead := [other for other in fixed if gap[other] > 0.0]:
            critical = self.critical(at, fixed, family)
            if self._scores.shown_above(at, ahead).max() > critical:
                return True
        ahead = sorted((other for other in early if gap[other] > 0.0), key=lambda other: -gap[other])
        return any(self._scores.sequence_above(other, at, 0.0, ALPHA / family) for other in ahead)

    def loss(self, at: int, possible: Sequence[bool]) -> float:
        """Return how much a checkpoint loses at most against the best: by the limits of each that can be the best."""
        loss = 0.0
        for other in self._everyone:
            if other == at or not possible[other]:
                continue
            fixed, early = self.parted(other, self._everyone)
            family = len(fixed) + len(early)
            if at in fixed:
                limit = float(self._scores.lower_limits(other, [at], self.critical(other, fixed, family))[0])
            else:
                limit = self._scores.sequence_limits(at, other, ALPHA / family)[0] if at in early else -1.0
            loss = max(loss, -limit)
        return loss

    def later_steps(self) -> list[LaterStep]:
        """Return every checkpoint against all before it."""
        return [LaterStep(self, self._scores, at) for at in self._everyone]


def plateau_start(later_steps: Sequence[LaterStep], margin: float) -> int | None:
    """Return the earliest checkpoint after which none is better than the best until then by the margin; None where that
    is not shown of any but the last."""
    first_held = [each.first_held(margin) for each in later_steps]
    latest = np.maximum.accumulate(first_held[::-1])[::-1]
    return next((at for at in range(len(later_steps) - 1) if latest[at + 1] <= at), None)


class LaterStep:
    """A checkpoint against all before it: how much better can it be?"""

    def __init__(self, tests: CurveTests, scores: CheckpointScores, at: int) -> None:
        self.at = at
        self.fixed, self._early = tests.parted(at, range(at))
        self._scores = scores
        family = max(1, len(self.fixed) + len(self._early))
        self.deviate = tests.critical(at, self.fixed, family) if self.fixed else 0.0
        self._level = ALPHA / family

    def first_held(self, margin: float) -> float:
        """Return the first checkpoint above which this one is shown to be by less than the margin; else infinity."""
        shown = self._scores.shown_above(self.at, self.fixed, -margin)
        held = [other for other, deviate in zip(self.fixed, shown.tolist(), strict=True) if deviate > self.deviate]
        first = min(held, default=math.inf)
        early = (other for other in self._early if other < first)
        return next((each for each in early if self._scores.sequence_above(each, self.at, -margin, self._level)), first)

    def upper(self, until: int) -> float:
        """Return by how much this one can be better than the best of those up to `until`."""
        limits = []
        if early := [other for other in self._early if other <= until]:
            gap = self._scores.above(self.at).gap
            limits.append(self._scores.sequence_limits(self.at, max(early, key=lambda each: gap[each]), self._level)[1])
        if before := [other for other in self.fixed if other <= until]:
            shown = self._scores.shown_above(self.at, before)
            nearest = before[int(np.argmax(shown))]
            limits.append(-float(self._scores.lower_limits(self.at, [nearest], self.deviate)[0]))
        return min(limits, default=1.0)
