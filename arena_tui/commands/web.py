"""`arena-tui web`: the terminal UI in a browser, on this machine unless asked otherwise."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import click

from arena_tui import console
from arena_tui.invocation import Invocation
from engine.errors import UsageProblem

if TYPE_CHECKING:
    from arena_tui.web_server import WebServer

TOKEN_VARIABLE = "ARENA_TUI_WEB_TOKEN"
_SHORTEST_TOKEN = 16  # characters


def web_command(invocation: Invocation, host: str, port: int) -> int:
    """Serve until interrupted. The link to open is the only line on stdout."""
    try:
        from arena_tui.web_server import WebServer
    except ImportError:
        raise UsageProblem("textual-serve is not installed", "pip install 'arena-tui[web]'") from None
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token and len(token) < _SHORTEST_TOKEN:
        raise UsageProblem(
            f"{TOKEN_VARIABLE} is too short to be a secret",
            f"give at least {_SHORTEST_TOKEN} characters, or leave it unset and one is made up",
        )
    return asyncio.run(_serve(WebServer(shlex.join(ui_arguments(invocation)), host, port, token)))


def ui_arguments(invocation: Invocation) -> list[str]:
    """The command line that opens the same UI in a process of its own."""
    arguments = [sys.executable, "-m", "arena_tui"]
    if invocation.config_path is not None:
        arguments += ["--config", str(invocation.config_path)]
    if invocation.data is not None:
        arguments += ["--data", str(invocation.data)]
    return [*arguments, "--demo"] if invocation.demo else arguments


async def _serve(server: WebServer) -> int:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)

    def ready(address: str) -> None:
        click.echo(address)
        console.say("Open this link in a browser. Whoever has it can steer runs here. Ctrl-C stops.")

    try:
        await server.run(ready, stopped)
    except OSError as error:
        raise UsageProblem(
            f"{server.host}:{server.port}: cannot be listened on ({error.strerror})", "choose another --port or --host"
        ) from None
    return console.DONE
