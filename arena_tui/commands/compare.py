"""`arena-tui compare`: two or more models against each other, paired by question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.compare import CompareFormat, format_comparison
from engine.api import compare
from engine.ratings.battles import NullGames


def compare_command(
    invocation: Invocation,
    *,
    models: tuple[str, ...],
    form: CompareFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    **rating: Any,
) -> int:
    """Compare and print. Return the exit code."""
    result = compare(
        invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games), *models, **rating
    )
    if form != "json":
        console.warn(result.warnings)
    text = format_comparison(result, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.DONE
