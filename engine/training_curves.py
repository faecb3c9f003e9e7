"""From the judgments of a bench to the curves of its trainings: which models are checkpoints, of which, at which step.

Steps come from the config, from what `watch` kept, from `trainer_state.json` or from names (`engine.watching`). The
checkpoints of one training have names that differ in their step alone; those whose step is known from elsewhere, and
not from their names, are one training together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from os.path import commonprefix
from typing import TYPE_CHECKING

import numpy as np

from engine.api import Names, Source, open_source
from engine.bench.run_files import load_runs
from engine.checkpoint_names import series_of_name, step_of_name
from engine.config.model import Config
from engine.errors import Advice, AdviceKind, UsageProblem, listed
from engine.ratings.curve import curve
from engine.ratings.curve_result import CurveReport, StepModel
from engine.ratings.estimate import RatingOptions
from engine.ratings.simultaneous import ROUNDS
from engine.ratings.verdict import DEFAULT_MARGIN, require_margin
from engine.watching.ledger import known_steps

if TYPE_CHECKING:
    from engine.api import JudgedSource
    from engine.bench import Bench
    from engine.results import JudgedBench

UNNAMED_SERIES = "training"
FEWEST_POINTS = 2
_HINT = 'a name says its step ("run-step12000", "checkpoint-500"), or `step` in [models.X]'


def curves(
    source: Source,
    *,
    config: Config | None = None,
    judges: Names = (),
    baseline: Names = (),
    models: Sequence[str] = (),
    series: Sequence[str] = (),
    margin: float | None = None,
    seed: int = 42,
    weight: int | None = None,
    soft: bool = False,
    first_game_only: bool = False,
    rounds: int = ROUNDS,
) -> CurveReport:
    """Return the curve of every training of a source: scores over steps with simultaneous 95 % bands, whether it has
    stopped improving, and the step to keep. Raises ArenaError if there is none.

    Args:
        config: says the steps of its models; the source itself where that is a config.
        models, series: patterns (`*`, `?`) of the checkpoints and of the trainings that are wanted; none named: all.
        margin: points by which a later step must be better to count as an improvement (2).
        seed, rounds: of the draws behind critical values.
    """
    require_margin(margin)
    if config is None and isinstance(source, Config):
        config = source
    opened = open_source(source, judges, baseline)
    options = RatingOptions(
        baseline=opened.baseline,
        seed=seed,
        weight=weight or opened.weight,
        soft=soft,
        first_game_only=first_game_only,
    )
    trainings, warnings = _trainings(opened, config, models, series)
    points = DEFAULT_MARGIN if margin is None else margin
    stopped = stopped_early(opened.bench, opened.judged) if opened.bench is not None else ()
    battles = opened.judged.battles
    found = [
        curve(battles, options, checkpoints, series=name, margin=points, stopped=stopped, rounds=rounds)
        for name, checkpoints in trainings.items()
    ]
    return CurveReport(
        bench=opened.judged.facts.name,
        judges=list(opened.judged.facts.judges),
        baseline=options.baseline,
        margin=points,
        weight=options.weight,
        seed=seed,
        curves=found,
        warnings=[*map(str, opened.judged.warnings), *warnings],
    )


def _trainings(
    source: JudgedSource, config: Config | None, models: Sequence[str], series: Sequence[str]
) -> tuple[dict[str, list[StepModel]], list[str]]:
    """Return the judged checkpoints by training, and warnings. Raises UsageProblem where there is no training."""
    steps = checkpoint_steps(source, config)
    if not steps:
        raise UsageProblem("no judged model is a checkpoint with a known step", _HINT)
    chosen = {model: step for model, step in steps.items() if _matches(model, models)}
    if not chosen:
        hint = Advice(f"checkpoints: {listed(list(steps), 8)}", AdviceKind.MODELS)
        raise UsageProblem(f"no checkpoint is named {' or '.join(models)}", hint)
    every = trainings_of(chosen)
    wanted = {name: found for name, found in every.items() if _matches(name, series)}
    if not wanted:
        raise UsageProblem(f"no training is named {' or '.join(series)}", f"trainings: {listed(list(every), 8)}")
    kept = {name: found for name, found in wanted.items() if len(found) >= FEWEST_POINTS}
    if not kept:
        only = listed([found[0].model for found in wanted.values()], 4)
        raise UsageProblem(f"one checkpoint is no curve: {only}", f"judge another one of the same training; {_HINT}")
    alone = [found[0].model for name, found in wanted.items() if name not in kept]
    return kept, [f"no curve of a single checkpoint: {listed(alone, 8)}"] if alone else []


def checkpoint_steps(source: JudgedSource, config: Config | None = None) -> dict[str, int]:
    """Return the judged models that have a step. The baseline is one where its name or the config says so."""
    partial = frozenset(source.judged.facts.by_category.values())
    models = [model for model in source.judged.battles.models if model not in partial]
    if source.bench is not None:
        return dict(known_steps(source.bench.paths, models, config))
    entries = config.models if config is not None else {}
    found = ((model, entries[model].step if model in entries else None, step_of_name(model)) for model in models)
    return {
        model: step for model, *known in found if (step := next((each for each in known if each is not None), None))
    }


def trainings_of(steps: Mapping[str, int]) -> dict[str, list[StepModel]]:
    """Return the checkpoints of every training, by its name, in the order of their steps."""
    by_series: dict[str | None, list[str]] = {}
    for model in steps:
        by_series.setdefault(series_of_name(model), []).append(model)
    found: dict[str, list[StepModel]] = {}
    for series, members in by_series.items():
        name = _unnamed(members) if series is None else series or UNNAMED_SERIES
        found.setdefault(name, []).extend(StepModel(model, steps[model]) for model in members)
    return {name: sorted(found[name], key=lambda each: (each.step, each.model)) for name in sorted(found)}


def _unnamed(members: Iterable[str]) -> str:
    """Return a name for checkpoints whose names say no step: what all of them begin with."""
    return commonprefix(list(members)).rstrip("-_=. /") or UNNAMED_SERIES  # noqa: RUF071  (not paths)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def stopped_early(bench: Bench, judged: JudgedBench) -> frozenset[str]:
    """Return the models of which a stop rule ended judging before all questions were judged. Reads the runs' files."""
    facts, battles = judged.facts, judged.battles
    found = []
    for model in _decided_early(bench) & frozenset(battles.models):
        place = battles.models.index(model)
        games = (battles.model_a == place) | (battles.model_b == place)
        if len(np.unique(battles.question[games])) < len(facts.questions):
            found.append(model)
    return frozenset(found)


def _decided_early(bench: Bench) -> set[str]:
    """Return the models that the latest run under a stop rule was done with."""
    verdicts: dict[str, object] = {}
    for run in load_runs(bench.paths.runs):
        standings = run.get("standings")
        for model, standing in standings.items() if isinstance(standings, dict) else ():
            verdicts[model] = standing.get("verdict") if isinstance(standing, dict) else None
    return {model for model, verdict in verdicts.items() if verdict not in (None, "undecided")}
