"""Simulations of style control and of the audit, for `interval_coverage.py`.

The games of a question are correlated with each other (a Gaussian copula), while every single game follows the model
that is fitted, so the truth is known.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from engine.auditing.agreement import judge_agreements
from engine.auditing.intervals import QuestionResampler
from engine.auditing.people import corrected_limits, corrected_score
from engine.auditing.verdicts import position_report
from engine.ratings.battles import Battles, battles_from_columns
from engine.ratings.estimate import RatingOptions
from engine.ratings.limits import student_quantile
from engine.ratings.style import StyleCounts, rate_with_style, style_differences

MODELS = ("base", "even", "strong", "weak")
STRENGTHS = np.array([0.0, 0.0, 1.0, -1.0])
TASTES = np.array([1.5, 8.0])  # log odds for the raw covariates of length and bold
ALIKE = 0.6  # correlation of the two games of a question
_LONG_RUN = 200_000
_FOR_COMPARISON = 5

Held = dict[str, list[bool]]


def style_coverage(benches: int, questions: int, seed: int = 1, rounds: int = 500) -> Held:
    """Coverage of what style control gives; of the first few benches also as if games were independent."""
    rng = np.random.default_rng(seed)
    held: Held = {}
    truth = 1.0 / (1.0 + np.exp(-STRENGTHS[1:]))
    for bench in range(benches):
        battles, style = _styled_bench(questions, rng)
        kinds = {"": (battles, style)}
        if bench < _FOR_COMPARISON:
            kinds["by game"] = _as_if_independent(battles, style)
        for kind, (games, counts) in kinds.items():
            mark, suffix = ("- ", f", {kind}") if kind else ("", "")
            options = RatingOptions(baseline="base", rounds=rounds, seed=bench)
            control = rate_with_style(games, options, ("length", "markdown"), counts).style
            assert control is not None
            for lower, upper, true in zip(control.lower[1:], control.upper[1:], truth, strict=True):
                held.setdefault(f"{mark}win rate at equal style{suffix}", []).append(bool(lower <= true <= upper))
            for covariate, true in zip(control.covariates, TASTES, strict=True):
                inside = covariate.lower <= true * covariate.deviation <= covariate.upper
                held.setdefault(f"{mark}weight of {covariate.name}{suffix}", []).append(inside)
    return held


def _styled_bench(questions: int, rng: np.random.Generator) -> tuple[Battles, StyleCounts]:
    counts = np.zeros((questions, len(MODELS), 4))
    counts[:, :, 0] = np.round(400 * rng.lognormal(0.0, 0.5, (questions, len(MODELS)))) + 20
    counts[:, :, 3] = rng.poisson(rng.gamma(2.0, 0.02, (questions, len(MODELS))) * counts[:, :, 0])
    differences = style_differences(counts, counts[:, :1])[:, :, [0, 3]]
    likely = 1.0 / (1.0 + np.exp(-(STRENGTHS + differences @ TASTES)))
    shared = rng.normal(size=(questions, len(MODELS), 1))
    own = rng.normal(size=(questions, len(MODELS), 2))
    chance = _cdf(np.sqrt(ALIKE) * shared + np.sqrt(1.0 - ALIKE) * own)
    won = chance < likely[:, :, None]
    names = tuple(f"{number:05}" for number in range(questions))
    strong = rng.random((questions, len(MODELS))) < 0.4  # a strong pair counts three times in both games, whoever wins
    question, model, game = (each.ravel() for each in np.indices((questions, len(MODELS), 2)))
    played = model > 0
    question, model, game = question[played], model[played], game[played]
    battles = battles_from_columns(
        names,
        MODELS,
        [""],
        question=question,
        model_a=np.zeros_like(model),
        model_b=model,
        judge=np.zeros_like(model),
        game=game + 1,
        points=won[question, model, game].astype(np.float64),
        strong=strong[question, model].astype(np.float64),
    )
    return battles, StyleCounts(names, MODELS, counts)


def _as_if_independent(battles: Battles, style: StyleCounts) -> tuple[Battles, StyleCounts]:
    """Every game as a question of its own: equivalent to resampling rows, strong labels aside."""
    names = tuple(f"{number:06}" for number in range(len(battles)))
    apart = replace(
        battles, questions=names, question=np.arange(len(battles)), game=np.ones(len(battles), dtype=np.int64)
    )
    return apart, StyleCounts(names, MODELS, style.counts[battles.question])


def audit_coverage(benches: int, questions: int, seed: int = 2) -> Held:
    """Coverage of the flip rate, of the taste for the first place, and of kappa."""
    rng = np.random.default_rng(seed)
    universe = _two_judges(_LONG_RUN, rng)
    true_flips, true_first, true_kappa = _figures(universe)
    held: Held = {"flips": [], "first place": [], "kappa of two judges": []}
    for bench in range(benches):
        drawn = rng.integers(0, _LONG_RUN, questions)
        battles = _battles_of(universe[drawn])
        resampler = QuestionResampler(questions, 1000, bench)
        report = position_report(battles.where(battles.judge == 0), resampler, lambda *_: False)
        (pair,) = judge_agreements(battles, resampler)
        assert report is not None
        for kind, estimate, true in (
            ("flips", report.flips, true_flips),
            ("first place", report.first_place, true_first),
            ("kappa of two judges", pair.agreement.kappa, true_kappa),
        ):
            assert estimate.lower is not None
            assert estimate.upper is not None
            held[kind].append(estimate.lower <= true <= estimate.upper)
    return held


def _two_judges(questions: int, rng: np.random.Generator) -> np.ndarray:
    """What the model wins by two judges in two games on three models, [K, judge, model, game]."""
    merit = rng.normal(size=(questions, 1, 1, 1)) * 0.5 + rng.normal(size=(questions, 1, 3, 1))
    seen = merit + 0.5 * rng.normal(size=(questions, 2, 3, 1)) + 0.4 * rng.normal(size=(questions, 2, 3, 2))
    seen = seen + np.array([-0.2, 0.2])  # the first place is the model's in game 2
    return np.where(np.abs(seen) < 0.2, 0.5, (seen > 0).astype(float))


def _figures(universe: np.ndarray) -> tuple[float, float, float]:
    """Percent of flips and of first-place points of the first judge, and kappa between both."""
    first, second = universe[:, 0, :, 0], universe[:, 0, :, 1]
    flips = 100.0 * float(((first - 0.5) * (second - 0.5) < 0).mean())
    place = 100.0 * float(((1.0 - first + second) / 2.0).mean())
    one, other = ((2 * universe[:, judge].ravel()).astype(int) for judge in (0, 1))
    table = np.bincount(3 * one + other, minlength=9).reshape(3, 3) / len(one)
    chance = float(table.sum(axis=0) @ table.sum(axis=1))
    return flips, place, (float(np.trace(table)) - chance) / (1.0 - chance)


def _battles_of(points: np.ndarray) -> Battles:
    questions, judges, models, _ = points.shape
    question, judge, model, game = np.indices(points.shape).reshape(4, -1)
    return Battles(
        questions=tuple(map(str, range(questions))),
        models=("base", *(f"model {index}" for index in range(models))),
        judges=tuple(f"judge {index}" for index in range(judges)),
        question=question,
        model_a=np.zeros_like(model),
        model_b=model + 1,
        judge=judge,
        game=game + 1,
        points=points.ravel(),
        strong=np.zeros(points.size),
    )


def people_coverage(benches: int, questions: int, labels: int, seed: int = 3) -> tuple[Held, float]:
    """Coverage of scores corrected by people, and how wide they are against labels alone.

    Strong labels count three times; the judge is generous and noisy, and people label one of the two games.
    """
    rng = np.random.default_rng(seed)
    universe = _people_and_judge(_LONG_RUN, rng)
    truth = universe[:, 0].sum() / universe[:, 1].sum()
    held: Held = {"corrected": [], "labels alone": [], "judge alone": []}
    widths = []
    factor = student_quantile(labels - 1)
    for _ in range(benches):
        people, people_weight, judge, judge_weight = universe[rng.integers(0, _LONG_RUN, questions)].T
        chosen = np.zeros(questions)
        chosen[rng.choice(questions, labels, replace=False)] = 1.0
        _, error, _weight = corrected_score(people * chosen, people_weight * chosen, judge, judge_weight)
        alone, its_error, _ = corrected_score(people * chosen, people_weight * chosen, chosen, np.ones(questions))
        mine, my_error, _ = corrected_score(judge, judge_weight, judge, judge_weight)
        lower, upper = corrected_limits(people * chosen, people_weight * chosen, judge, judge_weight, 3.0)
        held["corrected"].append(lower <= truth <= upper)
        held["labels alone"].append(abs(alone - truth) <= factor * its_error)
        held["judge alone"].append(abs(mine - truth) <= 1.96 * my_error)
        widths.append(error / its_error)
    return held, float(np.mean(widths))


def _people_and_judge(questions: int, rng: np.random.Generator) -> np.ndarray:
    """[K, 4]: weighted points and weight by people (one game), and by the judge (two games)."""
    merit = rng.normal(size=questions)
    person = merit + 0.5 * rng.normal(size=questions)
    games = merit[:, None] + 0.35 + 0.6 * rng.normal(size=(questions, 1)) + 0.5 * rng.normal(size=(questions, 2))
    sides = np.concatenate([person[:, None], games], axis=1)
    weights = np.where(np.abs(sides) > 1.0, 3.0, 1.0)
    points = weights * np.where(np.abs(sides) < 0.2, 0.5, (sides > 0).astype(float))
    return np.stack([points[:, 0], weights[:, 0], points[:, 1:].sum(axis=1), weights[:, 1:].sum(axis=1)], axis=1)


def _cdf(values: np.ndarray) -> np.ndarray:
    grid = np.linspace(-6.0, 6.0, 4001)
    return np.interp(values, grid, [NormalDist().cdf(point) for point in grid])
