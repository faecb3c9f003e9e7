"""The commands `arena-tui batch ...`: calls as files for a batch runner or service, and their results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from arena_tui.command import CALLS, ArenaGroup, option_group
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import models_option, repeats_option

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)i?[bB]?")
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def size(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """Return the bytes of a size such as 200M."""
    found = _SIZE.fullmatch(value.strip())
    if found is None or (bytes_ := int(float(found[1]) * _UNITS[found[2].lower()])) < 1000:
        raise click.BadParameter("give bytes, or a size such as 200M; at least 1k")
    return bytes_


_FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_scope_options = option_group(
    "What to make",
    models_option("Only these models (the baseline is always included)."),
    click.option(
        "--stage",
        type=click.Choice(["all", "answers", "judgments"]),
        default="all",
        help="Answers only, judgments only, or both.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of the seeded order."
    ),
    click.option(
        "--refresh",
        type=click.Choice(["stale", "unparsed"]),
        multiple=True,
        help="Also records made with other settings (stale), or games without a label (unparsed).",
    ),
    repeats_option,
)
_limit_options = option_group(
    "Size of files",
    click.option("--max-requests", type=click.IntRange(min=1), default=50_000, help="Requests in one file."),
    click.option("--max-bytes", callback=size, default="200M", metavar="SIZE", help="Size of one file."),
)


@click.group(
    cls=ArenaGroup,
    section="Run",
    exit_codes=CALLS,
    examples=(
        "arena-tui batch run  # all rounds on this machine, by vllm run-batch",
        "arena-tui batch write round-1  # files for a batch service",
        "arena-tui batch read round-1/results/*.jsonl  # take its results into the bench",
    ),
)
def batch() -> None:
    """Make calls by files instead of one by one. For batch services at half the price, and `vllm run-batch`.

    One round makes the next call of everything that is missing: answers first, then the judgments of them.
    """


@batch.command(
    examples=(
        "arena-tui batch write round-1",
        "arena-tui batch write round-1 --stage answers --max-requests 10000",
    ),
)
@_FOLDER
@_scope_options
@_limit_options
@_json_option
@click.pass_obj
def write(invocation: Invocation, /, **options: Any) -> int:
    """Write the missing calls as batch files into a new FOLDER. In OpenAI's format, which vLLM and others read."""
    load_numpy()
    from arena_tui.commands.batch import write_command

    return write_command(invocation, **options)


@batch.command(
    exit_codes={1: "results were failures, or belong to no call of this bench"},
    examples=("arena-tui batch read output.jsonl errors.jsonl",),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@_scope_options
@_json_option
@click.pass_obj
def read(invocation: Invocation, /, **options: Any) -> int:
    """Take files of results into the bench. In any order, partial, twice, or of another tool."""
    load_numpy()
    from arena_tui.commands.batch import read_command

    return read_command(invocation, **options)


@batch.command(
    exit_codes=CALLS,
    examples=(
        "arena-tui batch run",
        "arena-tui batch run batches/ --models checkpoint-1000",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@_scope_options
@_limit_options
@click.option("--ray", "on_cluster", is_flag=True, help="On the Ray cluster of the config, by Ray Data.")
@click.pass_obj
def run(invocation: Invocation, /, **options: Any) -> int:
    """Make all rounds on this machine by `vllm run-batch`. For models with a [serve] table; FOLDER keeps the files.

    By default FOLDER is `batches` in the folder of the bench. The same command continues after an interruption.
    """
    load_numpy()
    from arena_tui.commands.batch import run_command

    return run_command(invocation, **options)


@batch.command(
    exit_codes={1: "a batch failed"},
    examples=("arena-tui batch submit round-1",),
)
@_FOLDER
@_json_option
@click.pass_obj
def submit(invocation: Invocation, /, **options: Any) -> int:
    """Send the files of FOLDER to the batch service of their models. Files that were sent before are not sent again."""
    from arena_tui.commands.batch import submit_command

    return submit_command(invocation, **options)


@batch.command(
    exit_codes={1: "a batch failed"},
    examples=("arena-tui batch status round-1",),
)
@_FOLDER
@_json_option
@click.pass_obj
def status(invocation: Invocation, /, **options: Any) -> int:
    """Ask the service how far the batches of FOLDER are."""
    from arena_tui.commands.batch import status_command

    return status_command(invocation, **options)


@batch.command(
    exit_codes={1: "a batch failed, or results were failures"},
    examples=("arena-tui batch fetch round-1",),
)
@_FOLDER
@_json_option
@click.pass_obj
def fetch(invocation: Invocation, /, **options: Any) -> int:
    """Fetch the results of the batches that have ended, and take them into the bench."""
    load_numpy()
    from arena_tui.commands.batch import fetch_command

    return fetch_command(invocation, **options)
