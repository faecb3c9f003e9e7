"""The gate: models held against a reference, of the same result or of a stored one. Pure.

A gate that cannot know must not pass. What makes two results incomparable is a refusal, and all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from engine.errors import GateRefused, UsageProblem
from engine.ratings.battles import FloatArray
from engine.ratings.cautions import FEW_QUESTIONS, listed
from engine.ratings.evidence import Evidence
from engine.ratings.gate_sides import (
    Describe,
    Result,
    Side,
    common,
    incomparable,
    other_contest,
    side,
    uncovered,
    unknown_settings,
    unknown_texts,
)
from engine.ratings.non_inferiority import difference, questions_for

Finding: TypeAlias = Literal["not worse", "worse", "not shown"]
"""Passed; surely worse by more than the margin; or the questions do not tell."""


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`margin` in points; `alpha` one-sided; `allow_missing` questions may lack a judgment of one side; with
    `any_sampling` answers may have been made with different settings."""

    margin: float = 2.0
    alpha: float = 0.025
    allow_missing: int = 0
    min_questions: int = FEW_QUESTIONS
    any_sampling: bool = False


class GateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One model against the reference, in points. `lower` and `upper` are one-sided limits of the difference.

    `questions_needed` lets a model that is just as good pass in four of five tries; None where the margin is 0.
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
    """Holds each of `models` (none named: all but the reference) against the reference.

    The reference is a model of `stored`, where that is given (by default the model of the same name), else one of `now`
    (by default the baseline). A model whose stored judgments are still the same ones has not changed, and passes.

    All checks must pass, each at `options.alpha`: a gate that lets a worse model through has erred on that model's
    check, so their number needs no correction.

    Raises GateRefused with every reason, and UsageProblem for a model that is not there.
    """
    origin = stored or now
    reasons = other_contest(now, stored) if stored else []
    warnings: list[str] = []
    checks = []
    for model, against in _chosen(now, models, reference, stored):
        mine, theirs = side(now, model), side(origin, against)
        refused = [
            *incomparable(mine, theirs, describe, any_sampling=options.any_sampling),
            *uncovered(mine, theirs, options.allow_missing),
        ]
        both = common(mine, theirs)
        if len(both) < options.min_questions:
            refused.append(
                f"too few questions: {model} and {against} have {len(both)} in common, of at least "
                f"{options.min_questions}"
            )
        reasons += refused
        warnings += unknown_settings(mine, theirs)
        if stored is not None:
            warnings += unknown_texts(mine, theirs)
        if not refused:
            checks.append(_check(mine, theirs, both, options))
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
    """The margin, in points, from which on a gate passes the model: what it may be worse by, with 97.5 % certainty.

    Raises what `gate` raises.
    """
    (check,) = gate(now, [model], reference, GateOptions()).checks
    return max(0.0, -check.lower)


def _chosen(now: Result, models: Sequence[str], reference: str | None, stored: Result | None) -> list[tuple[str, str]]:
    """(model, reference) of each check."""
    there = now.evidence.models
    origin = stored or now
    known = {*origin.evidence.models, origin.baseline}
    if reference is None and stored is None:
        reference = now.baseline
    if reference is not None and reference not in known:
        raise UsageProblem(
            f"--not-worse-than {reference}: {'the stored result' if stored else 'this bench'} has no judgments of it",
            f"it has {listed(sorted(known), 12)}",
        )
    for model in models:
        if model not in there:
            raise UsageProblem(f"{model} has no judgments to check", f"there are {listed(sorted(there), 12)}")
        if stored is None and model == reference:
            raise UsageProblem(f"{model} cannot be held against itself", "name another one with --not-worse-than")
    named = list(dict.fromkeys(models)) or [model for model in there if stored is not None or model != reference]
    if not named:
        raise UsageProblem("there is no model to check beside the reference", "judge one first: arena-tui run")
    absent = [model for model in named if reference is None and model not in known]
    if absent:
        raise UsageProblem(
            f"the stored result has no judgments of {listed(absent)}",
            f"name its reference with --not-worse-than; it has {listed(sorted(known), 12)}",
        )
    return [(model, model if reference is None else reference) for model in named]


def _check(mine: Side, theirs: Side, questions: Sequence[str], options: GateOptions) -> GateCheck:
    points, reference = _arrays(mine, questions), None if theirs.is_baseline else _arrays(theirs, questions)
    found = difference(*points, reference, options.alpha)
    unchanged = reference is not None and mine.model == theirs.model and np.array_equal(points, reference)
    if unchanged:  # these are the judgments that were stored, so there is nothing to be unsure of
        found = replace(found, lower=0.0, upper=0.0)
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
    )


def _arrays(one: Side, questions: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    points = np.array([one.points[question] for question in questions], dtype=np.float64)
    return points[:, 0], points[:, 1]
