"""`arena-tui compare`: two or more models against each other, paired by question."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.compare import CompareFormat, format_comparison
from arena_tui.source import Source, open_source
from engine.errors import BenchError, UsageProblem
from engine.ratings.battles import Battles
from engine.ratings.compare import compare
from engine.ratings.estimate import RatingOptions
from engine.results import judged_bench


def compare_command(
    invocation: Invocation,
    *,
    models: tuple[str, ...],
    form: CompareFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    direct: bool,
    weight: int | None,
    rounds: int,
    seed: int,
    soft: bool,
) -> int:
    """Compare and print. Returns the exit code."""
    source = open_source(invocation, battles, judges, baseline)
    options = RatingOptions(
        baseline=source.baseline, weight=weight or source.weight, rounds=rounds, seed=seed, soft=soft
    )
    games = _direct_games(source, models) if direct else []
    result = compare(source.judged.battles, options, source.judged.facts, models, games)
    result = msgspec.structs.replace(result, warnings=[*source.judged.warnings, *result.warnings])
    if form != "json":
        console.warn(result.warnings)
    text = format_comparison(result, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.DONE


def _direct_games(source: Source, models: Sequence[str]) -> list[Battles]:
    """What the judges said of the models with one of them in the baseline's place."""
    if source.bench is None:
        return []  # a file has its direct games among the others
    if len(models) < 2:
        raise UsageProblem("--direct: name the models whose games against each other count")
    found = []
    for baseline in models:
        with suppress(BenchError):  # none were judged against this one
            judged = judged_bench(source.bench, source.judged.facts.judges, baseline).battles
            if baseline != source.baseline and len(set(models) & set(judged.models)) > 1:
                found.append(judged)
    if not found:
        raise UsageProblem(
            f"--direct: no game between {' and '.join(models)} is there",
            f"judge them first: arena-tui run --baseline {models[0]} --models {','.join(models[1:])}",
        )
    return found
