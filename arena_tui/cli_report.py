"""The command `arena-tui report`: the results of a bench as one page, or as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui.command import ArenaCommand, option_group
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import bootstrap_options, format_option, models_option, rating_options


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui report  # writes BENCH-report.html, a page to read and to share",
        "arena-tui report --examples 20 --output results.html",
        "arena-tui report --format markdown > comment.md  # for a pull request or a model card",
    ),
)
@option_group(
    "What is written",
    format_option("html", "markdown"),
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
        metavar="FILE",
        help="The file to write, - for stdout.  [default: BENCH-report.html; Markdown goes to stdout]",
    ),
    click.option("--force", is_flag=True, help="Overwrite a file that is no report."),
)
@option_group(
    "What is shown",
    models_option("Only these models (the baseline is always included)."),
    click.option(
        "--examples",
        type=click.IntRange(min=0),
        default=6,
        metavar="N",
        help="Questions to show with both answers, on the page.",
    ),
    click.option(
        "--texts/--no-texts",
        default=None,
        help="Audit the judge with the texts of all judgments, or by its verdicts alone.  "
        "[default: with texts up to 60,000 judgments]",
    ),
)
@rating_options
@bootstrap_options
@click.pass_obj
def report(invocation: Invocation, /, **options: Any) -> int:
    """Write the results as a page to read and to share. One HTML file with plots, audit and examples, or Markdown.

    The page loads nothing and runs nothing. Markdown is for a pull request or a model card, within GitHub's limit.
    """
    load_numpy()
    from arena_tui.commands.report import report_command

    return report_command(invocation, **options)
