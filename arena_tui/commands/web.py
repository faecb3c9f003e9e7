"""`arena-tui web`: the terminal UI in a browser."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.log_output import flags
from arena_tui.web.server import WebServer
from engine.errors import UsageProblem

TOKEN_VARIABLE = "ARENA_TUI_WEB_TOKEN"
_SHORTEST_TOKEN = 16  # characters


def web_command(invocation: Invocation, host: str, port: int) -> int:
    """Serve until interrupted. Print only the link on stdout. Return the exit code."""
    token = os.environ.pop(TOKEN_VARIABLE, "")  # no page and no server of a model inherits it
    if token and len(token) < _SHORTEST_TOKEN:
        raise UsageProblem(
            f"{TOKEN_VARIABLE} is too short for a secret",
            f"set at least {_SHORTEST_TOKEN} characters, or leave it unset to have one generated",
        )
    return asyncio.run(_serve(WebServer(ui_arguments(invocation), host, port, token)))


def ui_arguments(invocation: Invocation) -> list[str]:
    """Return the command line that opens the same UI in another process."""
    arguments = [sys.executable, "-m", "arena_tui"]
    if invocation.config_path is not None:
        arguments += ["--config", str(invocation.config_path)]
    if invocation.data is not None:
        arguments += ["--data", str(invocation.data)]
    for setting in invocation.settings:
        arguments += ["--set", setting]
    arguments += flags()
    return [*arguments, "--demo"] if invocation.demo else arguments


async def _serve(server: WebServer) -> int:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)

    def ready(address: str) -> None:
        click.echo(address)
        console.say("open this link in a browser; it gives control over runs on this machine; Ctrl-C stops")

    try:
        await server.run(ready, stopped)
    except OSError as error:
        raise UsageProblem(
            f"cannot listen on {server.host}:{server.port} ({error.strerror})", "choose another --port or --host"
        ) from None
    return console.DONE
