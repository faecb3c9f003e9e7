"""`arena-tui batch ...`: writes, reads, runs, submits and fetches batches; see `engine.batch`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.detaching import on_end_signals
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
from arena_tui.output.clock import money
from arena_tui.output.tables import TableColumn, text_table
from engine.batch import reading, service
from engine.batch.reading import ReadReport
from engine.batch.writing import Manifest, write_batch
from engine.bench import Bench
from engine.bench.layout import BenchPaths
from engine.config.model import Config
from engine.repeats import ONCE
from engine.work.costs import expected_use
from engine.work.plan import Scope, make_plan

SAID_EVERY = 20_000  # results between two lines of progress
LEAST_STEP = 0.1  # share of a file between two lines of progress


def write_command(
    invocation: Invocation, folder: Path, max_requests: int, max_bytes: int, *, as_json: bool, **scope: Any
) -> int:
    """Write a batch, and print its files. Return the exit code."""
    config = invocation.config()
    bench = Bench.open(config.data, config.bench)
    plan = make_plan(config, bench, _scope(scope))
    console.warn(plan.warnings)
    manifest = write_batch(config, plan, folder, max_requests=max_requests, max_bytes=max_bytes)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(manifest)).decode())
    elif manifest.files:
        click.echo(_table(manifest))
    at_batch_prices = [
        each.cost * price.batch
        for each in expected_use(config, bench, plan)
        if each.cost is not None and (price := config.models[each.model].price) is not None
    ]
    if at_batch_prices and manifest.requests:
        console.say(f"expected cost at batch prices, with the rounds that follow: about {money(sum(at_batch_prices))}")
    if manifest.awaited:
        console.say(f"{manifest.awaited} judgments wait for answers: write them after the results are read")
    if manifest.requests:
        console.say(f"{manifest.requests} requests in {folder}; read the results with `arena-tui batch read FILE...`")
    else:
        console.say("nothing is missing that a configured model could make: no file was written")
    return console.DONE


def read_command(invocation: Invocation, files: Sequence[Path], *, as_json: bool, **scope: Any) -> int:
    """Read results, and print what they came to. Return the exit code: 1 where results failed or none was usable."""
    config = invocation.config()
    report = run_loop(reading.read_batch(config, files, _scope(scope), _say_progress()))
    return _show_report(config, report, as_json=as_json)


def run_command(
    invocation: Invocation,
    folder: Path | None,
    max_requests: int,
    max_bytes: int,
    *,
    on_cluster: bool = False,
    **scope: Any,
) -> int:
    """Make rounds by vLLM until no call is left. Return the exit code: 1 where calls are left."""
    config = invocation.config()
    where = folder or BenchPaths(config.data / config.bench).root / "batches"
    return run_loop(_rounds(config, where, _scope(scope), max_requests, max_bytes, on_cluster=on_cluster))


async def _rounds(
    config: Config, folder: Path, scope: Scope, max_requests: int, max_bytes: int, *, on_cluster: bool
) -> int:
    from engine.batch.local import Progress, RoundEnded, run_batches

    said: dict[str, float] = {}
    failed = 0

    def listen(what: Progress | RoundEnded | str) -> None:
        nonlocal failed
        if isinstance(what, str):
            console.say(f"warning: {phrase(what)}")
        elif isinstance(what, RoundEnded):
            failed = sum(what.report.failed.values())
            for line in _lines(what.report):
                console.say(f"round {what.round}: {line}")
        elif what.share >= said.get(what.file.file, -1.0) + LEAST_STEP or what.share == 1.0 > said[what.file.file]:
            said[what.file.file] = what.share
            console.say(f"round {what.round}: {what.share:.0%} of {what.file.file} ({what.file.requests} requests)")

    rounds = asyncio.create_task(
        run_batches(
            config, folder, scope, listen, max_requests=max_requests, max_bytes=max_bytes, on_cluster=on_cluster
        )
    )

    def stop() -> None:
        rounds.cancel()

    release = on_end_signals(stop)
    try:
        left = await rounds
    except asyncio.CancelledError:
        console.say("interrupted; results that were read are saved; run the same command to continue")
        return console.INTERRUPTED
    finally:
        release()
    if left:
        console.say(f"{left} calls are left for models without a [serve] table")
    console.say("results are in the bench: arena-tui leaderboard")
    return console.FAILED if left or failed else console.DONE


def submit_command(invocation: Invocation, folder: Path, *, as_json: bool) -> int:
    """Submit the files of a folder. Return the exit code."""
    return _show_batches(asyncio.run(service.submit(invocation.config(), folder)), as_json=as_json)


def status_command(invocation: Invocation, folder: Path, *, as_json: bool) -> int:
    """Print the state of the batches of a folder. Return the exit code: 1 where one failed."""
    return _show_batches(asyncio.run(service.status(invocation.config(), folder)), as_json=as_json)


def fetch_command(invocation: Invocation, folder: Path, *, as_json: bool) -> int:
    """Fetch and read what has ended. Return the exit code: 1 where batches are still being made or results failed."""
    config = invocation.config()
    batches, files = asyncio.run(service.fetch_results(config, folder))
    if not files:
        _show_batches(batches, as_json=as_json)
        console.say("no results yet")
        return console.FAILED
    report = run_loop(reading.read_batch(config, files, None, _say_progress()))
    code = _show_report(config, report, as_json=as_json)
    if running := sum(not each.has_ended for each in batches):
        console.say(f"{running} batches are still being made; fetch again later")
        return console.FAILED
    return code


def _scope(given: dict[str, Any]) -> Scope:
    stage = given["stage"]
    return Scope(
        models=given["models"],
        limit=given["limit"],
        refresh=frozenset(given["refresh"]),
        repeats=given["repeats"] or ONCE,
        answers=stage in ("all", "answers"),
        judgments=stage in ("all", "judgments"),
    )


def _table(manifest: Manifest) -> str:
    files = manifest.files
    columns = [
        TableColumn("file", [console.printable(each.file) for each in files], right=False),
        TableColumn("model", [console.printable(each.served_name) for each in files], right=False),
        TableColumn("requests", [f"{each.requests}" for each in files]),
        TableColumn("MB", [f"{each.bytes / 1e6:.1f}" for each in files]),
        TableColumn("tokens in, about", [f"{each.prompt_tokens}" for each in files]),
        TableColumn("tokens out, at most", [f"{each.max_completion_tokens}" for each in files]),
    ]
    return text_table(columns)


def _say_progress() -> Any:
    said = 0

    def say(count: int) -> None:
        nonlocal said
        if count >= said + SAID_EVERY:
            said = count
            console.say(f"{count} results read")

    return say


def _show_report(config: Config, report: ReadReport, *, as_json: bool) -> int:
    console.warn([*report.warnings, *report.problems])
    if as_json:
        counts = {
            name: getattr(report, name)
            for name in ("taken", "saved", "failed", "repeated", "changed", "unknown", "left")
        }
        click.echo(msgspec.json.format(msgspec.json.encode(counts)).decode())
    else:
        for line in _lines(report):
            click.echo(line)
    if report.failed:
        console.say(f"the reasons are in {BenchPaths(config.data / config.bench).errors}")
    if report.left:
        console.say(f"{report.left} calls are left: write the next round, or `arena-tui run`")
    is_bad = report.failed or report.changed or report.unknown or report.problems
    return console.FAILED if is_bad or not report.lines else console.DONE


def _lines(report: ReadReport) -> list[str]:
    saved = ", ".join(f"{count} {stage}" for stage, count in sorted(report.saved.items())) or "no record"
    lines = [f"{report.taken} results taken; {saved} saved"]
    lines += [f"{count} results failed: {kind}" for kind, count in report.failed.most_common()]
    left_out = (
        (report.repeated, "of calls that were answered before"),
        (report.changed, "of requests that are other ones today (prompt, settings or texts changed): not taken"),
        (report.unknown, "of no request of this bench: not taken"),
    )
    return lines + [f"{count} results {why}" for count, why in left_out if count]


def _show_batches(batches: Sequence[service.SubmittedFile], *, as_json: bool) -> int:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(list(batches))).decode())
    else:
        columns = [
            TableColumn("file", [console.printable(each.file) for each in batches], right=False),
            TableColumn("batch", [console.printable(each.batch) for each in batches], right=False),
            TableColumn("status", [console.printable(each.status) for each in batches], right=False),
            TableColumn("done", [f"{each.completed}/{each.requests}" for each in batches]),
            TableColumn("failed", [f"{each.failed}" for each in batches]),
        ]
        click.echo(text_table(columns))
    for each in batches:
        if each.error:
            console.say(f"{each.file}: {each.error}")
    return console.FAILED if any(each.status == "failed" for each in batches) else console.DONE
