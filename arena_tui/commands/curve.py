"""`arena-tui curve`: the checkpoints of trainings over their steps."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.commands.tracking import send_results
from arena_tui.invocation import Invocation
from arena_tui.output.curve import CurveFormat, format_curves
from engine.bench.atomic import write_file
from engine.ratings.battles import NullGames
from engine.training_curves import curves


def curve_command(
    invocation: Invocation,
    *,
    form: CurveFormat,
    output: Path | None,
    margin: float,
    models: tuple[str, ...],
    series: tuple[str, ...],
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    weight: int | None,
    soft: bool,
    seed: int,
    track: bool = False,
) -> int:
    """Draw and print, or write to `output`. Return the exit code."""
    report = curves(
        invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games),
        config=invocation.lender(),
        models=models,
        series=series,
        margin=margin,
        seed=seed,
        weight=weight,
        soft=soft,
    )
    if form != "json":
        console.warn([*report.warnings, *(warning for curve in report.curves for warning in curve.warnings)])
    if output is None:
        width, ascii_only = console.stdout_width(), not console.stdout_has_unicode()
        click.echo(format_curves(report, form, width=width, ascii_only=ascii_only), nl=False)
    else:
        write_file(output, format_curves(report, form).encode())
        console.say(f"written: {output}")
    if track:
        send_results(invocation, curves=report)
    return console.DONE
