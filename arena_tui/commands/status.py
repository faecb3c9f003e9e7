"""`arena-tui status` and `arena-tui stop`: the runs of the benches in a data folder, from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.json_text import json_text
from arena_tui.output.progress import summary_line
from arena_tui.safe_text import one_line
from arena_tui.starters import BENCH as DEMO_BENCH
from engine.bench.layout import BenchPaths
from engine.bench.lock import until_free, writer_of
from engine.bench.store import benches as benches_in
from engine.control.client import RemoteRun, RunUnreachable
from engine.errors import BenchLocked, UsageProblem, listed


class RunReport(NamedTuple):
    """The run of a bench, if there is one: `remote` as it was heard, or `problem` why it cannot be reached."""

    paths: BenchPaths
    writer: BenchLocked | None
    remote: RemoteRun | None = None
    problem: RunUnreachable | None = None


def status_command(invocation: Invocation, names: Sequence[str], *, every: bool, as_json: bool) -> int:
    """Print a line or an object for each bench. Return 0 if a run is on in any of them, else 1."""
    chosen, is_list = _chosen(invocation, names, every=every)
    reports = asyncio.run(_reports(chosen))
    if is_list and not names:
        reports = [report for report in reports if report.writer is not None]
    if as_json:
        objects = [_as_object(report) for report in reports]
        click.echo(json_text(objects if is_list else objects[0]), nl=False)
    else:
        lines = [_as_line(report) for report in reports] or [f"no run in {invocation.data_folder()}"]
        click.echo("\n".join(lines))
    return console.DONE if any(report.writer is not None for report in reports) else console.FAILED


def stop_command(invocation: Invocation, names: Sequence[str], *, every: bool, at_once: bool, timeout: float) -> int:
    """Stop the runs and wait for their ends. Return the exit code. Raises UsageProblem if one cannot be reached."""
    chosen, is_list = _chosen(invocation, names, every=every)
    if is_list and not names and not every:
        on = [paths for paths in chosen if writer_of(paths) is not None]
        if len(on) > 1:
            raise UsageProblem(
                f"{len(on)} benches have a run: {listed([paths.name for paths in on])}", "name one, or stop --all"
            )
        chosen = on
    return asyncio.run(_stop_all(chosen, at_once=at_once, within=timeout))


def _chosen(invocation: Invocation, names: Sequence[str], *, every: bool) -> tuple[list[BenchPaths], bool]:
    """Return the benches that are meant, and whether a list was asked for. Raises UsageProblem for an unknown name."""
    if names and every:
        raise UsageProblem("--all and names of benches", "leave one of them out")
    folder = invocation.data_folder()
    if names:
        for name in names:
            if Path(name).name != name or not (folder / name).is_dir():
                known = listed(benches_in(folder)) or "none"
                raise UsageProblem(f"no bench {name!r} in {folder}", f"available: {known}")
        return [BenchPaths(folder / name) for name in names], len(names) > 1
    if invocation.demo:
        return [BenchPaths(folder / DEMO_BENCH)], False
    if every or invocation.lacks_config:
        return [BenchPaths(folder / name) for name in benches_in(folder)], True
    return [BenchPaths(folder / invocation.config(keys=False).bench)], False


async def _reports(benches: Sequence[BenchPaths]) -> list[RunReport]:
    return await asyncio.gather(*map(_report, benches))


async def _report(paths: BenchPaths) -> RunReport:
    writer = await asyncio.to_thread(writer_of, paths)
    if writer is None:
        return RunReport(paths, None)
    try:
        remote = await RemoteRun.attach(paths, control=False)
    except RunUnreachable as problem:
        return RunReport(paths, writer, problem=problem)
    remote.close()
    return RunReport(paths, writer, remote)


def _as_line(report: RunReport) -> str:
    if report.writer is None:
        return f"{one_line(report.paths.name)}: no run"
    remote = report.remote
    if remote is None:
        return one_line(f"{report.writer.title}; {report.problem.title if report.problem else ''}")
    greeting, conditions = remote.greeting, remote.conditions
    doing = conditions.status if conditions.status != "running" else remote.state.doing
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(greeting.started))
    where = f", output in {conditions.log}" if conditions.log else ""
    return one_line(
        f"{greeting.bench}: {doing} | {summary_line(remote.state, conditions.speed)} | "
        f"pid {greeting.pid} since {since}{where}"
    )


def _as_object(report: RunReport) -> dict[str, Any]:
    found: dict[str, Any] = {"bench": report.paths.name, "running": report.writer is not None}
    if report.remote is None:
        return found | ({"reachable": False, "problem": str(report.writer)} if report.writer else {})
    greeting, conditions, state = report.remote.greeting, report.remote.conditions, report.remote.state
    tasks = state.tasks.values()
    return found | {
        "reachable": True,
        "run": greeting.run,
        "pid": greeting.pid,
        "host": greeting.host,
        "started": greeting.started,
        "status": conditions.status,
        "stages": list(state.stages),
        "total": sum(task.expected for task in tasks),
        "cached": sum(task.cached for task in tasks),
        "done": sum(task.done for task in tasks),
        "failed": state.failed,
        "in_flight": state.in_flight,
        "calls_per_second": conditions.speed.calls_per_second,
        "eta": conditions.speed.eta,
        "detached": bool(conditions.log),
        "log": conditions.log or None,
        "servers": {name: server.status for name, server in state.servers.items()},
    }


async def _stop_all(benches: Sequence[BenchPaths], *, at_once: bool, within: float) -> int:
    results = await asyncio.gather(*(_stop(paths, at_once=at_once, within=within) for paths in benches))
    if not benches:
        console.say("no run is on")
    return console.DONE if all(results) else console.FAILED


async def _stop(paths: BenchPaths, *, at_once: bool, within: float) -> bool:
    """Stop the run of a bench; return whether it has ended in time."""
    name = one_line(paths.name)
    writer = await asyncio.to_thread(writer_of, paths)
    if writer is None:
        console.say(f"{name}: no run is on")
        return True
    try:
        remote = await RemoteRun.attach(paths, control=True)
    except RunUnreachable as problem:
        if await asyncio.to_thread(writer_of, paths) is None:
            console.say(f"{name}: no run is on any more")
            return True
        raise RunUnreachable(f"{writer.title}; {problem.title}", problem.hint) from None
    remote.on_refusal = console.say
    if at_once:
        remote.abort()
    elif remote.status != "stopping":
        remote.stop()
    try:
        async with asyncio.timeout(within):
            await remote.follow()
            await until_free(paths)
    except TimeoutError:
        busy = [name for name, server in remote.state.servers.items() if server.status not in ("stopped", "failed")]
        waits = f"servers {listed(busy)}" if busy else f"{remote.state.in_flight} calls in flight"
        console.say(f"{name}: still stopping after {within:g} s ({waits}); --at-once does not wait for them")
        return False
    finally:
        remote.close()
    console.say(f"{name}: stopped; finished results are saved, and the next run resumes from there")
    return True
