"""`arena-tui plan`: how many questions, calls and minutes a difference takes, from the judgments so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.power import PowerFormat, format_study_plan
from engine.api import plan
from engine.ratings.battles import NullGames


def plan_command(
    invocation: Invocation,
    *,
    differences: tuple[float, ...],
    form: PowerFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    **rating: Any,
) -> int:
    """Plan and print. Return the exit code."""
    study = plan(
        invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games), differences, **rating
    )
    if form != "json":
        console.warn(study.warnings)
    text = format_study_plan(study, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.DONE
