"""What questions, answers and the judge contribute to the interval of a score or a difference, as the JSON has it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from engine.errors import RatingError
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.battles import Battles
from engine.ratings.estimate import BenchFacts, RatingOptions, require_rateable
from engine.ratings.variance import (
    JudgmentValues,
    SourceName,
    VarianceComponents,
    half_width,
    judgment_values,
    variance_components,
)

FEWEST_REPEATS = 30  # of answers or judgments from which a component is estimated within about a half


class NoiseSource(msgspec.Struct, frozen=True, kw_only=True):
    """One source of noise.

    Attributes:
        deviation: standard deviation of one draw of it, in points (of a question, an answer to it, a judgment of it);
            `lower` and `upper` are its 95 % limits.
        share: of the variance of the score, with the questions, answers and judgments there are.
        half_width: of the 95 % interval, in points, if it were the only source; these add up in squares.
        saved: points by which the half-width shrinks without it.
        below_zero: whether its estimate was below 0, which 0 replaces.
    """

    source: SourceName
    deviation: float
    lower: float
    upper: float
    share: float
    half_width: float
    saved: float
    below_zero: bool


class NoiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """The sources of one score, or of the difference of `model` and `opponent`.

    Attributes:
        questions: how many there are.
        answers, judgments: of a question, on average.
        half_width: of the 95 % interval, in points.
    """

    model: str
    opponent: str
    questions: int
    answers: float
    judgments: float
    half_width: float
    sources: list[NoiseSource]


class NoiseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result."""

    bench: str
    judges: list[str]
    baseline: str
    weight: int
    rounds: int
    seed: int
    rows: list[NoiseRow]
    warnings: list[str]
    soft: bool | UnsetType = UNSET


def noise_report(
    battles: Battles, options: RatingOptions, facts: BenchFacts, models: Sequence[str] = ()
) -> NoiseReport:
    """Split the noise of a model's score, of the difference of two, or (none named) of every score.

    Raises RatingError where nothing was repeated, or a model was not judged.
    """
    used = require_rateable(battles, options)
    found = measured_noise(used, options, models)
    rows = [_row(model, opponent, components) for (model, opponent), components in found.items()]
    return NoiseReport(
        bench=facts.name,
        judges=list(facts.judges),
        baseline=options.baseline,
        weight=options.weight,
        rounds=options.rounds,
        seed=options.seed,
        rows=rows,
        warnings=_cautions(found),
        soft=True if options.soft else UNSET,
    )


def measured_noise(
    battles: Battles, options: RatingOptions, models: Sequence[str] = ()
) -> dict[tuple[str, str], VarianceComponents]:
    """Return the components by model and opponent. Models without repeats are left out unless they are named.

    Raises RatingError where there are none.
    """
    if len(models) > 2 or len(set(models)) != len(models):
        raise RatingError("noise is that of one model or of the difference of two", "name one or two models")
    if not models:
        pairs = [(name, options.baseline) for name in battles.models if name != options.baseline]
    else:
        pairs = [(models[0], models[1] if len(models) > 1 else options.baseline)]
    found = {}
    problem: RatingError | None = None
    for model, opponent in pairs:
        try:
            values = _values(battles, options, model, opponent)
            found[model, opponent] = variance_components(values, rounds=options.rounds, seed=options.seed)
        except RatingError as error:
            problem = error
    if not found:
        raise problem or RatingError("no model but the baseline is judged here")
    return found


def _values(battles: Battles, options: RatingOptions, model: str, opponent: str) -> JudgmentValues:
    def of(name: str) -> JudgmentValues:
        return judgment_values(battles, name, options.baseline, options.weight, soft=options.soft)

    if opponent == options.baseline:
        return of(model)
    if model == options.baseline:
        return of(opponent)
    common = of(model).minus(of(opponent))
    if not len(common.value):
        raise RatingError(f"{model} and {opponent} have no judged question in common", "judge both on the same ones")
    return common


def _row(model: str, opponent: str, found: VarianceComponents) -> NoiseRow:
    whole = half_width(found.total, found.questions)
    variance = sum(found.parts)
    values = (found.question, found.answer, found.judge)
    sources = [
        NoiseSource(
            source=name,
            deviation=_points(values[at]),
            lower=_points(found.lower[at]),
            upper=_points(found.upper[at]),
            share=float(part / variance) if variance else 0.0,
            half_width=100.0 * half_width(part, found.questions),
            saved=100.0 * (whole - half_width(max(0.0, found.total - part), found.questions)),
            below_zero=(found.raw[at] or 0.0) < 0.0,
        )
        for name, at, part in zip(found.sources, found.measured, found.parts, strict=True)
    ]
    return NoiseRow(
        model=model,
        opponent=opponent,
        questions=found.questions,
        answers=1.0 + found.repeated_answers / found.questions,
        judgments=1.0 + (found.repeated_answers + found.repeated_judgments) / found.questions,
        half_width=100.0 * whole,
        sources=sources,
    )


def _points(variance: float | None) -> float:
    deviation: float = 100.0 * (variance or 0.0) ** 0.5
    return float(deviation)


def _cautions(found: dict[tuple[str, str], VarianceComponents]) -> list[str]:
    warnings = []
    fewest = min(each.questions for each in found.values())
    if fewest < MINIMUM_QUESTIONS:
        warnings.append(f"{fewest} questions; components are unreliable below {MINIMUM_QUESTIONS}")
    for what, counts, values in (
        ("answers", [each.repeated_answers for each in found.values()], [each.answer for each in found.values()]),
        ("judgments", [each.repeated_judgments for each in found.values()], [each.judge for each in found.values()]),
    ):
        if not any(counts):
            warnings.append(f"no {what} were repeated, so their noise is part of what it is shown with")
        elif min(counts) < FEWEST_REPEATS:
            warnings.append(f"{min(counts)} repeated {what}; their noise is unreliable below {FEWEST_REPEATS}")
        if any(counts) and not any(values):
            warnings.append(f"all repeated {what} came out alike: are they sampled at temperature 0?")
    below = sum(min(value for value in each.raw if value is not None) < 0.0 for each in found.values())
    if below:
        warnings.append(
            f"{below} of {len(found)} splits have an estimate below 0, which is chance where a component is small; 0 "
            "replaces it"
        )
    return warnings
