"""`arena-tui noise`: what questions, answers and the judge add to an interval; and the mixes of `arena-tui plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.noise import NoiseFormat, format_mix, format_noise
from engine.noise_sources import noise, plan_repeats
from engine.ratings.battles import NullGames
from engine.ratings.mix import MixGoal


def noise_command(
    invocation: Invocation,
    *,
    models: tuple[str, ...],
    form: NoiseFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    **rating: Any,
) -> int:
    """Split the noise and print. Return the exit code."""
    source = invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games)
    report = noise(source, *models, **rating)
    if form != "json":
        console.warn(report.warnings)
    text = format_noise(report, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.DONE


def mix_command(
    invocation: Invocation,
    half_width: float,
    *,
    models: tuple[str, ...],
    components: tuple[float, float, float] | None,
    goal: MixGoal,
    question_cost: float,
    form: NoiseFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    **rating: Any,
) -> int:
    """Plan a mix of questions, answers and judgments, and print it. Return the exit code."""
    config = None if invocation.lacks_config else invocation.config(keys=False)
    source = None
    if components is None:
        source = invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games)
    how: dict[str, Any] = {"components": components, "goal": goal, "question_cost": question_cost, **rating}
    found = plan_repeats(source, half_width, *models, config=config, **how)
    if form != "json":
        console.warn(found.warnings)
    text = format_mix(found, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.DONE
