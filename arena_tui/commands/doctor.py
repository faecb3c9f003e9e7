"""`arena-tui doctor`: what is there, what is not, and what to do about it."""

from __future__ import annotations

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
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
            _show(Check("problem", problem.key, problem.message, problem.hint))
        return console.USAGE
    return run_loop(_examine(config))


async def _examine(config: Config) -> int:
    problems = 0
    async for check in examine(config):
        _show(check)
        problems += check.status == "problem"
    click.echo(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "everything a run needs is there")
    return console.USAGE if problems else console.DONE


def _show(check: Check) -> None:
    click.echo(console.printable(f"{_MARKS[check.status]}  {check.subject}: {check.text}"))
    if check.hint:
        click.echo(console.printable(f"         {phrase(check.hint)}"))
