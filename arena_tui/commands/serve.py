"""`arena-tui serve MODEL`: vLLM for one model of the config, in the foreground."""

from __future__ import annotations

import asyncio
import os
from difflib import get_close_matches

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.detaching import on_end_signals
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
from arena_tui.session.run_watch import ServerLines
from engine.bench.layout import BenchPaths
from engine.config.model import Config
from engine.errors import UsageProblem
from engine.events import Event, Notice, ServerChanged
from engine.run import SERVER_GRACE_SECONDS
from engine.serving.endpoints import Demand, NoEndpoints
from engine.serving.fleet import Fleet
from engine.serving.model_folder import folder_problems
from engine.serving.plan import server_plan


def serve_command(invocation: Invocation, model: str) -> int:
    """Serve until interrupted. Print only the base URLs on stdout, one a line. Return the exit code."""
    config = invocation.config()
    if model not in config.models:
        close = get_close_matches(model, list(config.models), n=1)
        raise UsageProblem(
            f"no model {model!r} in the config",
            f"did you mean {close[0]!r}?" if close else f"available: {', '.join(config.models) or 'none'}",
        )
    if config.models[model].serve is None:
        raise UsageProblem(
            f"{model} has no [serve] table, so arena-tui cannot start a server for it",
            f'add a table [models."{model}".serve]; it may be empty',
        )
    return run_loop(_serve(config, model))


async def _serve(config: Config, model: str) -> int:
    lines = ServerLines()
    ended = asyncio.Event()
    failed = False

    def show(event: Event) -> None:
        nonlocal failed
        if isinstance(event, Notice):
            console.say(phrase(event.text) if event.level == "info" else f"{event.level}: {phrase(event.text)}")
        elif isinstance(event, ServerChanged):
            if line := lines.line(event):
                console.say(line)
            if event.status == "failed":
                failed = True
                ended.set()

    plan = await asyncio.to_thread(server_plan, config, [model], [])
    for planned in plan.servers:
        if problem := await asyncio.to_thread(lambda spec: next(folder_problems(spec), None), planned.spec):
            raise UsageProblem(f"{model}: {problem.title}", problem.hint)
    fleet = Fleet(
        config,
        plan,
        [model],
        NoEndpoints(),
        logs=BenchPaths(config.data / config.bench).logs,
        emit=show,
        grace=SERVER_GRACE_SECONDS,
        key=os.environ.get("VLLM_API_KEY", ""),
    )

    def stop() -> None:
        if ended.is_set():
            fleet.stop(at_once=True)
            return
        console.say("stopping; once more to stop at once")
        ended.set()
        fleet.stop()

    release = on_end_signals(stop)
    started = False
    try:
        await fleet.prepare()
        async with fleet.open(model, Demand()) as found:
            for endpoint in found.endpoints:
                click.echo(endpoint.base_url)
            if found.endpoints and found.servers:
                console.say(f"serving {model}; Ctrl-C stops")
                await ended.wait()
            started = bool(found.endpoints)
    finally:
        await fleet.close()
        release()
    if failed or not (started or ended.is_set()):
        return console.FAILED
    return console.DONE
