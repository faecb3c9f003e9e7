"""`arena-tui doctor`: checks config, servers and bench; with --repair it repairs damaged files of the bench."""

from __future__ import annotations

from collections.abc import Sequence

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
from engine.bench import Bench
from engine.bench.lock import writer_of
from engine.bench.repair import FileRepair, examine_bench, repair_bench
from engine.config.model import Config
from engine.diagnosis import Check, examine
from engine.errors import ConfigError

_MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def doctor_command(invocation: Invocation) -> int:
    """Print every check on stdout; 0 when none is a problem, else 2."""
    try:
        config = invocation.config()
    except ConfigError as error:
        for problem in error.problems:
            _show_check(Check("problem", problem.key, problem.message, problem.hint))
        return console.USAGE
    return run_loop(_examine(config))


async def _examine(config: Config) -> int:
    problems = 0
    async for check in examine(config):
        _show_check(check)
        problems += check.status == "problem"
    click.echo(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "a run has everything it needs")
    return console.USAGE if problems else console.DONE


def _show_check(check: Check) -> None:
    _print(f"{_MARKS[check.status]}  {check.subject}: {phrase(check.text)}")
    if check.hint:
        _print(f"         {phrase(check.hint)}")


def repair_command(invocation: Invocation, *, dry_run: bool) -> int:
    """Print the damage, repair it unless `dry_run`, and print what cannot be repaired. Return the exit code."""
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
                _print(f"repaired  {repair.path}  (original: {repair.backup.name})")
    elif damaged:
        _print("nothing was changed; without --dry-run these files are repaired, and the original is kept beside each")
    _show_rest(bench, damaged)
    return console.DONE


def _show_damage(damaged: Sequence[FileRepair]) -> None:
    if not damaged:
        _print("no file of the bench is damaged")
    for repair in damaged:
        for problem in repair.damage:
            _print(f"damaged   {problem}")


def _show_rest(bench: Bench, damaged: Sequence[FileRepair]) -> None:
    """Print the problems that only a run, or a person, can correct; damage itself is not repeated."""
    shown = {(problem.file, problem.line) for repair in damaged for problem in repair.damage}
    rest = [problem for problem in bench.problems() if (problem.file, problem.line) not in shown]
    for problem in rest:
        _print(f"stays     {problem}")
    if rest:
        _print("what stays is ignored wherever the bench is read; a run recreates missing answers and judgments")


def _print(text: str) -> None:
    click.echo(console.printable(text))
