"""The commands around a bench: its runs, checks, servers, the simulator and the UI in a browser.

Declared apart from `cli`, which adds them; the code of a command is imported only when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui.command import ArenaCommand, option_group
from arena_tui.completing import complete_benches, complete_models
from arena_tui.invocation import Invocation


@click.command(
    cls=ArenaCommand,
    section="Run",
    examples=(
        "arena-tui runs  # all runs of the bench",
        "arena-tui runs 1a2b3c  # servers, flags, sampling and config of one; the end of an id is enough",
        "arena-tui runs 1a2b3c 4d5e6f  # what differs between two",
    ),
)
@click.argument("ids", nargs=-1, metavar="[RUN [RUN]]")
@click.pass_obj
def runs(invocation: Invocation, ids: tuple[str, ...]) -> int:
    """List the runs of a bench. Shows servers, flags and sampling of one RUN, and the differences of two."""
    from arena_tui.commands.runs import runs_command

    return runs_command(invocation, ids)


@click.command(
    cls=ArenaCommand,
    section="Run",
    exit_codes={0: "a run is on", 1: "none is"},
    examples=("arena-tui status  # of the config's bench", "arena-tui status --all --json"),
)
@click.argument("benches", nargs=-1, metavar="[BENCH ...]", shell_complete=complete_benches)
@click.option("--all", "every", is_flag=True, help="Every bench of the data folder that has a run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, or a list with --all or several names.")
@click.pass_obj
def status(invocation: Invocation, benches: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Print one line about the run of a bench.

    Without a name: the bench of the config, or without a config every bench of the data folder.
    """
    from arena_tui.commands.status import status_command

    return status_command(invocation, benches, every=every, as_json=as_json)


@click.command(
    cls=ArenaCommand,
    section="Run",
    exit_codes={
        0: "no run is on any more",
        1: "it is still stopping after the time-out",
        2: "it cannot be reached (another user's, another machine), or wrong usage",
    },
    examples=("arena-tui stop  # calls in flight may finish", "arena-tui stop my-bench --at-once"),
)
@click.argument("benches", nargs=-1, metavar="[BENCH ...]", shell_complete=complete_benches)
@click.option("--all", "every", is_flag=True, help="Every bench of the data folder that has a run.")
@click.option("--at-once", is_flag=True, help="Do not wait for calls in flight, and kill servers.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=120.0, metavar="SECONDS", help="How long to wait for the end."
)
@click.pass_obj
def stop(invocation: Invocation, benches: tuple[str, ...], every: bool, at_once: bool, timeout: float) -> int:
    """Stop the run of a bench in order. Returns once its calls are saved and its servers are down."""
    from arena_tui.commands.status import stop_command

    return stop_command(invocation, benches, every=every, at_once=at_once, timeout=timeout)


@click.command(
    cls=ArenaCommand,
    section="Run",
    exit_codes={1: "the run that was attached to failed"},
    examples=("arena-tui attach  # in control: pause, limits, stop", "arena-tui attach --read-only"),
)
@click.option("--read-only", is_flag=True, help="Only look: no key changes the run.")
@click.pass_obj
def attach(invocation: Invocation, read_only: bool) -> int:
    """Open the UI on the run of the bench, in control of it. Quitting asks whether the run goes on."""
    from arena_tui.commands.ui import attach_command

    return attach_command(invocation, "read-only" if read_only else "control")


@click.command(
    cls=ArenaCommand,
    section="Servers and tools",
    exit_codes={0: "a run has everything it needs", 2: "there are problems, or wrong usage"},
    examples=(
        "arena-tui doctor",
        "arena-tui doctor --repair --dry-run  # what a repair of damaged files would change",
    ),
)
@click.option("--repair", is_flag=True, help="Repair damaged files of the bench; the original is kept beside each.")
@click.option("--dry-run", is_flag=True, help="With --repair: only list the repairs.")
@click.pass_obj
def doctor(invocation: Invocation, repair: bool, dry_run: bool) -> int:
    """Check config, data, servers, GPU and disk. Says what to do about each problem."""
    if repair:
        from arena_tui.commands.doctor import repair_command

        return repair_command(invocation, dry_run=dry_run)
    if dry_run:
        raise click.UsageError("--dry-run needs --repair; without it doctor changes nothing")
    from arena_tui.commands.doctor import doctor_command

    return doctor_command(invocation)


@click.command(
    cls=ArenaCommand,
    section="Servers and tools",
    exit_codes={1: "the server failed"},
    examples=(
        "arena-tui serve judge-70b  # as the entry in the config says; prints its address",
        "arena-tui serve judge-70b --register servers/  # for runs on other machines",
    ),
)
@click.argument("model", shell_complete=complete_models)
@click.option(
    "--register",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder in which runs on other machines find the server; needs a key in VLLM_API_KEY.",
)
@click.option("--host", help="Address to listen on. 127.0.0.1 by default; with --register that of this machine.")
@click.pass_obj
def serve(invocation: Invocation, model: str, register: Path | None, host: str | None) -> int:
    """Start vLLM for one model of the config. Stays in the foreground until Ctrl-C."""
    from arena_tui.commands.serve import serve_command

    return serve_command(invocation, model, register, host)


@click.command(
    cls=ArenaCommand,
    section="Servers and tools",
    reads_config=False,
    examples=("arena-tui simulate  # on port 8000", "arena-tui simulate --port 0 --position-bias 0.5 --latency 0"),
)
@option_group(
    "Server",
    click.option("--host", default="127.0.0.1", help="Address to listen on."),
    click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 picks a free port."),
    click.option("--latency", type=click.FloatRange(min=0), default=0.05, help="Seconds until a reply."),
)
@option_group(
    "Simulated judge",
    click.option("--position-bias", type=click.FloatRange(-1, 1), default=0.1, help="Above 0 it favours answer A."),
    click.option(
        "--verbosity-taste", type=click.FloatRange(-1, 1), default=0.1, help="Above 0 it favours long answers."
    ),
    click.option(
        "--sharpness", type=click.FloatRange(0.01, 100), default=1.0, help="How reliably it prefers better answers."
    ),
    click.option("--seed", type=int, default=0, help="Seed of everything that is drawn at random."),
)
def simulate(**options: Any) -> int:
    """Serve simulated models and a judge. An OpenAI-compatible server, to try a configuration without a GPU."""
    from arena_tui.commands.simulate import simulate_command

    return simulate_command(**options)


@click.command(
    cls=ArenaCommand,
    section="Servers and tools",
    examples=("arena-tui web  # prints a link for this machine's browser", "arena-tui web --host 0.0.0.0 --port 8443"),
)
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 accepts other machines.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, help="0 picks a free port.")
@click.pass_obj
def web(invocation: Invocation, host: str, port: int) -> int:
    """Serve the UI to a browser. A link works once (with your own token in ARENA_TUI_WEB_TOKEN, always)."""
    from arena_tui.commands.web import web_command

    return web_command(invocation, host, port)
