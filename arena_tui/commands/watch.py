"""`arena-tui watch`: the checkpoints of a training, evaluated as they appear."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.commands.watch_reporting import watch_reporting
from arena_tui.detaching import on_end_signals
from arena_tui.headless import run_loop, showing_progress
from arena_tui.invocation import Invocation
from arena_tui.output.watch import report_json, report_words
from arena_tui.session.run_watch import ServerLines
from engine.checkpoints.listener import Listener, default_token_file, read_token, require_token
from engine.checkpoints.options import WatchOptions
from engine.checkpoints.report import CheckpointReport, WatchEvent, WatchNotice
from engine.checkpoints.watch import Watch
from engine.config.model import Config
from engine.errors import UsageProblem
from engine.events import Event, Notice, ServerChanged
from engine.ratings.stop_rule import parse_stop_rule
from engine.run import Run
from engine.watching.scan import Order
from engine.work.progress import RunState

TOKEN_VARIABLE = "ARENA_TUI_WATCH_TOKEN"


def watch_command(
    invocation: Invocation,
    *,
    folder: Path | None,
    pattern: str,
    order: Order,
    like: str,
    until: str,
    until_best: str | None,
    limit: int | None,
    gpus: tuple[int, ...] | None,
    memory: float | None,
    nice: int | None,
    lock: Path | None,
    once: bool,
    port: int | None,
    token_file: Path | None,
    show_token: bool,
    poll: float,
    wait: float,
    as_json: bool,
) -> int:
    """Watch until interrupted, with `once` until nothing is left. Return the exit code."""
    if folder is not None and not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder", "name the folder that the training saves checkpoints in")
    options = WatchOptions(
        folder=folder,
        pattern=pattern,
        order=order,
        like=like,
        until=parse_stop_rule(until),
        until_best=parse_stop_rule(until_best) if until_best is not None else None,
        limit=limit,
        gpus=gpus,
        memory=memory,
        nice=nice,
        lock=lock,
        once=once,
        poll=poll,
        wait=wait,
    )
    config = invocation.config()
    token = _token(token_file) if port is not None else ""
    if show_token and token:
        console.say(f"token of requests: {token}")
    return run_loop(_watch(config, options, port, token, as_json=as_json))


def _token(token_file: Path | None) -> str:
    """Return the token of requests: the environment's, else that in a file, which is made."""
    given = os.environ.pop(TOKEN_VARIABLE, "")  # no server inherits it
    if given:
        return require_token(given, TOKEN_VARIABLE)
    file = token_file or default_token_file()
    token = read_token(file)
    console.say(f"requests need the token in {file}")
    return token


async def _watch(config: Config, options: WatchOptions, port: int | None, token: str, *, as_json: bool) -> int:
    failed = interrupted = False
    lines = ServerLines()

    def show(event: WatchEvent) -> None:
        nonlocal failed
        if isinstance(event, CheckpointReport):
            failed |= event.state == "failed"
            click.echo(report_json(event) if as_json else console.printable(report_words(event)))
        elif isinstance(event, WatchNotice):
            console.say(phrase(event.text) if event.level == "info" else f"{event.level}: {phrase(event.text)}")

    def of_servers(event: Event) -> None:
        if isinstance(event, Notice):
            console.say(phrase(event.text) if event.level == "info" else f"{event.level}: {phrase(event.text)}")
        elif isinstance(event, ServerChanged) and (line := lines.line(event)):
            console.say(line)

    async def carry_out(run: Run) -> RunState:
        reporting.attach(run)
        async with showing_progress(run, lambda event: not (watch.is_gone and isinstance(event, Notice))):
            state = await run.execute()
        await reporting.add_curves()
        return state

    watch = Watch(config, options, show, heard=of_servers, carry_out=carry_out)

    def stop() -> None:
        nonlocal interrupted
        console.say("stopping; once more to stop at once" if not interrupted else "stopping at once")
        interrupted = True
        watch.stop()

    async with AsyncExitStack() as stack:
        stack.callback(on_end_signals(stop))
        reporting = await stack.enter_async_context(watch_reporting(config))
        if port is not None:
            listener = Listener(watch, token, port)
            await stack.enter_async_context(listener.listening())
            console.say(f"POST {listener.address}/evaluate takes checkpoints, GET {listener.address}/status reports")
        if options.folder is not None:
            console.say(f"watching {options.folder} for the bench {config.bench}; `arena-tui attach` shows a run of it")
        await watch.run()
    if watch.was_stopped:
        console.say("interrupted; finished results are saved; run the same command to resume")
        return console.INTERRUPTED
    return console.FAILED if failed else console.DONE
