"""The commands that serve something and stay in the foreground, declared as those in `cli` are."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.invocation import Invocation
from engine.errors import UsageProblem


@click.command()
@click.argument("model")
@click.pass_obj
def serve(invocation: Invocation, model: str) -> int:
    """Start vLLM for MODEL of the config, and stay in the foreground until Ctrl-C."""
    from arena_tui.commands.serve import serve_command

    return serve_command(invocation, model)


@click.command()
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 picks a free one.")
@click.option("--latency", type=click.FloatRange(min=0), default=0.05, help="Seconds until a reply.")
@click.option(
    "--position-bias", type=click.FloatRange(-1, 1), default=0.1, help="Of the judge: above 0 it favours place A."
)
@click.option(
    "--verbosity-taste",
    type=click.FloatRange(-1, 1),
    default=0.1,
    help="Of the judge: above 0 it favours long answers.",
)
@click.option(
    "--sharpness", type=click.FloatRange(0.01, 100), default=1.0, help="Of the judge: how sure it is of its verdicts."
)
@click.option("--seed", type=int, default=0)
def simulate(**options: Any) -> int:
    """A simulated OpenAI-compatible server with models and a judge, to try a configuration without a GPU."""
    from arena_tui.commands.simulate import simulate_command

    return simulate_command(**options)


@click.command()
@click.option("--host", default="127.0.0.1", help="Where to listen: only for this machine, or 0.0.0.0.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, help="0 picks a free one.")
@click.pass_obj
def web(invocation: Invocation, host: str, port: int) -> int:
    """The UI in a browser, behind a link with a token (of your own with ARENA_TUI_WEB_TOKEN)."""
    try:
        from arena_tui.commands.web import web_command
    except ImportError:
        raise UsageProblem("textual-serve is not installed", "pip install 'arena-tui[web]'") from None

    return web_command(invocation, host, port)
