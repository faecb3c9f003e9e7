"""Scores of the checkpoints of one training, and their differences on the questions in common, with their errors.

The error of a score is the sum of one number a question (its influence, see `engine.ratings.limits`), so all scores and
differences have a joint distribution that the questions show. Two checkpoints are compared on the questions of both:
checkpoints that were stopped early were asked a prefix of them.

Where judging was stopped by what it showed, a sample of fixed size is none: the limits of such a checkpoint, and of its
differences, are those of a confidence sequence (`engine.ratings.betting`), which hold whenever one stops.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.ratings import betting
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.bradley_terry import win_rates
from engine.ratings.estimate import RatingOptions, require_rateable
from engine.ratings.limits import influence, sandwich_limits, student_quantile, two_sided_p
from engine.ratings.outcomes import heaviest_questions, outcome_table
from engine.ratings.score_limits import ratio_limits, unseen_share, weighted_deviate
from engine.ratings.simultaneous import deviate_of, level_of

_NOTHING = 1e-12
_FEWEST = 2  # questions of a standard error
_LIMIT_STEPS = 24
_TOLERANCE = 1e-5  # of a limit
_NUDGE = 0.03  # of what is left of the range, beyond the limit that is expected


@dataclass(frozen=True)
class Differences:
    """Scores of K checkpoints less that of one of them, on the questions in common with each; fractions.

    Attributes:
        gap: [K]; NaN with fewer than two questions in common.
        error: [K] standard errors, clustered by question.
        values: [Q, K] whose column sums are the errors.
        questions: [K] in common.
    """

    gap: FloatArray
    error: FloatArray
    values: FloatArray
    questions: FloatArray

    def deviates(self, chosen: Sequence[int], gaps: FloatArray) -> FloatArray:
        """Return the normal deviates [N] of the evidence for differences above `gaps`, by Student's t; 0 where it
        cannot be tested."""
        found = np.zeros(len(chosen))
        for place, (at, gap) in enumerate(zip(chosen, gaps.tolist(), strict=True)):
            beyond, error = float(self.gap[at]) - gap, float(self.error[at])
            if error > _NOTHING and abs(beyond) > _NOTHING:
                p = two_sided_p(beyond / error, float(self.questions[at] - 1))
                found[place] = np.sign(beyond) * deviate_of(p / 2.0)
        return found

    def reach(self, level: float) -> FloatArray:
        """Return how far [K] the limits of Student's t at a one-sided level are from the differences."""
        quantiles = [student_quantile(max(1, int(count) - 1), 1.0 - level) for count in self.questions]
        return np.array(quantiles) * self.error


class CheckpointScores:
    """Scores of K checkpoints against the baseline, in the order of their steps.

    Args:
        battles: of all of them, others too.
        models: the K checkpoints; the baseline may be one.
        stopped: those of which judging was stopped by what it showed.

    Raises RatingError when the battles cannot be rated; `models` with labels on fewer than two questions are left out.
    """

    def __init__(
        self, battles: Battles, options: RatingOptions, models: Sequence[str], stopped: Collection[str] = ()
    ) -> None:
        used = require_rateable(battles, options)
        table = outcome_table(used, options.baseline, options.weight, soft=options.soft)
        rate = win_rates(table)
        rated = (table.questions_of_models() >= _FEWEST) & ~np.isnan(rate)
        names = [name for name in models if name in table.models and rated[table.models.index(name)]]
        places = [table.models.index(name) for name in names]
        self.models = tuple(names)
        self.is_baseline = np.array([place == table.baseline for place in places], dtype=np.bool_)
        self.rate: FloatArray = rate[places]
        self.exact = table.against_baseline_only  # scores are ratios of sums
        self._influence = influence(table, rate)[:, places]
        self._most = heaviest_questions(used, options.weight)[places]
        weight = table.total @ np.abs(table.signs)
        self._total: FloatArray = weight[:, places]
        self._won: FloatArray = np.zeros_like(self._total)
        if self.exact:
            column = {int(model): at for at, model in enumerate(table.pairs[:, 1])}
            for at, place in enumerate(places):
                if place != table.baseline:
                    self._won[:, at] = table.won[:, column[place]]
        self._total[:, self.is_baseline] = 1.0
        self._won[:, self.is_baseline] = 0.5
        self.played: BoolArray = self._total > 0.0
        self.questions: FloatArray = self.played.sum(axis=0).astype(np.float64)
        self.stopped = np.array([name in stopped and self.exact for name in names], dtype=np.bool_)
        self._above = lru_cache(maxsize=None)(self._differences)

    def __len__(self) -> int:
        return len(self.models)

    @property
    def has_same_questions(self) -> bool:
        """Whether every checkpoint was judged on the same questions."""
        return bool(np.all(self.played == self.played[:, :1]))

    def values(self) -> FloatArray:
        """Return numbers [Q, K] whose column sums are the errors of the scores."""
        shares: FloatArray = self._influence / len(self._influence)
        return shares

    def score_limits(self, chosen: BoolArray, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Return limits of the `chosen` scores at a two-sided level, none stopped early; those of the baseline are its
        score."""
        if self.exact:
            lower, upper = ratio_limits(self._won[:, chosen], self._total[:, chosen], self._most[chosen], alpha)
        else:
            lower, upper = sandwich_limits(self.rate[chosen], self._influence[:, chosen], alpha)
        fixed = self.is_baseline[chosen]
        return np.where(fixed, 0.5, lower), np.where(fixed, 0.5, upper)

    def stopped_limits(self, at: int, alpha: float) -> tuple[float, float]:
        """Return the limits of the confidence sequence for a score at a two-sided level."""
        played = self.played[:, at]
        outcomes, counts = _distinct(np.stack([self._won[played, at], self._total[played, at]], axis=1))
        return betting.interval(outcomes, counts, float(self._most[at]), alpha)

    def _differences(self, at: int) -> Differences:
        """Return what `above` returns."""
        if not self.exact:
            values = (self._influence - self._influence[:, [at]]) / len(self._influence)
            count = np.full(len(self), float(len(values)))
            return Differences(self.rate - self.rate[at], _errors(values, count), values, count)
        both = self.played & self.played[:, [at]]
        count = both.sum(axis=0).astype(np.float64)
        enough = count >= _FEWEST
        gap, values = np.full(len(self), np.nan), np.zeros(both.shape)
        theirs_won, theirs_total = self._won[:, [at]] * both, self._total[:, [at]] * both
        mine_won, mine_total = self._won * both, self._total * both
        sums = [np.where(enough, each.sum(axis=0), 1.0) for each in (mine_won, mine_total, theirs_won, theirs_total)]
        mine, theirs = sums[0] / sums[1], sums[2] / sums[3]
        gap[enough] = (mine - theirs)[enough]
        values = (mine_won - mine * mine_total) / sums[1] - (theirs_won - theirs * theirs_total) / sums[3]
        values[:, ~enough] = 0.0
        return Differences(gap, np.where(enough, _errors(values, count), np.nan), values, count)

    def above(self, at: int) -> Differences:
        """Return all scores less that of the checkpoint `at`."""
        return self._above(at)

    def is_early(self, a: int, b: int) -> bool:
        """Whether a difference needs limits that hold whenever one stops."""
        return bool(self.stopped[a] or self.stopped[b])

    def shown_above(self, at: int, others: Sequence[int], gap: float | FloatArray = 0.0) -> FloatArray:
        """Return the normal deviates [N] of the evidence that scores are more than `gap` above that of `at`; minus
        infinity where too few questions are in common.

        With one baseline they allow for losses that no question happened to show: points won beyond those expected if
        the scores differ by `gap`, under random weights of the questions and an unseen one that is lost
        (`engine.ratings.score_limits`). The unknown score of `at` is the one in the middle, as for the gate.
        """
        if not others:
            return np.zeros(0)
        chosen, found = list(others), self.above(at)
        gaps = np.broadcast_to(np.asarray(gap, dtype=np.float64), len(chosen))
        if not self.exact:
            return found.deviates(chosen, gaps)
        both = (self.played[:, chosen] & self.played[:, [at]]).astype(np.float64)
        questions = found.questions[chosen]
        count = np.maximum(questions, 1.0)
        mine_won, mine_total = self._won[:, chosen] * both, self._total[:, chosen] * both
        their_won, their_total = self._won[:, [at]] * both, self._total[:, [at]] * both
        weights = [np.where(questions > 0, each.sum(axis=0) / count, 1.0) for each in (mine_total, their_total)]
        rates = [each.sum(axis=0) / count / weight for each, weight in zip((mine_won, their_won), weights, strict=True)]
        theirs = np.clip((rates[0] - gaps + rates[1]) / 2.0, np.maximum(0.0, -gaps), np.minimum(1.0, 1.0 - gaps))
        theirs = np.where(self.is_baseline[chosen], 0.5 - gaps, 0.5 if self.is_baseline[at] else theirs)
        mine = theirs + gaps
        values = (mine_won - mine * mine_total) / weights[0] - (their_won - theirs * their_total) / weights[1]
        most_mine = np.where(self.is_baseline[chosen], 0.0, self._most[chosen]) / weights[0]
        most_theirs = (0.0 if self.is_baseline[at] else self._most[at]) / weights[1]
        worst = -np.maximum(mine, 0.0) * most_mine - np.maximum(1.0 - theirs, 0.0) * most_theirs
        deviates = -weighted_deviate(values, both, worst, unseen_share(np.maximum(-values, 0.0), both))
        return np.where(questions >= _FEWEST, deviates, -np.inf)

    def lower_limits(self, at: int, others: Sequence[int], deviate: float) -> FloatArray:
        """Return lower limits [N] of scores less that of `at`: the gaps up to which they are shown to be above it, by
        so large a normal deviate. Minus 1 with too few questions in common."""
        chosen, found = list(others), self.above(at)
        reach = np.nan_to_num(found.reach(level_of(deviate))[chosen], nan=1.0)
        gap = np.nan_to_num(found.gap[chosen], nan=-1.0)
        if not self.exact:
            return np.maximum(gap - reach, -1.0)
        low, high = np.full(len(chosen), -1.0), gap
        limit = np.clip(gap - reach, -1.0, gap)
        for _ in range(_LIMIT_STEPS):
            shown = self.shown_above(at, chosen, limit)
            is_shown = shown >= deviate
            low, high = np.where(is_shown, limit, low), np.where(is_shown, high, limit)
            if np.all(high - low <= _TOLERANCE):
                break
            # Deviates fall nearly straight from the limit to 0 at the estimate.
            straight = gap - (gap - limit) * deviate / np.where(shown > 0.0, shown, np.inf)
            step = _NUDGE * (high - low)
            limit = np.clip(straight + np.where(is_shown, step, -step), low + step, high - step)
        return low

    def sequence_above(self, a: int, b: int, gap: float, level: float) -> bool:
        """Return whether a's score is more than `gap` above b's by a test that holds whenever one stops."""
        outcomes, counts = self._outcomes(a, b)
        return betting.is_apart(outcomes, counts, gap, self._heaviest(a, b), betting.threshold_one_sided(level))

    def sequence_limits(self, a: int, b: int, level: float) -> tuple[float, float]:
        """Return the limits of the confidence sequence for a's score less b's, each at a one-sided level."""
        outcomes, counts = self._outcomes(a, b)
        return betting.difference_interval(outcomes, counts, self._heaviest(a, b), 2.0 * level)

    def _outcomes(self, a: int, b: int) -> tuple[FloatArray, FloatArray]:
        """Return the distinct outcomes [N, 4] of two checkpoints on the same question, and how often each occurs."""
        both = self.played[:, a] & self.played[:, b]
        return _distinct(np.stack([each[both, at] for at in (a, b) for each in (self._won, self._total)], axis=1))

    def _heaviest(self, *ends: int) -> float:
        """Return the most that a question can weigh for checkpoints, the baseline aside."""
        return float(max(self._most[at] for at in ends if not self.is_baseline[at]))


def _errors(values: FloatArray, questions: FloatArray) -> FloatArray:
    """Return standard errors from numbers whose sums are the errors, with Bessel's correction."""
    errors: FloatArray = np.sqrt(np.square(values).sum(axis=0) * questions / np.maximum(questions - 1.0, 1.0))
    return errors


def _distinct(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distinct rows and how often each occurs."""
    outcomes, counts = np.unique(rows, axis=0, return_counts=True)
    return outcomes, counts.astype(np.float64)
