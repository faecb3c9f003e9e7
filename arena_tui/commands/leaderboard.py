"""`arena-tui leaderboard`: rates judgments or a published file of battles; table, JSON, CSV, Markdown or text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.commands.tracking import send_results
from arena_tui.invocation import Invocation
from arena_tui.output.leaderboard import LeaderboardFormat, format_leaderboard
from engine.api import style_rater
from engine.ratings.battles import NullGames
from engine.ratings.estimate import rate_battles
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions
from engine.ratings.outcomes import unused_odds
from engine.results import JudgedBench, named_battles, rate


def leaderboard_command(
    invocation: Invocation,
    *,
    form: LeaderboardFormat,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    weight: int | None,
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    save_battles: Path | None,
    save_bootstrap: Path | None,
    track: bool = False,
    style: tuple[str, ...] = (),
    **rating: Any,
) -> int:
    """Rate and print. Return the exit code."""
    source = invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games)
    options = LeaderboardOptions(baseline=source.baseline, weight=weight or source.weight, **rating)
    rater, notes = style_rater(source, style) if style else (rate_battles, [])
    console.warn(notes)
    board, ratings = rate(source.judged, options, rater)
    if save_battles is not None or save_bootstrap is not None:
        from engine.formats import battles_file
    if save_battles is not None:
        rows = battles_file.save_battles(save_battles, named_battles(source.judged, ratings.battles), options.weight)
        console.say(f"{rows} battles saved in {save_battles}")
    if save_bootstrap is not None:
        rounds = battles_file.save_bootstrap(save_bootstrap, ratings.models, ratings.resampled)
        console.say(f"{rounds} bootstrap rounds saved in {save_bootstrap}")
    if hint := unused_odds(ratings.battles, soft=options.soft):
        console.say(f"note: {phrase(hint)}")
    show(with_evidence(board, source.judged, options) if form == "json" else board, form)
    if track:
        send_results(invocation, board=board)
    return console.DONE


def with_evidence(board: Leaderboard, judged: JudgedBench, options: LeaderboardOptions) -> Leaderboard:
    """Return the leaderboard with its evidence by question, so that a later gate can compare with it."""
    return msgspec.structs.replace(board, evidence=judged.evidence(options))


def show(board: Leaderboard, form: LeaderboardFormat) -> None:
    """Print the leaderboard, and its warnings on stderr, except in JSON, which contains them."""
    text = format_leaderboard(board, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    if form != "json":
        console.warn(board.warnings)
    click.echo(text, nl=False)
