"""The command line: options and commands are declared here, what they do is imported only when one is called.

`main` is the only place where an exception becomes an exit code: 0 done, 1 some calls failed for good, 2 wrong usage,
config or data, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from arena_tui import console
from arena_tui.cli_servers import serve, simulate, web
from arena_tui.invocation import Invocation
from engine import __version__
from engine.errors import ArenaError, StorageError

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.option("-c", "--config", "config_path", type=_FILE, help="The config file.  [default: config.toml]")
@click.option("--data", type=_FOLDER, help="The folder that holds the benches, in place of the config's.")
@click.option("--no-ui", is_flag=True, help="No terminal UI: the same as the command `run`.")
@click.option("--demo", is_flag=True, help="The whole job on simulated servers and a starter bench; needs no config.")
@click.version_option(__version__, prog_name="arena-tui")
@click.pass_context
def cli(context: click.Context, config_path: Path | None, data: Path | None, no_ui: bool, demo: bool) -> None:
    """Is this checkpoint better than the last one, by how much, and can I trust that?

    Asks each model the questions of a bench, has a judge compare every answer with a baseline's, twice with the
    places swapped, and rates the models with honest 95% intervals. Everything is cached: a second run does only what
    is missing.
    """
    context.obj = Invocation(config_path, data, no_ui, demo)
    if context.invoked_subcommand is None:
        context.exit(_open_ui(context, "run"))


def _open_ui(context: click.Context, first_mode: str) -> int:
    """The terminal UI, or where there is no terminal for it the command `run`."""
    from arena_tui.commands.ui import has_terminal, ui_command

    if context.obj.no_ui or not has_terminal():
        return context.invoke(run, models=(), baseline=()) or 0
    return ui_command(context.obj, first_mode)


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else ()


def _style_words(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    words = () if value is None else tuple(word.strip().casefold() for word in value.split(",") if word.strip())
    if value is not None and not words:
        raise click.BadParameter("name what to control for: length, markdown, or length,markdown")
    for word in words:
        if word not in ("length", "markdown"):
            raise click.BadParameter(f"{word!r} is no style; there are length and markdown")
    return words


def _points(_context: click.Context, _option: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        points = tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers such as 10,5,3") from None
    if not all(0.0 < each <= 50.0 for each in points):
        raise click.BadParameter("differences are above 0 and at most 50 points")
    return points


@cli.command()
@click.option("--models", callback=_names, metavar="A,B", help="Only these models (the baseline takes part anyway).")
@click.option(
    "--baseline", callback=_names, metavar="B[,B2]", help="Whom the models are compared with, in place of the config's."
)
@click.option("--stage", type=click.Choice(["all", "answers", "judgments"]), default="all")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of the seeded order."
)
@click.option(
    "--refresh",
    type=click.Choice(["stale", "unparsed"]),
    multiple=True,
    help="Make again what other settings made (stale), or what got no verdict (unparsed).",
)
@click.option(
    "--until",
    metavar="RULE",
    help="Stop asking for a model as soon as decided (against the baseline; decided:MODEL against another), ci:POINTS "
    "(half-width), calls:N (of judges), or minutes:N; several joined by commas.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done: calls, cached, estimated tokens.")
@click.option("--json", "as_json", is_flag=True, help="The leaderboard as JSON on stdout.")
@click.pass_obj
def run(invocation: Invocation, /, **options: Any) -> int:
    """Answers, judgments, leaderboard for what the config names; resumes what is there."""
    from arena_tui.commands.run import run_command

    return run_command(invocation, **options)


@cli.command()
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "markdown", "arena-hard"]), default="table"
)
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Judges to pool.  [default: the config's]")
@click.option(
    "--baseline",
    callback=_names,
    metavar="B[,B2]",
    help="The model at 50.0; of several the first, and games against any of them count.  [default: the config's]",
)
@click.option("--rounds", type=click.IntRange(min=1), default=1000, help="Bootstrap rounds.")
@click.option("--seed", type=int, default=42, help="Of the bootstrap.")
@click.option(
    "--ci",
    type=click.Choice(["question", "battle", "sandwich"]),
    default="question",
    help="What is resampled; sandwich takes standard errors clustered by question instead.",
)
@click.option(
    "--weight", type=click.IntRange(min=1), help="Of a strong verdict (A>>B).  [default: 3, or the file's own]"
)
@click.option("--first-game-only", is_flag=True, help="Leave out the games with swapped places.")
@click.option("--full-stats", is_flag=True, help="Wins, ties and losses of each model as well.")
@click.option(
    "--style",
    callback=_style_words,
    metavar="WORDS",
    help="Control for the style of the answers: length,markdown (or one).",
)
@click.option("--elo", is_flag=True, help="Elo ratings (the baseline at 1000) in place of win rates.")
@click.option("--by", type=click.Choice(["category", "cluster"]), help="One leaderboard for each.")
@click.option("--soft", is_flag=True, help="Expected outcomes, by the judge's probabilities of its verdicts.")
@click.option("--battles", type=_FILE, help="A published arena_hard_battles.jsonl instead of judgments.")
@click.option("--save-battles", type=_FILE, help="Write the battles there, in the original's format.")
@click.option("--save-bootstrap", type=_FILE, help="Write the rating of every round there.")
@click.pass_obj
def leaderboard(invocation: Invocation, /, **options: Any) -> int:
    """Bradley-Terry win rates against the baseline, with 95% intervals."""
    from arena_tui.commands.leaderboard import leaderboard_command

    return leaderboard_command(invocation, **options)


@cli.command()
@click.argument("models", nargs=-1, metavar="[A B ...]")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Judges to pool.  [default: the config's]")
@click.option(
    "--baseline",
    callback=_names,
    metavar="B[,B2]",
    help="The model at 50.0; of several the first, and games against any of them count.  [default: the config's]",
)
@click.option("--direct", is_flag=True, help="Also games that were judged between the named models themselves.")
@click.option("--rounds", type=click.IntRange(min=1), default=1000, help="Bootstrap rounds.")
@click.option("--seed", type=click.IntRange(min=0), default=42, help="Of the bootstrap.")
@click.option(
    "--weight", type=click.IntRange(min=1), help="Of a strong verdict (A>>B).  [default: 3, or the file's own]"
)
@click.option("--soft", is_flag=True, help="Expected outcomes, by the judge's probabilities of its verdicts.")
@click.option("--battles", type=_FILE, help="A published arena_hard_battles.jsonl instead of judgments.")
@click.pass_obj
def compare(invocation: Invocation, /, **options: Any) -> int:
    """Is A better than B? Paired by question; several models (none named: all) with the ranks they can have."""
    from arena_tui.commands.compare import compare_command

    return compare_command(invocation, **options)


@cli.command()
@click.option(
    "--difference", "differences", callback=_points, default="10,5,3", metavar="X[,Y]", help="Points to tell apart."
)
@click.option("--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.8, help="How surely to find them.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Judges to pool.  [default: the config's]")
@click.option(
    "--baseline",
    callback=_names,
    metavar="B[,B2]",
    help="The model at 50.0; of several the first, and games against any of them count.  [default: the config's]",
)
@click.option(
    "--weight", type=click.IntRange(min=1), help="Of a strong verdict (A>>B).  [default: 3, or the file's own]"
)
@click.option("--soft", is_flag=True, help="Expected outcomes, by the judge's probabilities of its verdicts.")
@click.option("--battles", type=_FILE, help="A published arena_hard_battles.jsonl as the pilot, instead of judgments.")
@click.pass_obj
def plan(invocation: Invocation, /, **options: Any) -> int:
    """How many questions it takes to tell models apart, and how long, judging by what there is already."""
    from arena_tui.commands.plan import plan_command

    return plan_command(invocation, **options)


@cli.command()
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table")
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Whom to audit.  [default: the config's]")
@click.option("--baseline", metavar="B", help="The model at 50.0.  [default: the config's]")
@click.option("--battles", type=_FILE, help="A published arena_hard_battles.jsonl instead of judgments.")
@click.option(
    "--probe", is_flag=True, help="Have the judge compare constant answers with the baseline's: they must lose."
)
@click.option(
    "--repeat", type=click.IntRange(min=2), metavar="N", help="Ask for the same verdicts N times: are they the same?"
)
@click.option("--sample", type=click.IntRange(min=1), default=25, help="Questions for --probe, games for --repeat.")
@click.option(
    "--weight", type=click.IntRange(min=1), help="Of a strong verdict (A>>B).  [default: 3, or the file's own]"
)
@click.option("--rounds", type=click.IntRange(min=1), default=1000, help="Bootstrap rounds.")
@click.option("--seed", type=click.IntRange(min=0), default=42, help="Of the bootstrap and of the samples.")
@click.pass_obj
def audit(invocation: Invocation, /, **options: Any) -> int:
    """Can the judge be trusted for this bench? Place, length, language, its own kind, and what people say."""
    from arena_tui.commands.audit import audit_command

    return audit_command(invocation, **options)


@cli.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@click.option("--not-worse-than", metavar="MODEL", help="The reference.  [default: the baseline]")
@click.option("--margin", type=click.FloatRange(0, 50), default=2.0, metavar="POINTS", help="What may be lost.")
@click.option(
    "--baseline-result",
    type=_FILE,
    help="A stored result (leaderboard --format json, run --json, gate --format json) that has the reference, by "
    "default the model of the same name.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.5),
    default=0.025,
    help="One-sided error: 0.025 is the lower end of a 95% interval, 0.05 that of a 90% one.",
)
@click.option("--min-questions", type=click.IntRange(min=2), default=30, help="Refuse on fewer.")
@click.option(
    "--allow-missing", type=click.IntRange(min=0), default=0, help="Questions that may be judged for one side only."
)
@click.option("--any-sampling", is_flag=True, help="Answers may have been made with different settings.")
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table")
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Judges to pool.  [default: the config's]")
@click.option("--baseline", metavar="B", help="The model at 50.0.  [default: the config's]")
@click.option("--soft", is_flag=True, help="Expected outcomes, by the judge's probabilities of its verdicts.")
@click.option(
    "--weight", type=click.IntRange(min=1), help="Of a strong verdict (A>>B).  [default: 3, or the file's own]"
)
@click.option("--first-game-only", is_flag=True, help="Leave out the games with swapped places.")
@click.option("--battles", type=_FILE, help="A published arena_hard_battles.jsonl instead of judgments.")
@click.pass_obj
def gate(invocation: Invocation, /, **options: Any) -> int:
    """Is MODEL (none named: every one) not worse than the reference by the margin? For CI.

    Exit code 0: shown not to be worse. 1: worse, or not shown. 2: cannot be told (missing judgments, other questions,
    prompt, judge or settings, too few questions).
    """
    from arena_tui.commands.gate import gate_command

    return gate_command(invocation, **options)


@cli.command()
@click.option("--reviewer", metavar="NAME", help="Whose labels these are.  [default: your user name]")
@click.pass_obj
def review(invocation: Invocation, reviewer: str | None) -> int:
    """Compare answers yourself, blind and by keyboard; see how far you and the judge agree. Needs no server."""
    from arena_tui.commands.ui import review_command

    return review_command(invocation, reviewer)


@cli.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="The bench to import into.  [default: the folder's name]")
@click.option("--output", type=_FILE, help="For the three YAML files: the config to write.  [default: config.toml]")
@click.pass_obj
def import_(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Bring in SOURCE: an arena-hard folder or file of either generation, or the original's three YAML files.

    Also single files of AlpacaEval (model_outputs.json), AutoArena (CSV) and MT-bench.
    """
    from arena_tui.commands.importing import import_command

    return import_command(invocation, source, name, output)


@cli.command()
@click.option(
    "--to",
    "form",
    type=click.Choice(["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet", "html"]),
    required=True,
    help="Folders of other programs, one table with a row a game, or a page to read.",
)
@click.option("--judge", "judges", callback=_names, metavar="J[,J2]", help="Whose judgments.  [default: the config's]")
@click.option("--models", callback=_names, metavar="A,B", help="Only these models (the baseline goes along).")
@click.option("--baseline", metavar="B", help="The model at 50.0.  [default: the config's]")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PATH", help="Where to.  [default: named after bench and format]"
)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.pass_obj
def export(invocation: Invocation, /, **options: Any) -> int:
    """Write the bench in another program's format: what its leaderboard rests on, in today's texts."""
    from arena_tui.commands.exporting import export_command

    return export_command(invocation, **options)


@cli.command()
@click.argument("ids", nargs=-1, metavar="[RUN [RUN]]")
@click.pass_obj
def runs(invocation: Invocation, ids: tuple[str, ...]) -> int:
    """The runs of a bench: with which servers, flags and sampling; of two, in what they differ."""
    from arena_tui.commands.runs import runs_command

    return runs_command(invocation, ids)


@cli.command()
@click.option("--repair", is_flag=True, help="Mend damaged files of the bench; each is kept as it was, beside it.")
@click.option("--dry-run", is_flag=True, help="With --repair: only say what would be mended.")
@click.pass_obj
def doctor(invocation: Invocation, repair: bool, dry_run: bool) -> int:
    """Check config, data, endpoints, vLLM, GPU and disk; say what to do."""
    if repair:
        from arena_tui.commands.doctor import repair_command

        return repair_command(invocation, dry_run=dry_run)
    if dry_run:
        raise click.UsageError("--dry-run belongs to --repair; without it the doctor changes nothing anyway")
    from arena_tui.commands.doctor import doctor_command

    return doctor_command(invocation)


for _command in (simulate, serve, web):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        return cli.main(arguments, prog_name="arena-tui", standalone_mode=False) or console.DONE
    except ArenaError as error:
        return console.complain(error)
    except click.ClickException as error:
        error.show(sys.stderr)
        return console.USAGE
    except (click.Abort, KeyboardInterrupt):
        console.say("interrupted")
        return console.INTERRUPTED
    except MemoryError:
        hint = "free some, then run the same command again: what was saved is kept"
        return console.complain(StorageError("there is not enough memory", hint))
    except BrokenPipeError:  # the reader of stdout has gone (`| head`): that is no failure of ours
        sys.stderr.close()
        return console.DONE
    except Exception:
        return console.confess()


def entry() -> None:
    """The console script. What it writes is for nobody else to write to, whatever the umask allows."""
    os.umask(os.umask(0o077) | 0o022)
    sys.exit(main())
