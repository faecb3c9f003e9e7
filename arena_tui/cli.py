"""The command line: declares commands and options; the code of a command is imported only when it is called.

`report_failure` is the only place where an exception becomes an exit code: 0 done, 1 some calls failed permanently, 2
wrong usage, config or data, 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import click

from arena_tui import console
from arena_tui.cli_batch import batch
from arena_tui.cli_tools import attach, doctor, runs, serve, simulate, status, stop, web
from arena_tui.detaching import Release, in_child
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import (
    FILE,
    FOLDER,
    baseline_option,
    battles_option,
    bootstrap_options,
    first_game_option,
    format_option,
    judge_option,
    models_option,
    names,
    null_games_option,
    points,
    rating_options,
    soft_option,
    strict_option,
    style_words,
    wait_option,
    weight_option,
)
from engine import __version__
from engine.errors import ArenaError, StorageError, UsageProblem
from engine.ratings import ALPHA, MINIMUM_QUESTIONS


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.option("-c", "--config", "config_path", type=FILE, help="The config file.  [default: config.toml]")
@click.option("--data", type=FOLDER, help="The folder that holds the benches, instead of the config's.")
@click.option("--no-ui", is_flag=True, help="No terminal UI: the same as the command `run`.")
@click.option("--demo", is_flag=True, help="Run everything on simulated servers and a starter bench; needs no config.")
@click.version_option(__version__, prog_name="arena-tui")
@click.pass_context
def cli(context: click.Context, config_path: Path | None, data: Path | None, no_ui: bool, demo: bool) -> None:
    """Compare language models with a judge: is this checkpoint better than the last one, and by how much?

    Requests answers to the questions of a bench, has a judge compare each answer with a baseline's in both orders, and
    rates the models with 95% intervals. Everything is cached: a second run makes only the calls that are missing.
    """
    context.obj = Invocation(config_path, data, no_ui, demo)
    if context.invoked_subcommand is None:
        context.exit(_open_ui(context))


def _open_ui(context: click.Context) -> int:
    """Open the terminal UI; without a terminal, run the command `run`. Return the exit code."""
    from arena_tui.commands.ui import has_terminal, ui_command

    if context.obj.no_ui or not has_terminal():
        return context.invoke(run, models=(), baseline=()) or 0
    return ui_command(context.obj)


@cli.command()
@models_option("Only these models (the baseline is always included).")
@click.option(
    "--baseline", callback=names, metavar="B[,B2]", help="The model to compare with, instead of the config's."
)
@click.option("--stage", type=click.Choice(["all", "answers", "judgments"]), default="all")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of the seeded order."
)
@click.option(
    "--refresh",
    type=click.Choice(["stale", "unparsed"]),
    multiple=True,
    help="Recreate records made with other settings (stale), or repeat games without a label (unparsed).",
)
@click.option(
    "--until",
    metavar="RULE",
    help="Stop requesting a model as soon as it is decided (against the baseline; decided:MODEL against another), "
    "equivalent:POINTS (or surely further apart), at ci:POINTS (half-width), calls:N (of judges), or minutes:N; "
    "several joined by commas.",
)
@wait_option
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="AMOUNT",
    help="Start nothing more once the calls have cost this much, by the `price` of the models in the config.",
)
@click.option(
    "--max-hours",
    type=click.FloatRange(min=0, max=8760, min_open=True),
    metavar="HOURS",
    help="Start nothing more after this time.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan only: calls, tokens, costs, hours of servers.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON.")
@click.option("--detach", is_flag=True, help="Return once the run has started; it goes on without the terminal.")
@click.pass_obj
def run(invocation: Invocation, /, *, detach: bool, **options: Any) -> int:
    """Make the missing calls and rate the models. Answers and judgments of the config; resumes an earlier run."""
    if detach and options["dry_run"]:
        raise click.UsageError("--detach starts a run and --dry-run none: leave one of them out")

    def work(release: Release | None) -> int:
        load_numpy()
        from arena_tui.commands.run import run_command

        return run_command(invocation, **options, release=release)

    return in_child(work, new_session=True) if detach else work(None)


@cli.command()
@format_option("table", "json", "csv", "markdown", "arena-hard")
@rating_options
@bootstrap_options
@click.option(
    "--ci",
    type=click.Choice(["question", "battle", "sandwich"]),
    default="question",
    help="What the bootstrap resamples; sandwich: standard errors clustered by question instead.",
)
@first_game_option
@click.option("--full-stats", is_flag=True, help="Also wins, ties and losses of each model.")
@click.option(
    "--style",
    callback=style_words,
    metavar="WORDS",
    help="Control for the style of the answers: length,markdown (or one).",
)
@click.option("--elo", is_flag=True, help="Elo ratings (the baseline at 1000) instead of win rates.")
@click.option("--by", type=click.Choice(["category", "cluster"]), help="One leaderboard for each.")
@click.option("--save-battles", type=FILE, help="Write the battles to this file, in the original's format.")
@click.option("--save-bootstrap", type=FILE, help="Write the ratings of every bootstrap round to this file.")
@click.pass_obj
def leaderboard(invocation: Invocation, /, **options: Any) -> int:
    """Rate the models, with 95% intervals. The score is the Bradley-Terry win rate against the baseline."""
    load_numpy()
    from arena_tui.commands.leaderboard import leaderboard_command

    return leaderboard_command(invocation, **options)


@cli.command()
@click.argument("models", nargs=-1, metavar="[A B ...]")
@format_option("table", "json")
@rating_options
@click.option("--direct", is_flag=True, help="Also use games judged directly between the named models.")
@click.option(
    "--margin",
    type=click.FloatRange(min=0, max=50, min_open=True, max_open=True),
    metavar="POINTS",
    help="Models whose difference is shown to be smaller count as equivalent.  [default: 2, where undecided otherwise]",
)
@bootstrap_options
@click.pass_obj
def compare(invocation: Invocation, /, **options: Any) -> int:
    """Compare models, paired by question. Is A better than B? None named: all, with the ranks each can have."""
    load_numpy()
    from arena_tui.commands.compare import compare_command

    return compare_command(invocation, **options)


@cli.command()
@click.option(
    "--difference",
    "differences",
    callback=points,
    default="10,5,3",
    metavar="X[,Y]",
    help="Differences to detect, in points.",
)
@click.option("--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.8, help="Chance of detecting them.")
@format_option("table", "json")
@rating_options
@click.pass_obj
def plan(invocation: Invocation, /, **options: Any) -> int:
    """Estimate how many questions are needed. For each difference: questions, calls, time; from judgments so far."""
    load_numpy()
    from arena_tui.commands.plan import plan_command

    return plan_command(invocation, **options)


@cli.command()
@format_option("table", "json", "markdown")
@judge_option("Judges to audit.")
@baseline_option
@battles_option
@click.option(
    "--probe", is_flag=True, help="Have the judge compare constant answers with the baseline's; they must lose."
)
@click.option(
    "--repeat", type=click.IntRange(min=2), metavar="N", help="Repeat the same games N times and count equal verdicts."
)
@click.option("--sample", type=click.IntRange(min=1), default=25, help="Questions for --probe, games for --repeat.")
@weight_option
@strict_option
@null_games_option
@wait_option
@bootstrap_options
@click.pass_obj
def audit(invocation: Invocation, /, **options: Any) -> int:
    """Check whether the judge can be trusted. Bias by position, length, language, own family; people's labels."""
    load_numpy()
    from arena_tui.commands.audit import audit_command

    return audit_command(invocation, **options)


@cli.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@click.option("--not-worse-than", metavar="MODEL", help="The reference model.  [default: the baseline]")
@click.option("--margin", type=click.FloatRange(0, 50), default=2.0, metavar="POINTS", help="Largest loss that passes.")
@click.option(
    "--baseline-result",
    type=FILE,
    help="A stored result (leaderboard --format json, run --json, gate --format json) that holds the reference, by "
    "default the model of the same name.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.5),
    default=ALPHA / 2,
    help="One-sided error: 0.025 is the lower end of a 95% interval, 0.05 that of a 90% interval.",
)
@click.option(
    "--min-questions",
    type=click.IntRange(min=2),
    default=MINIMUM_QUESTIONS,
    help="Refuse if there are fewer questions.",
)
@click.option(
    "--allow-missing",
    type=click.IntRange(min=0),
    default=0,
    help="How many questions may be judged for one side only.",
)
@click.option("--any-sampling", is_flag=True, help="Accept answers made with different sampling settings.")
@format_option("table", "json", "markdown")
@judge_option("Judges to pool.")
@baseline_option
@soft_option
@weight_option
@first_game_option
@battles_option
@strict_option
@null_games_option
@click.pass_obj
def gate(invocation: Invocation, /, **options: Any) -> int:
    """Check that models are not worse, for CI. MODEL (none named: every one) may lose at most the margin.

    Exit code 0: shown not to be worse. 1: worse, or not shown. 2: not comparable (missing judgments, other questions,
    prompt, judge or settings, too few questions).
    """
    load_numpy()
    from arena_tui.commands.gate import gate_command

    return gate_command(invocation, **options)


@cli.command()
@click.option("--reviewer", metavar="NAME", help="The reviewer that the labels belong to.  [default: your user name]")
@click.pass_obj
def review(invocation: Invocation, reviewer: str | None) -> int:
    """Label answers yourself, blind. Shows how often the judge agrees with you; needs no server."""
    from arena_tui.commands.ui import review_command

    return review_command(invocation, reviewer)


@cli.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="The bench to import into.  [default: the folder's name]")
@click.option("--output", type=FILE, help="For the three YAML files: the config file to write.  [default: config.toml]")
@click.pass_obj
def import_(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Import a bench, answers or a config. SOURCE: an arena-hard folder or file of either generation, or 3 YAML files.

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
    help="Folders of other programs, one table with a row a game, or an HTML page.",
)
@judge_option("Judges to export.")
@models_option("Only these models (baselines are always included).")
@click.option(
    "--baseline",
    callback=names,
    metavar="B[,B2]",
    help="Only judgments against these; the first is compared in formats with one.  [default: all, the config's first]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Target path.  [default: named after bench and format]",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@strict_option
@click.pass_obj
def export(invocation: Invocation, /, **options: Any) -> int:
    """Write the bench in another format. Exports the judgments that its leaderboard counts, with their texts."""
    from arena_tui.commands.exporting import export_command

    return export_command(invocation, **options)


for tool in (batch, runs, status, stop, attach, doctor, serve, simulate, web):
    cli.add_command(tool)

_OF_THE_PATH = {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}
"""Errors of the system that a path on the command line or in the config causes."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        return cli.main(arguments, prog_name="arena-tui", standalone_mode=False) or console.DONE
    except (Exception, KeyboardInterrupt) as error:
        return report_failure(error)


def report_failure(error: BaseException) -> int:
    """Report what ended the program, and return the exit code."""
    try:
        raise error
    except ArenaError as problem:
        return console.report_error(problem)
    except click.ClickException as problem:
        problem.show(sys.stderr)
        return console.USAGE
    except (click.Abort, KeyboardInterrupt):
        console.say("interrupted")
        return console.INTERRUPTED
    except MemoryError:
        hint = "free some and run the same command to resume: saved results are kept"
        return console.report_error(StorageError("out of memory", hint))
    except BrokenPipeError:  # the reader of stdout closed it (`| head`): not an error
        sys.stderr.close()
        return console.DONE
    except OSError as fault:
        if fault.errno in _OF_THE_PATH and fault.filename is not None:
            return console.report_error(UsageProblem(f"{fault.filename}: {fault.strerror}", "check the path"))
        return console.report_bug()
    except Exception:
        return console.report_bug()
