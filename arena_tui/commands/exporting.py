"""`arena-tui export`: a bench in the formats of other programs, as a table, or as an HTML page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.invocation import Invocation
from engine.bench import Bench
from engine.formats.arena_hard import CountTokens
from engine.formats.export import FOLDERS, ExportReport, export_bench
from engine.formats.selection import ExportChoice
from engine.models.tokens import load_counter

ExportFormat = Literal["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet", "html"]


def export_command(
    invocation: Invocation,
    *,
    form: ExportFormat,
    judges: tuple[str, ...],
    models: tuple[str, ...],
    baseline: tuple[str, ...],
    out: Path | None,
    force: bool,
    strict: bool,
) -> int:
    """Export, and print the files written. Return the exit code."""
    config = invocation.config(keys=False)
    bench = Bench.open(config.data, config.bench)
    available = bench.judges()
    for absent in [judge for judge in config.judge.model if not judges and judge not in available]:
        console.say(f"note: no judgments by {absent} in this bench")
    chosen = judges or tuple(judge for judge in config.judge.model if judge in available)
    pairing = config.with_baselines(baseline).judge.pairing
    choice = ExportChoice(
        baseline=pairing.baselines[0],
        by_category=pairing.rules,
        others=pairing.baselines[1:] if baseline else None,
        judges=chosen,
        models=models,
        strict=strict,
    )
    out = out or Path(f"{bench.name}-{form}" if form in FOLDERS else f"{bench.name}.{form}")
    if form == "html":
        from arena_tui.output.html_report import export_html

        report = export_html(bench, choice, out, force=force)
    else:
        report = export_bench(bench, choice, form, out, force=force, count_tokens=_tokenizer)
    _show(report)
    return console.DONE


def _show(report: ExportReport) -> None:
    click.echo(console.printable(f"{report.out}"))
    for file in report.files:
        if file.path != report.out.name:
            click.echo(console.printable(f"  {file.path}: {file.records}"))
    for note in report.notes:
        console.say(f"note: {phrase(note)}")


def _tokenizer() -> CountTokens | None:
    counter = asyncio.run(load_counter())
    return counter.count if counter is not None else None
