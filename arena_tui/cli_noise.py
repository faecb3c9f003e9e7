"""The command `arena-tui noise`, and the options of `plan` for mixes of questions, answers and judgments."""

from __future__ import annotations

import math
from typing import Any

import click

from arena_tui.command import ArenaCommand, option_group
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import bootstrap_options, format_option, models_option, rating_options


def deviations(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[float, float, float] | None:
    """Parse the value of `--components`. Raises BadParameter."""
    if value is None:
        return None
    try:
        question, answer, judge = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not three numbers such as 30,20,15 (question, answer, judge)") from None
    if not all(math.isfinite(each) and 0.0 <= each <= 1000.0 for each in (question, answer, judge)):
        raise click.BadParameter("standard deviations in points are numbers of at least 0")
    return question, answer, judge


mix_options = option_group(
    "Mix of questions, answers and judgments",
    click.option(
        "--half-width",
        type=click.FloatRange(min=0.05, max=50.0),
        metavar="POINTS",
        help="Plan the cheapest mix whose 95% interval is no wider than +-POINTS, instead of differences.",
    ),
    models_option("Of the score of this model, or of the difference of these two.  [default: the average score]"),
    click.option(
        "--components",
        callback=deviations,
        metavar="Q,A,J",
        help="Standard deviations in points of one question, one answer to it and one judgment of that.  "
        "[default: measured on repeats]",
    ),
    click.option(
        "--least",
        "goal",
        type=click.Choice(["calls", "minutes", "money"]),
        default="calls",
        help="What the mix is to take the least of.",
    ),
    click.option(
        "--question-cost",
        type=click.FloatRange(min=0, max=1_000_000),
        default=0.0,
        metavar="COST",
        help="What a question beyond those of the bench costs (to write, to check), in the unit of --least.",
    ),
)


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui run --repeats 3 --limit 80  # a pilot: answers and judgments again",
        "arena-tui noise  # of every score",
        "arena-tui noise model-a model-b  # of their difference",
    ),
)
@click.argument("models", nargs=-1, metavar="[MODEL [MODEL]]")
@option_group("What is shown", format_option("table", "json"))
@rating_options
@bootstrap_options
@click.pass_obj
def noise(invocation: Invocation, /, **options: Any) -> int:
    """Show what questions, answers and judge add to the spread. Of a score or a difference, after `run --repeats`."""
    if len(options["models"]) > 2:
        raise click.UsageError("name one model, or two whose difference is split")
    load_numpy()
    from arena_tui.commands.noise import noise_command

    return noise_command(invocation, **options)
