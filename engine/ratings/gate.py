"""The gate: a model passes if it is shown to be not worse than a reference by more than a margin (non-inferiority).

Non-inferiority is shown when the lower limit of the difference lies above -margin: the test of the hypothesis that the
model is worse by the margin or more, at the one-sided level of that limit (ICH E9, "Statistical principles for clinical
trials", 1998, section 3.3.2; Blackwelder, Controlled Clinical Trials 3, 1982). Too few questions make the limit low, so
an undecided test fails. Results that cannot be compared are refused, with all reasons at once, and so are those of a
judge that cannot be seen to notice a difference of the margin (`engine.ratings.sensitivity`).

The difference is paired: both models answered the same questions, which are the observations. The limits are those of
the likelihood ratio over all distributions of outcomes that the labels allow (`engine.ratings.bounded_likelihood`), so
a model with rare strong losses, which few questions show or none, does not pass for want of them. The standard error,
from which the planned number of questions comes, is clustered by question (see `engine.ratings.limits`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from engine.errors import Advice, AdviceKind, GateRefused, UsageProblem, listed
from engine.ratings import ALPHA, MINIMUM_QUESTIONS
from engine.ratings.battles import FloatArray
from engine.ratings.bounded_difference import Difference, difference
from engine.ratings.evidence import (
    Describe,
    Evidence,
    GateSide,
    Result,
    common,
    incomparable,
    other_contest,
    side,
    uncovered,
    unknown_settings,
    unknown_texts,
)
from engine.ratings.sensitivity import blind, blind_to_bad, known_bad_cautions
from engine.ratings.verdict import PairVerdict, VerdictWord, missing_questions

POWER = 0.8


def questions_for(spread: float, margin: float, alpha: float) -> int:
    """Return the questions on which a model as good as its reference passes with 80 % probability.

    Args:
        spread: the standard error of the difference on one question.
        margin: in the same unit; above 0.
    """
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(1.0 - alpha) + normal.inv_cdf(POWER)) * spread / margin) ** 2)


Finding: TypeAlias = Literal["not worse", "worse", "not shown"]
"""Passed; surely worse by more than the margin; or undecided."""


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`margin` in points; `alpha` one-sided; `allow_missing` questions may lack a judgment of one side; `any_sampling`
    allows different settings of the answers."""

    margin: float = 2.0
    alpha: float = ALPHA / 2.0
    allow_missing: int = 0
    min_questions: int = MINIMUM_QUESTIONS
    any_sampling: bool = False


class GateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One model against the reference, in points. `lower` and `upper` are one-sided limits of the difference.

    With `questions_needed` questions, an equally good model passes with 80 % probability; None where the margin is 0.
    `answer` is the verdict on both, by the same kind of limits; equivalence is about the gate's margin.
    """

    model: str
    reference: str
    finding: Finding
    score: float
    reference_score: float
    difference: float
    lower: float
    upper: float
    std_error: float
    questions: int
    questions_needed: int | None
    answer: PairVerdict


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result; stored as JSON it can be the reference of a later gate."""

    passed: bool
    margin: float
    alpha: float
    stored_reference: bool
    checks: list[GateCheck]
    bench: str
    judges: list[str]
    baseline: str
    weight: int
    first_game_only: bool
    warnings: list[str]
    evidence: Evidence


def gate(
    now: Result,
    models: Sequence[str],
    reference: str | None,
    options: GateOptions,
    stored: Result | None = None,
    describe: Describe = lambda _old, _new: "",
) -> GateReport:
    """Check each of `models` (none named: all but the reference) against the reference.

    The reference is a model of `stored`, where that is given (by default the model of the same name), else one of `now`
    (by default the baseline). A model whose stored judgments are the same has not changed, and passes.

    All checks must pass, each at `options.alpha`: a gate that lets a worse model pass has erred on that model's check,
    so their number needs no correction.

    Raises GateRefused with every reason, and UsageProblem for an unknown model.
    """
    origin = stored or now
    reasons = other_contest(now, stored) if stored else []
    warnings: list[str] = []
    checks = []
    most = len(now.judges or [""]) * (1 if now.first_game_only else 2) * now.weight  # points of a question
    for model, against in _chosen(now, models, reference, stored):
        mine, theirs = side(now, model), side(origin, against)
        refused = [
            *incomparable(mine, theirs, describe, any_sampling=options.any_sampling),
            *uncovered(mine, theirs, options.allow_missing),
        ]
        both = common(mine, theirs)
        if len(both) < options.min_questions:
            refused.append(
                f"too few questions: {model} and {against} have {len(both)} in common, at least "
                f"{options.min_questions} are needed"
            )
        reasons += refused
        warnings += unknown_settings(mine, theirs)
        if stored is not None:
            warnings += unknown_texts(mine, theirs)
        if not refused:
            checks.append(_check(mine, theirs, both, options, most))
    warnings += known_bad_cautions(now.known_bad)
    reasons += blind(now.evidence.discrimination(), options.margin)
    reasons += blind_to_bad(now.known_bad, options.margin)
    if reasons:
        raise GateRefused(list(dict.fromkeys(reasons)))
    return GateReport(
        passed=all(check.finding == "not worse" for check in checks),
        margin=options.margin,
        alpha=options.alpha,
        stored_reference=stored is not None,
        checks=checks,
        bench=now.bench,
        judges=now.judges,
        baseline=now.baseline,
        weight=now.weight,
        first_game_only=now.first_game_only,
        warnings=list(dict.fromkeys(warnings)),
        evidence=now.evidence,
    )


def least_margin(now: Result, model: str, reference: str) -> float:
    """Return the smallest margin, in points, with which a gate passes the model. Raises what `gate` raises."""
    (check,) = gate(now, [model], reference, GateOptions()).checks
    return max(0.0, -check.lower)


def _chosen(now: Result, models: Sequence[str], reference: str | None, stored: Result | None) -> list[tuple[str, str]]:
    """Return (model, reference) of each check."""
    judged = now.evidence.models
    origin = stored or now
    known = {*origin.evidence.models, origin.baseline}
    if reference is None and stored is None:
        reference = now.baseline
    if reference is not None and reference not in known:
        raise UsageProblem(
            f"{'the stored result' if stored else 'this bench'} has no judgments of the reference {reference}",
            Advice(f"name one of {listed(sorted(known), 12)}", AdviceKind.REFERENCE),
        )
    for model in models:
        if model not in judged:
            raise UsageProblem(f"{model} has no judgments to check", f"judged models: {listed(sorted(judged), 12)}")
        if stored is None and model == reference:
            raise UsageProblem(
                f"{model} cannot be checked against itself", Advice("name another reference", AdviceKind.REFERENCE)
            )
    named = list(dict.fromkeys(models)) or [model for model in judged if stored is not None or model != reference]
    if not named:
        raise UsageProblem("no model to check beside the reference", Advice("judge one first", AdviceKind.RUN))
    absent = [model for model in named if reference is None and model not in known]
    if absent:
        raise UsageProblem(
            f"the stored result has no judgments of {listed(absent)}",
            Advice(f"name a reference, one of {listed(sorted(known), 12)}", AdviceKind.REFERENCE),
        )
    return [(model, model if reference is None else reference) for model in named]


def _check(mine: GateSide, theirs: GateSide, questions: Sequence[str], options: GateOptions, most: float) -> GateCheck:
    points, reference = _arrays(mine, questions), None if theirs.is_baseline else _arrays(theirs, questions)
    largest = max(points[1].max(), most) if reference is None else max(points[1].max(), reference[1].max(), most)
    by_alpha = {
        alpha: difference(*points, reference, alpha, float(largest)) for alpha in {options.alpha, ALPHA / 2.0, ALPHA}
    }
    unchanged = reference is not None and mine.model == theirs.model and np.array_equal(points, reference)
    if unchanged:  # the judgments are the stored ones, so nothing is uncertain
        by_alpha = {alpha: replace(found, lower=0.0, upper=0.0) for alpha, found in by_alpha.items()}
    found = by_alpha[options.alpha]
    margin = options.margin / 100.0
    finding: Finding = "not shown"
    if unchanged or found.lower > -margin:
        finding = "not worse"
    elif found.upper < -margin:
        finding = "worse"
    return GateCheck(
        model=mine.model,
        reference=theirs.model,
        finding=finding,
        score=100.0 * found.rate,
        reference_score=100.0 * found.reference_rate,
        difference=100.0 * found.difference,
        lower=100.0 * found.lower,
        upper=100.0 * found.upper,
        std_error=100.0 * found.std_error,
        questions=found.questions,
        questions_needed=questions_for(found.spread, margin, options.alpha) if margin > 0.0 else None,
        answer=_answer(mine, theirs, by_alpha[ALPHA / 2.0], by_alpha[ALPHA], options.margin),
    )


def _answer(mine: GateSide, theirs: GateSide, wide: Difference, narrow: Difference, margin: float) -> PairVerdict:
    """Return the verdict by the limits at 2.5 % on each side, and at 5 % on each side for equivalence."""
    lower, upper = 100.0 * wide.lower, 100.0 * wide.upper
    near, far = 100.0 * narrow.lower, 100.0 * narrow.upper
    half_width, more = missing_questions(100.0 * wide.spread, wide.questions, (upper - lower) / 2.0, margin or None)
    verdict: VerdictWord = "better" if lower > 0.0 else "worse" if upper < 0.0 else "undecided"
    return PairVerdict(
        model_a=mine.model,
        model_b=theirs.model,
        verdict="equivalent" if near == far == 0.0 or (-margin < near and far < margin) else verdict,
        difference=100.0 * wide.difference,
        lower=lower,
        upper=upper,
        margin=margin,
        equivalence_lower=near,
        equivalence_upper=far,
        questions=wide.questions,
        half_width=half_width,
        more_questions=more,
    )


def _arrays(one: GateSide, questions: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    points = np.array([one.points[question] for question in questions], dtype=np.float64)
    return points[:, 0], points[:, 1]
