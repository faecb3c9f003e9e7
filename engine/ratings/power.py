"""How many questions it takes to detect a difference, from how much the questions of a pilot disagree.

A difference of X points is found with probability `power` by a two-sided test at 5 % when its standard error is
X / (z(0.975) + z(power)); the standard error is that of one question over the root of their number (Miller,
arXiv 2411.00640, section 5). One question's is measured on the pilot, by its influence on the score or on the
difference (`engine.ratings.limits`), so it includes the dependence of the games of a question.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.errors import RatingError
from engine.ratings import ALPHA, FEWEST_QUESTIONS, MINIMUM_QUESTIONS
from engine.ratings.battles import Battles
from engine.ratings.betting import threshold
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.model_stats import game_counts
from engine.ratings.outcomes import SoftReport, soft_report
from engine.ratings.paired import PairedRatings
from engine.tabular import Tabular

Design: TypeAlias = Literal["baseline", "paired", "unpaired"]
"""A model against the baseline; two models on the same questions; two models on different ones."""


class MeasuredPace(msgspec.Struct, frozen=True):
    """Measured calls per second; None where unknown."""

    judge_calls: float | None = None
    answers: float | None = None


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What one design needs for one difference.

    Attributes:
        questions: per model, for the average model (or pair) of the pilot; `fewest` and `most` for its extremes.
        judge_calls, answers: to create, given the baseline's answers.
        seconds: at the measured pace; None without one.
        until_decided: questions after which a run that stops decided models has stopped in half of the cases; None
            where that does not apply.
    """

    design: Design
    questions: int
    fewest: int
    most: int
    judge_calls: int
    answers: int
    seconds: float | None
    until_decided: int | None


class DifferencePlan(msgspec.Struct, frozen=True):
    """What detecting a difference of so many points needs."""

    difference: float
    needs: list[Need]


class NeedRow(msgspec.Struct, frozen=True):
    """A need beside the difference (points) that it is for."""

    difference: float
    need: Need


class StudyPlan(Tabular, msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. `pairing` is the paired standard error over the unpaired one, on average (None: no pairs).

    `games_each` is the number of games of a model on a question of the pilot: 2 for each judge and baseline.
    """

    bench: str
    judges: list[str]
    baseline: str
    weight: int
    power: float
    alpha: float
    pilot_questions: int
    pilot_models: int
    pairing: float | None
    games_each: float
    pace: MeasuredPace
    plans: list[DifferencePlan]
    warnings: list[str]
    soft: SoftReport | UnsetType = UNSET
    baselines: list[str] | UnsetType = UNSET

    @property
    def rows(self) -> list[NeedRow]:
        """What each design needs, for each difference."""
        return [NeedRow(plan.difference, need) for plan in self.plans for need in plan.needs]


def plan_study(
    battles: Battles,
    options: RatingOptions,
    facts: BenchFacts,
    differences: Sequence[float],
    power: float = 0.8,
    pace: MeasuredPace | None = None,
) -> StudyPlan:
    """Plan questions, calls and time for each of the differences (points).

    Raises RatingError for a pilot without differences between questions, or for a difference or power out of range.
    """
    for difference in differences:
        if not 0.0 < difference <= 50.0:
            raise RatingError(f"no plan for a difference of {difference:g} points", "ask for more than 0, at most 50")
    if not 0.5 <= power < 1.0:
        raise RatingError(f"no plan for a power of {power:g}", "it is a probability: at least 0.5 and below 1")
    pace = pace or MeasuredPace()
    spreads, pilot_questions, models = _spreads(battles, options)
    games_each = _games_each(battles, options)
    pairing = (
        math.sqrt(float(np.mean(np.square(spreads["paired"])) / np.mean(np.square(spreads["unpaired"]))))
        if spreads["paired"]
        else None
    )
    return StudyPlan(
        bench=facts.name,
        judges=list(facts.judges),
        baseline=options.baseline,
        weight=options.weight,
        power=power,
        alpha=ALPHA,
        pilot_questions=pilot_questions,
        pilot_models=models,
        pairing=pairing,
        games_each=games_each,
        pace=pace,
        plans=[
            DifferencePlan(
                difference,
                [
                    _need(design, spread, difference, power, games_each, pace)
                    for design, spread in spreads.items()
                    if spread
                ],
            )
            for difference in differences
        ],
        warnings=_cautions(pilot_questions, models),
        soft=_soft_report(battles, options, spreads) if options.soft else UNSET,
        baselines=list(facts.baselines) if len(facts.baselines) > 1 else UNSET,
    )


def questions_needed(spread: float, difference: float, power: float = 0.8) -> int:
    """Return the questions that detect a difference with that power; at least 30, below which limits are too narrow.

    `spread` is the standard error of one question: its influence's standard deviation, in points as the difference is.
    """
    factor = NormalDist().inv_cdf(1.0 - ALPHA / 2.0) + NormalDist().inv_cdf(power)
    return max(MINIMUM_QUESTIONS, math.ceil((factor * spread / difference) ** 2 - 1e-9))


def questions_until_decided(spread: float, difference: float) -> int:
    """Return the questions after which bets exclude "no difference" in half of the cases, to about a quarter.

    The best bet on a difference of d spreads gains log(1 + d^2) / 2 on a question, as on a normal mean; not to know it
    costs about a quarter of the logarithm of their number.
    """
    growth = math.log1p((difference / spread) ** 2)

    def is_decided(questions: int) -> bool:
        return questions * growth >= 2.0 * threshold() + 0.5 * math.log(questions)

    low, high = FEWEST_QUESTIONS, FEWEST_QUESTIONS
    while not is_decided(high):
        low, high = high, 2 * high
    return low + bisect_left(range(low, high), True, key=is_decided)


def _spreads(battles: Battles, options: RatingOptions) -> tuple[dict[Design, list[float]], int, int]:
    """Return standard errors of one question, in points, by design; the number of pilot questions; and of models."""
    quick = msgspec.structs.replace(options, ci="question", rounds=1)  # the bootstrap's limits are not used
    ratings = rate_battles(battles, quick)
    paired = PairedRatings(ratings, quick)
    models = [index for index in range(len(ratings.models)) if index != ratings.table.baseline]
    spreads: dict[Design, list[float]] = {"baseline": [], "paired": [], "unpaired": []}
    for model in models:
        if against := paired.difference(model, ratings.table.baseline):
            spreads["baseline"].append(100.0 * against.std_error * math.sqrt(against.questions))
    for a, b in combinations(models, 2):
        if found := paired.difference(a, b):
            spreads["paired"].append(100.0 * found.std_error * math.sqrt(found.questions))
            spreads["unpaired"].append(100.0 * found.unpaired_std_error * math.sqrt(found.questions))
    if not any(map(any, spreads.values())):
        raise RatingError(
            "the pilot does not show how much questions disagree: every question has the same result",
            "judge more questions, or a model closer to the baseline",
        )
    return spreads, len(ratings.table.won), len(models)


def _soft_report(battles: Battles, options: RatingOptions, spreads: dict[Design, list[float]]) -> SoftReport:
    """Report how much smaller the standard errors are than by the labels of the same games."""
    by_label, *_ = _spreads(battles, msgspec.structs.replace(options, soft=False))
    ratios = [
        soft / hard
        for design in spreads
        for soft, hard in zip(spreads[design], by_label[design], strict=True)
        if hard > 0.0
    ]
    return soft_report(battles, float(np.mean(ratios)) if ratios else None)


def _games_each(battles: Battles, options: RatingOptions) -> float:
    """Return the games of a model on a question, unparsed ones included, on average over the models."""
    used = battles.first_games() if options.first_game_only else battles
    played = game_counts(used)
    others = (played.any(axis=0)) & (np.array(used.models) != options.baseline)
    return float(np.mean(played.sum(axis=0)[others] / np.count_nonzero(played, axis=0)[others]))


def _need(
    design: Design, spreads: Sequence[float], difference: float, power: float, games_each: float, pace: MeasuredPace
) -> Need:
    average = math.sqrt(float(np.mean(np.square(spreads))))
    questions = questions_needed(average, difference, power)
    models = 1 if design == "baseline" else 2
    judge_calls, answers = math.ceil(models * games_each * questions - 1e-9), models * questions
    seconds = None
    if pace.judge_calls:
        seconds = judge_calls / pace.judge_calls + (answers / pace.answers if pace.answers else 0.0)
    return Need(
        design=design,
        questions=questions,
        fewest=questions_needed(min(spreads), difference, power),
        most=questions_needed(max(spreads), difference, power),
        judge_calls=judge_calls,
        answers=answers,
        seconds=seconds,
        until_decided=None if design == "unpaired" else questions_until_decided(average, difference),
    )


def _cautions(questions: int, models: int) -> list[str]:
    warnings = []
    if questions < MINIMUM_QUESTIONS:
        warnings.append(f"pilot of {questions} questions; plans are unreliable below {MINIMUM_QUESTIONS}")
    if models < 2:
        warnings.append("only one model was judged, so how far two models agree on questions is unknown")
    return warnings
