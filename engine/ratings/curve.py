"""The curve of a training: scores of its checkpoints with bands that hold for all at once, and what they decide.

    bands      the limits of all scores hold together. Each limit is that of a score on the leaderboard
               (`engine.ratings.score_limits`), at the level that the joint distribution of the errors leaves for one of
               them (`engine.ratings.simultaneous`)
    gains      differences from the first step, with simultaneous limits, and p-values adjusted step-down
    best       a step is excluded as the best where another is surely better, by the largest of its differences from all
               others (multiple comparisons with the best: Hsu, "Simultaneous confidence intervals for all distances
               from the 'best'", Annals of Statistics 9, 1981). The best step is among those left with 95 % probability,
               and the most that any step can lose against the best holds for all steps at once, whichever is kept
    plateau    "no later step is better than the best until N by more than the margin". For every later step l that
               claim needs one step up to N above which l is shown to be by less than the margin. The hypotheses "some
               later step is better by the margin" are nested in N, and each is an intersection-union test (Berger,
               Technometrics 24, 1982) over l of a max-t test over the steps before l; so the earliest N that passes is
               wrong with 5 % probability at most, though it was searched for

Decisions allow for losses that no question happened to show (`CheckpointScores.shown_above`). Bands, gains, the set of
the best and the plateau each hold with 95 % probability, each by itself, for one training at one look.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from engine.errors import RatingError
from engine.ratings import ALPHA, MINIMUM_QUESTIONS
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.checkpoint_scores import CheckpointScores, Differences
from engine.ratings.curve_result import Curve, CurvePoint, Keep, Plateau, StepGain, StepModel
from engine.ratings.curve_tests import CurveTests, LaterStep, plateau_start
from engine.ratings.estimate import RatingOptions
from engine.ratings.limits import question_draws
from engine.ratings.simultaneous import ROUNDS, step_down
from engine.ratings.verdict import DEFAULT_MARGIN

_SHARE_ROUNDS = 1000
_DECIMALS = 9  # of fractions: the rest is rounding


def curve(
    battles: Battles,
    options: RatingOptions,
    checkpoints: Sequence[StepModel],
    *,
    series: str = "",
    margin: float = DEFAULT_MARGIN,
    stopped: Collection[str] = (),
    rounds: int = ROUNDS,
) -> Curve:
    """Return the curve of the checkpoints of one training; those without a label are left out.

    Args:
        margin: points by which a later step must be better to count as an improvement.
        stopped: models of which judging was stopped by what it showed.
        rounds: draws behind a critical value.

    Raises RatingError where none of them is rated.
    """
    ordered = sorted(checkpoints, key=lambda each: (each.step, each.model))
    scores = CheckpointScores(battles, options, [each.model for each in ordered], stopped)
    if not len(scores):
        raise RatingError(
            f"no checkpoint of {series or 'the training'} has labels on two questions", "judge them first"
        )
    steps = {each.model: each.step for each in ordered}
    return _Reading(scores, [steps[model] for model in scores.models], options.seed, margin / 100.0, rounds).curve(
        series, len(ordered) - len(scores)
    )


class _Reading:
    """Reads one curve off the scores of K checkpoints."""

    def __init__(self, scores: CheckpointScores, steps: Sequence[int], seed: int, margin: float, rounds: int) -> None:
        self._scores = scores
        self._steps = steps
        self._seed = seed
        self._margin = margin
        self._tests = CurveTests(scores, seed, rounds)
        self._count = len(scores)
        self._everyone = range(self._count)

    def curve(self, series: str, unrated: int) -> Curve:
        scores = self._scores
        lower, upper = self._tests.bands()
        gains = self._gains()
        possible = [not self._tests.is_beaten(at) for at in self._everyone]
        best = self._best(possible, lower)
        shares = self._first_shares()
        points = [
            CurvePoint(
                step=self._steps[at],
                model=scores.models[at],
                score=100.0 * float(scores.rate[at]),
                lower=100.0 * float(lower[at]),
                upper=100.0 * float(upper[at]),
                questions=self._questions(at),
                limits="any time" if scores.stopped[at] else "fixed",
                gain=gains[at],
                can_be_best=possible[at],
                first_share=float(shares[at]),
            )
            for at in self._everyone
        ]
        keep = Keep(
            step=self._steps[best],
            model=scores.models[best],
            loss=100.0 * self._tests.loss(best, possible),
            candidates=[step for step, can_be in zip(self._steps, possible, strict=True) if can_be],
        )
        return Curve(
            series=series,
            points=points,
            best=self._steps[best],
            gain=gains[best],
            plateau=self._plateau(best),
            keep=keep,
            questions=max(point.questions for point in points),
            warnings=self._cautions(unrated),
        )

    def _questions(self, at: int) -> int:
        return 0 if self._scores.is_baseline[at] else int(self._scores.questions[at])

    def _gains(self) -> list[StepGain | None]:
        """Return the gain of every checkpoint over the first."""
        scores, found = self._scores, self._scores.above(0)
        gains: list[StepGain | None] = [None] * self._count
        fixed, early = self._tests.parted(0, self._everyone)
        family = len(fixed) + len(early)
        if fixed:
            deviate = self._tests.critical(0, fixed, family, two_sided=True)
            lower = scores.lower_limits(0, fixed, deviate)
            upper = [-float(scores.lower_limits(at, [0], deviate)[0]) for at in fixed]
            above = scores.shown_above(0, fixed)
            below = np.array([float(scores.shown_above(at, [0])[0]) for at in fixed])
            p_values = step_down(np.maximum(np.maximum(above, below), 0.0), self._tests.errors(0)[:, fixed])
            for place, at in enumerate(fixed):
                p = float(p_values[place])
                is_sure = p < ALPHA * len(fixed) / family
                gains[at] = self._gain(at, found, float(lower[place]), upper[place], p, is_sure=is_sure)
        for at in early:
            low, high = scores.sequence_limits(at, 0, ALPHA / (2.0 * family))
            gains[at] = self._gain(at, found, low, high, None, is_sure=low > 0.0 or high < 0.0)
        return gains

    def _gain(
        self, at: int, found: Differences, lower: float, upper: float, p_value: float | None, *, is_sure: bool
    ) -> StepGain:
        gap = float(found.gap[at])
        return StepGain(
            over=self._steps[0],
            difference=100.0 * gap,
            lower=100.0 * lower,
            upper=100.0 * upper,
            p_value=p_value,
            verdict=("better" if gap > 0.0 else "worse") if is_sure else "undecided",
            questions=int(found.questions[at]),
        )

    def _best(self, possible: Sequence[bool], lower: FloatArray) -> int:
        """Return the highest score; on different questions, of those that can be the best the one with the highest
        lower limit, so that few lucky questions do not count for much."""
        rate = np.round(self._scores.rate, _DECIMALS)
        if self._scores.has_same_questions:
            return int(np.argmax(rate))
        candidates = [at for at in self._everyone if possible[at]] or list(self._everyone)
        return max(candidates, key=lambda at: (round(float(lower[at]), _DECIMALS), rate[at], -at))

    def _first_shares(self) -> FloatArray:
        """Return in which part [K] of resampled question sets each checkpoint has the highest score."""
        wins = np.zeros(self._count)
        values = self._scores.values()
        for times in question_draws(len(values), _SHARE_ROUNDS, self._seed):
            resampled = np.round(self._scores.rate + (times - 1.0) @ values, _DECIMALS)
            highest = resampled == resampled.max(axis=1, keepdims=True)
            wins += (highest / highest.sum(axis=1, keepdims=True)).sum(axis=0)
        shares: FloatArray = wins / _SHARE_ROUNDS
        return shares

    def _plateau(self, best: int) -> Plateau:
        """Return the plateau: the earliest step after which none is better than the best until then by the margin."""
        later_steps = self._tests.later_steps()
        since = plateau_start(later_steps, self._margin)
        until = best if since is None else since
        later = later_steps[until + 1 :]
        return Plateau(
            since=None if since is None else self._steps[since],
            margin=100.0 * self._margin,
            upper=100.0 * max((each.upper(until) for each in later), default=0.0),
            later_steps=len(later),
            more_questions=self._more_questions(best, later) if since is None else None,
        )

    def _more_questions(self, best: int, later: Sequence[LaterStep]) -> int | None:
        """Return about how many more questions would show that no step after the best is better by the margin: limits
        come nearer by the root of their number."""
        found, most = self._scores.above(best), 0.0
        for test in later:
            gap = float(found.gap[test.at])
            if self._margin <= gap or best not in test.fixed:
                return None
            upper = -float(self._scores.lower_limits(test.at, [best], test.deviate)[0])
            most = max(most, float(found.questions[test.at]) * ((upper - gap) / (self._margin - gap)) ** 2)
        missing = math.ceil(most - float(self._scores.questions.max()))
        return missing if missing > 0 else None

    def _cautions(self, unrated: int) -> list[str]:
        scores, cautions = self._scores, []
        few = [self._steps[at] for at in range(self._count) if 0 < self._questions(at) < MINIMUM_QUESTIONS]
        if few:
            cautions.append(f"fewer than {MINIMUM_QUESTIONS} questions at {_steps(few)}; limits are wide there")
        if scores.stopped.any():
            early = [step for step, is_early in zip(self._steps, scores.stopped, strict=True) if is_early]
            cautions.append(
                f"judging was stopped early at {_steps(early)}: the score there is biased away from what the rule "
                "compared it with, and its limits are those of a confidence sequence, which hold at every look"
            )
        elif not scores.has_same_questions:
            cautions.append(
                f"steps were judged on different questions ({int(scores.questions.min())} to "
                f"{int(scores.questions.max())}): differences are on those in common; where answers are missing for a "
                "reason, scores are biased"
            )
        if unrated:
            cautions.append(f"{unrated} checkpoints left out: labels on fewer than two questions")
        return cautions


def _steps(steps: Sequence[int]) -> str:
    shown = [f"{step:,}" for step in steps[:8]]
    more = f" and {len(steps) - 8} more" if len(steps) > 8 else ""
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(shown)}{more}"
