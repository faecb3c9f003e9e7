"""The commands that take benches over from other programs, and hand them on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arena_tui.command import FILE, ArenaCommand, option_group
from arena_tui.completing import complete_models
from arena_tui.invocation import Invocation
from arena_tui.options import judge_option, models_option, names, strict_option
from arena_tui.output.exporting import FORMATS


@click.command(
    "import",
    cls=ArenaCommand,
    section="Benches and files",
    examples=(
        "arena-tui import ../arena-hard-auto/data/arena-hard-v2.0  # a bench, with its answers and judgments",
        "arena-tui import model_outputs.json --name starter-en  # answers of AlpacaEval, into a bench",
        "arena-tui import config/ --output config.toml  # the three YAML files of the original",
    ),
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="The bench to import into.  [default: the folder's name]")
@click.option("--output", type=FILE, help="For the three YAML files: the config file to write.  [default: config.toml]")
@click.pass_obj
def import_(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Import a bench, answers or a config. SOURCE: an arena-hard folder or file of either generation, or 3 YAML files.

    Also single files of AlpacaEval, AutoArena, MT-bench, LMArena and JudgeBench; see docs/formats.md.
    """
    from arena_tui.commands.importing import import_command

    return import_command(invocation, source, name, output)


@click.command(
    cls=ArenaCommand,
    section="Benches and files",
    examples=(
        "arena-tui export --to html  # one page to read, or to send",
        "arena-tui export --to arena-hard-v0.1 --out ../arena-hard-auto/data/my-bench",
        "arena-tui export --to csv --models a,b --out games.csv",
        "arena-tui export --to datasets --push my-name/my-results  # private, unless --public",
    ),
)
@option_group(
    "Target",
    click.option(
        "--to",
        "form",
        type=click.Choice([entry.name for entry in FORMATS]),
        required=True,
        help="An HTML page, tables, files of other programs, or results to publish; see docs/formats.md.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Target path.  [default: named after bench and format]",
    ),
    click.option("--force", is_flag=True, help="Overwrite existing files."),
    click.option("--push", metavar="OWNER/NAME", help="Upload the folder to this data set of the hub; needs HF_TOKEN."),
    click.option("--public", is_flag=True, help="With --push: a new data set is public.  [default: private]"),
)
@option_group(
    "What is exported",
    judge_option("Judges to export."),
    models_option("Only these models (baselines are always included)."),
    click.option(
        "--baseline",
        callback=names,
        metavar="B[,B2]",
        shell_complete=complete_models,
        help="Only judgments against these; the first is compared in formats with one.  "
        "[default: all, the config's first]",
    ),
    strict_option,
)
@click.pass_obj
def export(invocation: Invocation, /, **options: Any) -> int:
    """Write the bench in another format. Exports the judgments that its leaderboard counts, with their texts."""
    from arena_tui.commands.exporting import export_command

    return export_command(invocation, **options)
