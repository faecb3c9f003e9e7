"""`arena-tui simulate`: the simulated server on its own port, in the foreground."""

from __future__ import annotations

import asyncio
import signal

import click
import msgspec

from arena_tui import console
from arena_tui.headless import run_loop
from engine.errors import UsageProblem
from engine.simulator import demo_cast, running_simulator


def simulate_command(
    host: str, port: int, latency: float, position_bias: float, verbosity_taste: float, sharpness: float, seed: int
) -> int:
    """Serve until interrupted. Print only the base URL on stdout. Return the exit code."""
    cast = demo_cast()
    judges = tuple(
        msgspec.structs.replace(
            judge, position_bias=position_bias, verbosity_taste=verbosity_taste, sharpness=sharpness
        )
        for judge in cast.judges
    )
    return run_loop(_serve(msgspec.structs.replace(cast, judges=judges, latency=latency, seed=seed), host, port))


async def _serve(cast: object, host: str, port: int) -> int:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with running_simulator(cast, host=host, port=port) as url:  # type: ignore[arg-type]
            click.echo(f"{url}/v1")
            names = ", ".join(member.name for member in (*cast.models, *cast.judges))  # type: ignore[attr-defined]
            console.say(f"simulated models: {names}; Ctrl-C stops")
            await stopped.wait()
    except OSError as error:
        raise UsageProblem(f"cannot listen on {host}:{port} ({error.strerror})", "choose another --port") from None
    return console.DONE
