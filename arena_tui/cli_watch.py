"""The command `arena-tui watch`: evaluates the checkpoints of a training while it trains."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.command import FILE, FOLDER, ArenaCommand, option_group
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import wait_option


def gpu_list(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Split numbers of GPUs; None if the option was not given. Raises BadParameter."""
    if value is None:
        return None
    numbers = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) < 1024 for part in numbers):
        raise click.BadParameter(f"{value!r} is not a list of GPUs such as 0,1")
    return tuple(dict.fromkeys(map(int, numbers)))


@click.command(
    cls=ArenaCommand,
    section="Run",
    examples=(
        "arena-tui watch /runs/tulu3 --like llama-3.1-8b  # every checkpoint that appears there",
        "arena-tui watch /runs/tulu3 --once --json  # those that are there, a JSON object each",
        "arena-tui watch --port 8765  # those that a trainer names over HTTP",
    ),
    exit_codes={1: "the evaluation of a checkpoint failed", 130: "interrupted; the same command goes on"},
)
@click.argument("folder", type=FOLDER, required=False, metavar="[DIR]")
@option_group(
    "Checkpoints",
    click.option("--pattern", default="", metavar="GLOB", help="Only folders below DIR that match: '*/step_*'."),
    click.option("--order", type=click.Choice(["newest", "oldest"]), default="newest", help="Which one comes first."),
    click.option("--like", default="", metavar="MODEL", help="The config's entry that they are served and asked like."),
    click.option("--once", is_flag=True, help="End when no complete checkpoint is left."),
    click.option(
        "--poll",
        type=click.FloatRange(0.1, 3600),
        default=1.0,
        metavar="SECONDS",
        help="Between two looks at the folders.",
    ),
)
@option_group(
    "What is asked",
    click.option("--until", default="decided", metavar="RULE", help="The stop rule against the baseline, as of `run`."),
    click.option(
        "--until-best",
        metavar="RULE",
        help="For adapters: further questions until they are decided against the best so far, such as "
        "decided,calls:400.  [default: compare on the questions that both have]",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of the seeded order."
    ),
)
@option_group(
    "Servers beside a training",
    click.option(
        "--gpus", callback=gpu_list, metavar="0,1", help="GPUs for servers.  [default: the config's, else idle ones]"
    ),
    click.option(
        "--gpu-memory-utilization",
        "memory",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="SHARE",
        help="Memory of a GPU that each server takes, so that it fits beside a training.",
    ),
    click.option("--nice", type=click.IntRange(0, 19), help="How far servers stand back on the CPU."),
    click.option("--lock", type=FILE, help="Start no server while another program holds a lock on this file (flock)."),
    wait_option,
)
@option_group(
    "Requests of trainers",
    click.option(
        "--port", type=click.IntRange(0, 65535), help="Take POST /evaluate on 127.0.0.1 at this port (0: any free one)."
    ),
    click.option(
        "--token-file", type=FILE, help="Holds the token of requests.  [default: ~/.local/state/arena-tui/watch-token]"
    ),
    click.option("--show-token", is_flag=True, help="Print the token of requests."),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line for each checkpoint.")
@click.pass_obj
def watch(invocation: Invocation, /, **options: Any) -> int:
    """Evaluate the checkpoints of a training as they appear. In DIR, or those that a trainer names over HTTP.

    Each is compared with the baseline and with the best so far; results are kept when a checkpoint is deleted. The same
    command goes on where the last one was.
    """
    if options["folder"] is None and options["port"] is None:
        raise click.UsageError("name the folder of a training, or a --port at which trainers name checkpoints")
    load_numpy()
    from arena_tui.commands.watch import watch_command

    return watch_command(invocation, **options)
