"""`arena-tui export`: a bench in the formats of other programs, as a table, or as an HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.invocation import Invocation
from arena_tui.output.exporting import FORMATS, write_export
from engine.bench import Bench
from engine.formats.export import ExportReport


def export_command(
    invocation: Invocation,
    *,
    form: str,
    judges: tuple[str, ...],
    models: tuple[str, ...],
    baseline: tuple[str, ...],
    out: Path | None,
    force: bool,
    strict: bool,
    push: str | None,
    public: bool,
) -> int:
    """Export, print the files written, and push them if that was asked for. Return the exit code."""
    if push is not None:
        from engine.formats.pushing import check_target

        if not next(entry for entry in FORMATS if entry.name == form).is_folder:
            folders = ", ".join(entry.name for entry in FORMATS if entry.is_folder)
            raise click.UsageError(f"--push uploads a folder, and {form} is one file: choose one of {folders}")
        check_target(push)  # before anything is computed
    config = invocation.config(keys=False)
    bench = Bench.open(config.data, config.bench)
    available = bench.judges()
    for absent in [judge for judge in config.judge.model if not judges and judge not in available]:
        console.say(f"note: no judgments by {absent} in this bench")
    report = write_export(
        config, bench, form, out, judges=judges, models=models, baselines=baseline, force=force, strict=strict
    )
    _show(report)
    if push is not None:
        from engine.formats.pushing import push_folder

        click.echo(console.printable(push_folder(report.out, push, public=public)))
    return console.DONE


def _show(report: ExportReport) -> None:
    click.echo(console.printable(f"{report.out}"))
    for file in report.files:
        if file.path != report.out.name:
            click.echo(console.printable(f"  {file.path}: {file.records}"))
    for note in report.notes:
        console.say(f"note: {phrase(note)}")
