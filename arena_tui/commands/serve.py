"""`arena-tui serve MODEL`: vLLM for one model of the config, in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
from difflib import get_close_matches
from pathlib import Path

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.detaching import on_end_signals
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
from arena_tui.session.run_watch import ServerLines
from engine.bench.layout import BenchPaths
from engine.bench.names import file_stem
from engine.config.model import Config
from engine.config.servers import ClusterConfig
from engine.errors import UsageProblem
from engine.events import Event, Notice, ServerChanged
from engine.run import SERVER_GRACE_SECONDS
from engine.serving.endpoints import Demand, NoEndpoints
from engine.serving.fleet import Fleet
from engine.serving.model_folder import folder_problems
from engine.serving.plan import server_plan
from engine.serving.process import LOOPBACK, is_free
from engine.serving.registry import Registrar, own_address


def serve_command(invocation: Invocation, model: str, folder: Path | None, listen: str | None) -> int:
    """Serve until interrupted, registered in `folder`. Print only the base URLs on stdout, one a line.

    Return the exit code. Raises UsageProblem for a server that other machines reach without a key.
    """
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
    key = os.environ.get("VLLM_API_KEY", "")
    listen = listen or (own_address() if folder is not None else LOOPBACK)
    if not key and not listen.startswith("127.") and listen != "::1":
        raise UsageProblem(
            f"a server at {listen} is open to other machines, and there is no key for it",
            'export VLLM_API_KEY=..., and name it in the config of the run: api_key = "${VLLM_API_KEY}"',
        )
    if not is_free(0, listen):
        raise UsageProblem(f"{listen} is not an address of this machine", "name one of its own, or 0.0.0.0 for all")
    # Servers that are registered for this model already are others: this one starts beside them.
    entry = config.models[model].model_copy(update={"endpoints": config.models[model].addresses})
    here = {"models": {**config.models, model: entry}, "cluster": ClusterConfig()}
    config = config.model_copy(update=here)
    return run_loop(_serve(config, model, folder, listen, key))


async def _serve(config: Config, model: str, folder: Path | None, listen: str, key: str) -> int:
    lines = ServerLines()
    ended = asyncio.Event()
    failed = False
    registrar: Registrar | None = None

    def show(event: Event) -> None:
        nonlocal failed
        if isinstance(event, Notice):
            console.say(phrase(event.text) if event.level == "info" else f"{event.level}: {phrase(event.text)}")
        elif isinstance(event, ServerChanged):
            if registrar is not None:
                registrar.changed()
            if line := lines.line(event):
                console.say(line)
            if event.status == "failed":
                failed = True
                ended.set()

    plan = await asyncio.to_thread(server_plan, config, [model], [])
    for planned in plan.servers:
        if problem := await asyncio.to_thread(lambda spec: next(folder_problems(spec), None), planned.spec):
            raise UsageProblem(f"{model}: {problem.title}", problem.hint)
    logs = BenchPaths(config.data / config.bench).logs
    if folder is not None:
        logs /= file_stem(socket.gethostname())  # machines may share the bench
    fleet = Fleet(
        config,
        plan,
        [model],
        NoEndpoints(),
        logs=logs,
        emit=show,
        grace=SERVER_GRACE_SECONDS,
        key=key,
        host=own_address() if listen in ("0.0.0.0", "::") else listen,
        listen=listen,
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
    registering = None
    if folder is not None:
        registrar = Registrar(
            folder,
            config.served_name(model),
            lambda: [server.address for server in fleet.servers.values() if server.is_ready],
            lambda error: console.say(f"warning: {error.title}: runs do not find this server"),
        )
        registering = asyncio.create_task(registrar.run())
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
        if registering is not None:
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)
        await fleet.close()
        release()
    if failed or not (started or ended.is_set()):
        return console.FAILED
    return console.DONE
