"""`arena-tui plan`: how many questions, calls and minutes a difference takes, from what was judged already."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.power import PowerFormat, format_study_plan
from arena_tui.source import Source, open_source
from engine.bench.pace import answering_pace, judging_pace
from engine.ratings.estimate import RatingOptions
from engine.ratings.power import Pace, plan_study


def plan_command(
    invocation: Invocation,
    *,
    differences: tuple[float, ...],
    power: float,
    form: PowerFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    weight: int | None,
    soft: bool,
) -> int:
    """Plan and print. Returns the exit code."""
    source = open_source(invocation, battles, judges, baseline)
    options = RatingOptions(baseline=source.baseline, weight=weight or source.weight, soft=soft)
    plan = plan_study(source.judged.battles, options, source.judged.facts, differences, power, _pace(source))
    plan = msgspec.structs.replace(plan, warnings=[*source.judged.warnings, *plan.warnings])
    if form != "json":
        console.warn(plan.warnings)
    click.echo(
        format_study_plan(plan, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode()),
        nl=False,
    )
    return console.DONE


def _pace(source: Source) -> Pace:
    """What the records of the bench tell; nothing for the battles of a file."""
    if source.bench is None:
        return Pace()
    bench = source.bench
    judged = [
        bench.paths.judgments(judge, model)
        for judge in source.judged.facts.judges
        for model in bench.judged_models(judge)
    ]
    answered = [bench.paths.answers(model) for model in bench.models_with_answers()]
    return Pace(judging_pace(judged), answering_pace(answered))
