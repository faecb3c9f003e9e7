"""The command line: declares commands and options; the code of a command is imported only when it is called.

`report_failure` is the only place where an exception becomes an exit code: 0 done, 1 some calls failed permanently, 2
wrong usage, config or data, 130 interrupted. How a command is declared: see `arena_tui.command`.
"""

from __future__ import annotations

import errno
import sys
from dataclasses import replace
from typing import Any

import click

from arena_tui import console
from arena_tui.cli_batch import batch
from arena_tui.cli_bench import bench
from arena_tui.cli_config import completion, config
from arena_tui.cli_curve import curve
from arena_tui.cli_files import export, import_
from arena_tui.cli_noise import noise
from arena_tui.cli_report import report
from arena_tui.cli_results import audit, compare, gate, leaderboard, plan
from arena_tui.cli_tools import attach, doctor, runs, serve, simulate, status, stop, web
from arena_tui.cli_watch import watch
from arena_tui.command import CALLS, ArenaGroup, config_options, log_options, option_group, start_log
from arena_tui.completing import complete_models
from arena_tui.detaching import Release, in_child
from arena_tui.invocation import PREFIX, Invocation, load_numpy
from arena_tui.options import models_option, names, repeats_option, wait_option
from engine.errors import ArenaError, StorageError, UsageProblem


@click.group(
    cls=ArenaGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    common=(*config_options(f"{PREFIX}CONFIG"), *log_options(variables=True)),
    exit_codes=CALLS,
    examples=(
        "arena-tui  # the terminal UI; without a config it sets one up",
        "arena-tui --demo  # try everything on simulated servers",
        "arena-tui run --dry-run  # what a run would do, and cost",
        "arena-tui --set judge.max_tokens=256 run  # a value of the config for this run alone",
        "arena-tui COMMAND --help  # options, examples and exit codes of a command",
    ),
)
@option_group(
    "Terminal UI",
    click.option("--no-ui", is_flag=True, help="No terminal UI: the same as the command `run`."),
    click.option(
        "--demo", is_flag=True, help="Run everything on simulated servers and a starter bench; needs no config."
    ),
)
@option_group(
    "About",
    click.option("--version", is_flag=True, is_eager=True, help="Print the version and exit."),
    click.option("--json", "as_json", is_flag=True, is_eager=True, help="With --version: also those of what it uses."),
)
@click.pass_context
def cli(context: click.Context, no_ui: bool, demo: bool, version: bool, as_json: bool) -> None:
    """Compare language models with a judge: is this checkpoint better than the last one, and by how much?

    Requests answers to the questions of a bench, has a judge compare each answer with a baseline's in both orders, and
    rates the models with 95% intervals. Everything is cached: a second run makes only the calls that are missing.

    Each option is also read from a variable, as `run --limit` from ARENA_TUI_RUN_LIMIT, and each key of the config, as
    judge.max_tokens from ARENA_TUI_JUDGE__MAX_TOKENS. An option wins over --set, a variable, the file, the default.
    """
    if as_json and not version:
        raise click.UsageError("--json before a command belongs to --version; of a command it stands after it")
    if version:
        from arena_tui.versions import version_json, version_text

        click.echo(version_json() if as_json else version_text())
        context.exit()
    context.obj = replace(context.obj or Invocation(), no_ui=no_ui, demo=demo)
    if context.invoked_subcommand is None:
        start_log(context)
        context.exit(_open_ui(context))


def _open_ui(context: click.Context) -> int:
    """Open the terminal UI; without a terminal, run the command `run`. Return the exit code."""
    from arena_tui.commands.ui import has_terminal, ui_command

    if context.obj.no_ui or not has_terminal():
        return context.invoke(run, models=(), baseline=()) or 0
    return ui_command(context.obj)


@cli.command(
    section="Run",
    exit_codes=CALLS,
    examples=(
        "arena-tui run --dry-run  # the plan: calls, tokens, costs, hours of servers",
        "arena-tui run --models checkpoint-500,checkpoint-1000  # these models alone",
        "arena-tui run --limit 100 --until decided  # stop as soon as each model is decided",
        "arena-tui run --detach  # leave it on, without the terminal",
        "arena-tui run --set judge.max_tokens=256 --json > board.json",
    ),
)
@option_group(
    "What to make",
    models_option("Only these models (the baseline is always included)."),
    click.option(
        "--baseline",
        callback=names,
        metavar="B[,B2]",
        shell_complete=complete_models,
        help="The model to compare with, instead of the config's.",
    ),
    click.option(
        "--stage",
        type=click.Choice(["all", "answers", "judgments"]),
        default="all",
        help="Answers only, judgments only, or both.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of the seeded order."
    ),
    repeats_option,
    click.option(
        "--refresh",
        type=click.Choice(["stale", "unparsed"]),
        multiple=True,
        help="Recreate records made with other settings (stale), or repeat games without a label (unparsed).",
    ),
)
@option_group(
    "When to stop",
    click.option(
        "--until",
        metavar="RULE",
        help="Stop requesting a model as soon as it is decided (against the baseline; decided:MODEL against another), "
        "equivalent:POINTS (or surely further apart), at ci:POINTS (half-width), calls:N (of judges), or minutes:N; "
        "several joined by commas. alpha:P sets how often any of all models may be decided wrongly (0.05).",
    ),
    click.option("--per-model", is_flag=True, help="With --until: keep that level for each model on its own."),
    wait_option,
    click.option(
        "--max-cost",
        type=click.FloatRange(min=0, min_open=True),
        metavar="AMOUNT",
        help="Start nothing more once the calls have cost this much, by the `price` of the models in the config.",
    ),
    click.option(
        "--max-hours",
        type=click.FloatRange(min=0, max=8760, min_open=True),
        metavar="HOURS",
        help="Start nothing more after this time.",
    ),
)
@option_group(
    "How to run and report",
    click.option("--dry-run", is_flag=True, help="Print the plan only: calls, tokens, costs, hours of servers."),
    click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON."),
    click.option(
        "--json-events",
        is_flag=False,
        flag_value="-",
        metavar="[FILE]",
        help="Write the events of the run as lines of JSON to this file, or to stdout in place of the leaderboard, "
        "which is the last line.",
    ),
    click.option("--every-call", is_flag=True, help="With --json-events: also the events of every call and record."),
    click.option("--detach", is_flag=True, help="Return once the run has started; it goes on without the terminal."),
)
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


@cli.command(
    section="Judge",
    examples=(
        "arena-tui review  # compare two answers without their names, by keyboard",
        "arena-tui review --reviewer anna  # labels of another person, kept apart",
    ),
)
@click.option("--reviewer", metavar="NAME", help="The reviewer that the labels belong to.  [default: your user name]")
@click.pass_obj
def review(invocation: Invocation, reviewer: str | None) -> int:
    """Label answers yourself, blind. Shows how often the judge agrees with you; needs no server."""
    from arena_tui.commands.ui import review_command

    return review_command(invocation, reviewer)


for tool in (watch, status, stop, attach, runs, batch, bench, import_, export):
    cli.add_command(tool)
for tool in (leaderboard, compare, curve, plan, noise, audit, gate):
    cli.add_command(tool)
for tool in (report, doctor, serve, simulate, web, config, completion):
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
