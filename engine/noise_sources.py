"""Functions of the public API about noise: what repeats show of it, and the cheapest mix for a wanted half-width."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.api import JudgedSource, Names, Source, open_source
from engine.bench import Bench
from engine.config.model import Config
from engine.errors import Advice, AdviceKind, RatingError
from engine.ratings.estimate import RatingOptions
from engine.ratings.mix import MOST_ANSWERS, MOST_JUDGMENTS, MixGoal, MixPlan, NoiseModel, plan_mix
from engine.ratings.noise import NoiseReport, measured_noise, noise_report
from engine.ratings.variance import average
from engine.results import refuse_partial_baselines
from engine.work.call_needs import call_needs

_SQUARED_POINTS = 100.0**2


def noise(
    source: Source,
    *models: str,
    judges: Names = (),
    baseline: Names = (),
    rounds: int = 1000,
    seed: int = 42,
    weight: int | None = None,
    soft: bool = False,
) -> NoiseReport:
    """Split the noise of a model's score, of the difference of two models, or (none named) of every score.

    Raises ArenaError where nothing was answered or judged again.
    """
    opened = open_source(source, judges, baseline)
    refuse_partial_baselines(opened.judged, models)
    options = _options(opened, weight, soft=soft, rounds=rounds, seed=seed)
    report = noise_report(opened.judged.battles, options, opened.judged.facts, models)
    return msgspec.structs.replace(report, warnings=[*map(str, opened.judged.warnings), *report.warnings])


def plan_repeats(
    source: Source | None,
    half_width: float,
    *models: str,
    components: Sequence[float] | None = None,
    config: Config | None = None,
    goal: MixGoal = "calls",
    question_cost: float = 0.0,
    judges: Names = (),
    baseline: Names = (),
    weight: int | None = None,
    soft: bool = False,
) -> MixPlan:
    """Find the cheapest mix of questions, answers and judgments for a half-width in points.

    `components` are standard deviations in points of a question, an answer and a judgment; without them they are
    measured on the repeats of `source`, for the models as in `noise`. `question_cost` is that of a question beyond
    those of the bench, in the unit of the goal. `config` has the models, prices and the bench
    that calls are timed on. Raises ArenaError.
    """
    if components is not None:
        variances = [each**2 for each in components]
        most = MOST_ANSWERS, MOST_JUDGMENTS
        warnings: list[str] = []
        named = list(models) or ["model"]
        judging = tuple(config.judge.model) if config is not None else ()
        bench = _bench(config)
        anchor = config.judge.pairing.anchor if config is not None else ""
    else:
        if source is None:
            raise RatingError("no noise was measured here", Advice("answer and judge again", AdviceKind.REPEATS))
        opened = open_source(source, judges, baseline)
        measured = measured_noise(opened.judged.battles, _options(opened, weight, soft=soft), models)
        found = average(list(measured.values()))
        variances = [_SQUARED_POINTS * (each or 0.0) for each in found]
        most = MOST_ANSWERS if found[1] is not None else 1, MOST_JUDGMENTS if found[2] is not None else 1
        warnings = [*map(str, opened.judged.warnings), *_left_out(found)]
        anchor, bench, judging = opened.baseline, opened.bench, opened.judged.facts.judges
        named = list(dict.fromkeys(name for pair in measured for name in pair if name != anchor))
    needs = call_needs(config, bench, named, judging, anchor)
    plan = plan_mix(
        NoiseModel(*variances),
        half_width,
        msgspec.structs.replace(needs, further_question=question_cost),
        goal=goal,
        questions_in_set=len(bench.questions().items) or None if bench is not None else None,
        most_answers=most[0],
        most_judgments=most[1],
    )
    return msgspec.structs.replace(plan, warnings=[*warnings, *plan.warnings])


def _options(opened: JudgedSource, weight: int | None, *, soft: bool, rounds: int = 1, seed: int = 0) -> RatingOptions:
    return RatingOptions(baseline=opened.baseline, rounds=rounds, seed=seed, weight=weight or opened.weight, soft=soft)


def _left_out(found: tuple[float, float | None, float | None]) -> list[str]:
    """Report which mixes cannot be planned with what was measured."""
    missing = [what for what, value in (("answers", found[1]), ("judgments", found[2])) if value is None]
    return [f"no {what} were repeated, so mixes with several {what} are left out" for what in missing]


def _bench(config: Config | None) -> Bench | None:
    """Return the bench of a config, if it is there."""
    if config is None or not (config.data / config.bench / "question.jsonl").is_file():
        return None
    return Bench.open(config.data, config.bench)
