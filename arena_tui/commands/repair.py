"""`arena-tui doctor --repair`: what is damaged in the files of a bench, what of it is mended, and what cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from engine.bench import Bench
from engine.bench.lock import writer_of
from engine.bench.repair import FileRepair, examine_bench, repair_bench


def repair_command(invocation: Invocation, *, dry_run: bool) -> int:
    """Show the damage, mend it unless `dry_run`, and tell what stays. Returns the exit code."""
    config = invocation.config(keys=False)
    bench = Bench.open(config.data, config.bench)
    writing = writer_of(bench.paths)
    if writing is not None:
        raise writing
    damaged = examine_bench(bench.paths)
    _show_damage(damaged)
    if damaged and not dry_run:
        for repair in repair_bench(bench.paths):
            if repair.backup is not None:
                _show(f"mended  {repair.path}  (as it was: {repair.backup.name})")
    elif damaged:
        _show("Nothing was changed. Without --dry-run these files are mended, each kept as it was beside it.")
    _show_rest(bench, damaged)
    return console.DONE


def _show_damage(damaged: Sequence[FileRepair]) -> None:
    if not damaged:
        _show("no file of the bench is damaged")
    for repair in damaged:
        for problem in repair.damage:
            _show(f"damage  {problem}")


def _show_rest(bench: Bench, damaged: Sequence[FileRepair]) -> None:
    """What only a run, or a person, can put right; damage itself is not told again."""
    told = {(problem.file, problem.line) for repair in damaged for problem in repair.damage}
    rest = [problem for problem in bench.problems() if (problem.file, problem.line) not in told]
    for problem in rest:
        _show(f"stays   {problem}")
    if rest:
        _show("What stays is left out wherever the bench is read; a run makes missing answers and judgments again.")


def _show(text: str) -> None:
    click.echo(console.printable(text))
