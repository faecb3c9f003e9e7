"""The command `arena-tui curve`: scores of the checkpoints of a training over its steps."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.command import FILE, ArenaCommand, option_group
from arena_tui.completing import complete_models
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import format_option, names, rating_options, track_option


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui curve  # every training of the bench, in words, drawn and as a table",
        "arena-tui curve --series 'tulu3-*' --margin 3  # an improvement is one of more than 3 points",
        "arena-tui curve --format svg --output curve.svg",
        "arena-tui curve --format csv > curve.csv",
    ),
)
@option_group(
    "What is shown",
    format_option("table", "json", "csv", "svg"),
    click.option("--output", type=FILE, help="Write it to this file instead of stdout."),
    click.option(
        "--margin",
        type=click.FloatRange(min=0, max=50, min_open=True, max_open=True),
        default=2.0,
        metavar="POINTS",
        help="A later step that is better by less is no improvement.",
    ),
)
@option_group(
    "Checkpoints",
    click.option(
        "--models",
        shell_complete=complete_models,
        callback=names,
        metavar="PATTERN[,P2]",
        help="Only checkpoints with such names, such as 'run-*'.  [default: every model with a step]",
    ),
    click.option(
        "--series",
        callback=names,
        metavar="PATTERN[,P2]",
        help="Only trainings with such names: those of checkpoints without the step.  [default: all, a curve each]",
    ),
)
@rating_options
@option_group(
    "Bootstrap",
    click.option("--seed", type=click.IntRange(min=0), default=42, help="Seed of everything that is drawn at random."),
)
@track_option
@click.pass_obj
def curve(invocation: Invocation, /, **options: Any) -> int:
    """Show scores over training steps. Bands for all steps at once; has it stopped improving, and which step to keep?

    Steps come from names (run-step12000, checkpoint-500), `step` in [models.X], or trainer_state.json.
    """
    load_numpy()
    from arena_tui.commands.curve import curve_command

    return curve_command(invocation, **options)
