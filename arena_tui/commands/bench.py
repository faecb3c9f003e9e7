"""`arena-tui bench`: lists, shows, adds, splits and removes question sets."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from arena_tui.console import DONE, INTERRUPTED, printable, say, warn
from arena_tui.invocation import Invocation
from arena_tui.output.json_text import json_text
from arena_tui.output.question_sets import bench_list, bench_page, preview, preview_json, split_page
from arena_tui.starters import STARTERS, starter_questions
from engine.bench import Bench
from engine.errors import Advice, AdviceKind, UsageProblem
from engine.question_sets.adding import AddRequest, propose, write_proposal
from engine.question_sets.overview import describe_bench, list_benches
from engine.question_sets.removal import held_results, remove_bench
from engine.question_sets.splitting import split_bench


def list_command(invocation: Invocation, *, as_json: bool) -> int:
    """Print a line for each bench. Return the exit code."""
    data = invocation.data_folder()
    found = list_benches(data)
    if as_json:
        click.echo(json_text({"data": str(data), "benches": found}), nl=False)
    elif found:
        click.echo(bench_list(found))
    else:
        say(f"no benches in {data}: add one with `arena-tui bench add SOURCE`")
    return DONE


def show_command(invocation: Invocation, name: str | None, *, as_json: bool) -> int:
    """Print what a bench holds. Return the exit code."""
    found = describe_bench(_bench(invocation, name))
    click.echo(json_text(found) if as_json else bench_page(found), nl=not as_json)
    warn(map(str, found.problems))
    return DONE


def add_command(
    invocation: Invocation,
    *,
    source: str,
    name: str | None,
    columns: tuple[tuple[str, str], ...],
    encoding: str | None,
    subset: str,
    split: str,
    file: str,
    skip_bad: bool,
    drop_duplicates: bool,
    append: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what would be added, ask, and write it. Return the exit code."""
    data = invocation.data_folder()
    if source in STARTERS and not Path(source).exists():
        source, name = str(starter_questions(source)), name or source
    request = AddRequest(
        source=source,
        name=name,
        columns=columns,
        encoding=encoding,
        subset=subset,
        split=split,
        file=file,
        skip_bad=skip_bad,
        drop_duplicates=drop_duplicates,
        append=append,
    )
    proposal = propose(request, data)
    shown = preview_json(proposal) if as_json else preview(proposal)
    warn(map(str, proposal.problems))
    if dry_run:
        click.echo(shown, nl=not as_json)
        return DONE
    if not as_json:
        say(shown)
    if not proposal.questions:
        say(f"nothing to add: all {proposal.known} questions of {data / proposal.bench} are there")
        return DONE
    if not yes and not _confirmed(f"Write {len(proposal.questions)} questions to {data / proposal.bench}?"):
        return INTERRUPTED
    path = write_proposal(proposal, data)
    click.echo(shown if as_json else printable(f"{path}: {len(proposal.questions)} questions"), nl=not as_json)
    say(f'next: set bench = "{proposal.bench}" in {invocation.path}, or open `arena-tui` and switch the bench there')
    return DONE


def split_command(
    invocation: Invocation, *, name: str | None, dev: int, seed: int, with_results: bool, as_json: bool
) -> int:
    """Write both parts of a bench, and print what each holds. Return the exit code."""
    report = split_bench(_bench(invocation, name), dev, seed, with_results=with_results)
    click.echo(json_text(report) if as_json else split_page(report), nl=not as_json)
    return DONE


def remove_command(invocation: Invocation, *, name: str, with_results: bool, yes: bool) -> int:
    """Name what would be lost, ask, and remove the bench. Return the exit code."""
    bench = Bench.open(invocation.data_folder(), name)
    held = held_results(bench)
    for each in held:
        say(f"{each.path}: {each.records} records, {max(1, each.size // 1000):,} kB")
    if held and not with_results and not yes and _has_terminal():
        typed = click.prompt(f"Type {name} to remove the bench and these results", default="", err=True)
        if typed != name:
            say("nothing was removed")
            return INTERRUPTED
        with_results = True
    elif not yes and not (held and not with_results):
        what = "and all of these results" if held else "(it has no results)"
        if not _confirmed(f"Remove {bench.paths.root} {what}?"):
            return INTERRUPTED
    remove_bench(bench, with_results=with_results)
    say(f"removed {bench.paths.root}")
    return DONE


def _bench(invocation: Invocation, name: str | None) -> Bench:
    return Bench.open(invocation.data_folder(), name if name is not None else invocation.config(keys=False).bench)


def _confirmed(question: str) -> bool:
    """Ask on the terminal. Raises UsageProblem without one: a script must have said so before."""
    if not _has_terminal():
        raise UsageProblem(
            "nothing was changed: there is no terminal to ask on", Advice("confirm it beforehand", AdviceKind.CONFIRM)
        )
    if click.confirm(question, err=True):
        return True
    say("nothing was changed")
    return False


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
