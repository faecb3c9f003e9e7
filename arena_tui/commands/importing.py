"""`arena-tui import`: existing benches, files and configs of either generation, and answers of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from engine.errors import ArenaError
from engine.formats.import_source import Imported, import_source
from engine.formats.importing import ImportReport


def import_command(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Import a bench, a config, or both, and name the next step. Return the exit code."""
    config = output or invocation.config_path or DEFAULT_CONFIG
    imported = import_source(source, config, invocation.data_folder, name)
    if imported.config is not None:
        click.echo(f"wrote {imported.config}")
    for note in imported.notes:
        console.say(f"note: {note}")
    if imported.report is not None:
        _report(imported.report)
    console.say(f"next: {next_step(imported, invocation)}")
    return console.DONE


def next_step(imported: Imported, invocation: Invocation) -> str:
    """Return what to do after an import, as a sentence without a full stop."""
    path = invocation.config_path or DEFAULT_CONFIG
    if imported.config is not None:
        named = "" if imported.config == DEFAULT_CONFIG else f"-c {imported.config} "
        return f"check servers and keys with `arena-tui {named}doctor`, then start with `arena-tui {named}run`"
    if not path.exists():
        return "`arena-tui` finds servers, proposes judge and baseline for this bench, and starts"
    benches = [bench.root.name for bench in imported.report.benches] if imported.report else []
    try:
        configured = invocation.config(keys=False).bench
    except ArenaError:
        configured = ""
    if configured in benches:
        return "`arena-tui run --dry-run` shows what is missing, `arena-tui` opens the terminal UI"
    return f'set bench = "{benches[0]}" in {path}, or open `arena-tui` and switch the bench there'


def _report(report: ImportReport) -> None:
    for line in report.lines():
        click.echo(console.printable(line))
    console.warn(map(str, report.problems))
