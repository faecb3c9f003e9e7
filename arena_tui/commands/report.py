"""`arena-tui report`: the results of a bench as an HTML page or as Markdown."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.report.content import ReportRequest, gather
from arena_tui.output.report.markdown import markdown_report
from arena_tui.output.report.page import html_page, unique_warnings
from arena_tui.output.report.writing import ReportFormat, print_text, today, usual_report, write_page, write_text
from engine.formats.export import refuse_overwriting
from engine.ratings.battles import NullGames
from engine.ratings.leaderboard import LeaderboardOptions

STDOUT = Path("-")


def report_command(
    invocation: Invocation,
    *,
    form: ReportFormat,
    output: Path | None,
    examples: int,
    models: tuple[str, ...],
    texts: bool | None,
    force: bool,
    judges: tuple[str, ...],
    baseline: tuple[str, ...],
    weight: int | None,
    soft: bool,
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    rounds: int,
    seed: int,
) -> int:
    """Write the report, and print where, or print the report itself. Return the exit code."""
    source = invocation.open_source(battles, judges, baseline, strict=strict, null_games=null_games)
    request = ReportRequest(
        source=source,
        origin=battles or invocation.config(keys=False),
        options=LeaderboardOptions(
            baseline=source.baseline, weight=weight or source.weight, soft=soft, rounds=rounds, seed=seed
        ),
        judges=judges,
        models=models,
        examples=examples if form == "html" else 0,
        texts=texts,
        null_games=null_games,
        lender=invocation.lender() if battles else None,
    )
    if output is None:
        output = usual_report(source.judged.facts.name) if form == "html" else STDOUT
    content = gather(request)
    console.warn(unique_warnings(content))
    for note in content.notes:
        console.say(f"note: {note}")
    if form == "html" and output != STDOUT:
        write_page(content, output, force=force)
    elif output == STDOUT:
        print_text(html_page(content, today()) if form == "html" else [markdown_report(content, today())])
    else:
        refuse_overwriting(output, force=force, is_folder=False)
        write_text(output, [markdown_report(content, today())])
    if output != STDOUT:
        click.echo(console.printable(str(output)))
    return console.DONE
