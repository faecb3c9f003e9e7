"""The command `bench`: question sets from files and hubs, what benches hold, splits and removal."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.command import ArenaGroup, option_group
from arena_tui.completing import complete_benches
from arena_tui.invocation import Invocation, load_numpy


def pairs(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Split each COLUMN=FIELD at its last equals sign. Raises BadParameter."""
    found = []
    for value in values:
        for part in value.split(","):
            column, _, field = part.strip().rpartition("=")
            if not column or not field:
                raise click.BadParameter(f"{part!r} is not COLUMN=FIELD, such as instruction_ru=prompt")
            found.append((column, field))
    return tuple(found)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask; for scripts.")


@click.group(
    cls=ArenaGroup,
    section="Benches and files",
    examples=(
        "arena-tui bench list",
        "arena-tui bench add prompts.csv --map question=prompt  # your own prompts",
        "arena-tui bench add hub:Vikhrmodels/arena_hard_ru  # a data set of a hub",
    ),
)
def bench() -> None:
    """Add, show, split and remove question sets. From your own files, or from a hub of data sets."""


@bench.command("list", examples=("arena-tui bench list", "arena-tui bench list --json"))
@_json_option
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> int:
    """List the benches of the data folder."""
    load_numpy()
    from arena_tui.commands.bench import list_command

    return list_command(invocation, as_json=as_json)


@bench.command(examples=("arena-tui bench show arena-hard-ru", "arena-tui bench show --json  # that of the config"))
@click.argument("name", required=False, shell_complete=complete_benches)
@_json_option
@click.pass_obj
def show(invocation: Invocation, name: str | None, as_json: bool) -> int:
    """Show what a bench holds: questions, source, results, duplicates. NAME: by default that of the config."""
    load_numpy()
    from arena_tui.commands.bench import show_command

    return show_command(invocation, name, as_json=as_json)


@bench.command(
    examples=(
        "arena-tui bench add prompts.csv --map question=prompt",
        "arena-tui bench add chats.jsonl.gz --name my-prompts --yes",
        "arena-tui bench add hub:CohereLabs/m-ArenaHard --subset ru",
        "arena-tui bench add starter-en  # 48 questions that come with the program",
    ),
    exit_codes={130: "interrupted, or answered with no"},
)
@click.argument("source", metavar="SOURCE")
@click.option("--name", help="The bench.  [default: named after the file or the data set]")
@option_group(
    "Rows",
    click.option(
        "--map",
        "columns",
        multiple=True,
        callback=pairs,
        metavar="COLUMN=FIELD",
        help="Which column is which field: prompt, id, category, cluster, system. Repeatable, or joined by commas.",
    ),
    click.option("--encoding", metavar="NAME", help="Of a text file that is not UTF-8, such as cp1251."),
    click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be used, instead of stopping."),
    click.option("--drop-duplicates", is_flag=True, help="Leave out questions with the words of an earlier one."),
    click.option("--append", is_flag=True, help="Add the questions that an existing bench lacks."),
)
@option_group(
    "Data sets of a hub",
    click.option(
        "--subset",
        default="",
        show_default=False,
        metavar="NAME",
        help="Of a data set with several (such as a language).",
    ),
    click.option(
        "--split", default="", show_default=False, metavar="NAME", help="Of a data set with several (such as test)."
    ),
    click.option("--file", default="", show_default=False, metavar="PATH", help="Only this file of a data set."),
)
@option_group(
    "Preview",
    click.option("--dry-run", is_flag=True, help="Print the preview only."),
    _yes_option,
    _json_option,
)
@click.pass_obj
def add(invocation: Invocation, /, **options: Any) -> int:
    """Add a question set, after a preview. SOURCE: hub:OWNER/NAME[@REVISION], or a file of your own prompts.

    Files: .jsonl .json .csv .tsv .parquet .txt, also compressed (.gz .zst .bz2 .xz), with prompts, chats, or rows of
    TRL, ShareGPT, MT-bench or AlpacaEval.
    """
    load_numpy()
    from arena_tui.commands.bench import add_command

    return add_command(invocation, **options)


@bench.command(
    examples=(
        "arena-tui bench split arena-hard-ru --dev 100 --seed 1",
        "arena-tui bench split arena-hard-ru --dev 100 --with-results",
    )
)
@click.argument("name", required=False, shell_complete=complete_benches)
@click.option("--dev", type=click.IntRange(min=1), required=True, metavar="N", help="Questions to tune on.")
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Of the draw.")
@click.option("--with-results", is_flag=True, help="Copy the answers, judgments and labels of people as well.")
@_json_option
@click.pass_obj
def split(invocation: Invocation, /, **options: Any) -> int:
    """Split a bench into NAME-dev and NAME-test. So that nothing is tuned on what is reported.

    Stratified by category, near-duplicates in one part. Run again after questions were added: all keep their part.
    """
    load_numpy()
    from arena_tui.commands.bench import split_command

    return split_command(invocation, **options)


@bench.command(
    examples=("arena-tui bench remove old-set", "arena-tui bench remove old-set --yes --with-results"),
    exit_codes={130: "interrupted, or answered with no"},
)
@click.argument("name", shell_complete=complete_benches)
@click.option("--with-results", is_flag=True, help="Also if it holds answers, judgments or labels of people.")
@_yes_option
@click.pass_obj
def remove(invocation: Invocation, /, **options: Any) -> int:
    """Remove a bench from the disk. What would be lost is listed before; results only go if you say so."""
    load_numpy()
    from arena_tui.commands.bench import remove_command

    return remove_command(invocation, **options)
