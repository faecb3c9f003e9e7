"""The commands that rate what a bench holds: leaderboard, comparison, study plan, audit of the judge, gate."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.cli_noise import mix_options
from arena_tui.command import CALLS, FILE, ArenaCommand, option_group
from arena_tui.completing import complete_models
from arena_tui.invocation import Invocation, load_numpy
from arena_tui.options import (
    baseline_option,
    battles_option,
    bootstrap_options,
    first_game_option,
    format_option,
    judge_option,
    null_games_option,
    points,
    rating_options,
    soft_option,
    strict_option,
    style_words,
    track_option,
    wait_option,
    weight_option,
)
from engine.ratings import ALPHA, MINIMUM_QUESTIONS


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui leaderboard",
        "arena-tui leaderboard --by category --style length,markdown",
        "arena-tui leaderboard --judge judge-one --baseline gpt-4-0314 --format json > board.json",
        "arena-tui leaderboard --battles arena_hard_battles.jsonl  # a published file, without a config",
    ),
)
@option_group(
    "What is shown",
    format_option("table", "json", "csv", "markdown", "arena-hard"),
    click.option("--elo", is_flag=True, help="Elo ratings (the baseline at 1000) instead of win rates."),
    click.option("--full-stats", is_flag=True, help="Also wins, ties and losses of each model."),
    click.option("--by", type=click.Choice(["category", "cluster"]), help="One leaderboard for each."),
)
@rating_options
@option_group(
    "What counts",
    first_game_option,
    click.option(
        "--style",
        callback=style_words,
        metavar="WORDS",
        help="Control for the style of the answers: length,markdown (or one).",
    ),
)
@bootstrap_options
@option_group(
    "Bootstrap",
    click.option(
        "--ci",
        type=click.Choice(["question", "battle", "sandwich"]),
        default="question",
        help="What the bootstrap resamples; sandwich: standard errors clustered by question instead.",
    ),
)
@option_group(
    "Files",
    click.option("--save-battles", type=FILE, help="Write the battles to this file, in the original's format."),
    click.option("--save-bootstrap", type=FILE, help="Write the ratings of every bootstrap round to this file."),
)
@track_option
@click.pass_obj
def leaderboard(invocation: Invocation, /, **options: Any) -> int:
    """Rate the models, with 95% intervals. The score is the Bradley-Terry win rate against the baseline."""
    load_numpy()
    from arena_tui.commands.leaderboard import leaderboard_command

    return leaderboard_command(invocation, **options)


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui compare checkpoint-1000 checkpoint-500  # is the first better?",
        "arena-tui compare --margin 3  # all pairs; differences below 3 points count as equivalent",
        "arena-tui compare a b --direct --format json",
    ),
)
@click.argument("models", nargs=-1, metavar="[A B ...]", shell_complete=complete_models)
@option_group(
    "What is shown",
    format_option("table", "json"),
    click.option(
        "--margin",
        type=click.FloatRange(min=0, max=50, min_open=True, max_open=True),
        metavar="POINTS",
        help="Models whose difference is shown to be smaller count as equivalent.  "
        "[default: 2, where undecided otherwise]",
    ),
)
@rating_options
@option_group(
    "What counts",
    click.option("--direct", is_flag=True, help="Also use games judged directly between the named models."),
)
@bootstrap_options
@click.pass_obj
def compare(invocation: Invocation, /, **options: Any) -> int:
    """Compare models, paired by question. Is A better than B? None named: all, with the ranks each can have."""
    load_numpy()
    from arena_tui.commands.compare import compare_command

    return compare_command(invocation, **options)


@click.command(
    cls=ArenaCommand,
    section="Results",
    examples=(
        "arena-tui plan  # questions needed to detect differences of 10, 5 and 3 points",
        "arena-tui plan --difference 2 --power 0.9",
        "arena-tui plan --half-width 2  # the cheapest mix of questions, answers and judgments, after `run --repeats`",
        "arena-tui plan --half-width 2 --components 30,20,15",
    ),
)
@option_group(
    "Study",
    click.option(
        "--difference",
        "differences",
        callback=points,
        default="10,5,3",
        metavar="X[,Y]",
        help="Differences to detect, in points.",
    ),
    click.option(
        "--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.8, help="Chance of detecting them."
    ),
    format_option("table", "json"),
)
@mix_options
@rating_options
@click.pass_obj
def plan(invocation: Invocation, /, *, half_width: float | None, **options: Any) -> int:
    """Estimate how many questions are needed. For each difference: questions, calls, time; from judgments so far."""
    mix = {name: options.pop(name) for name in ("models", "components", "goal", "question_cost")}
    if half_width is None and (mix["models"] or mix["components"] or mix["goal"] != "calls" or mix["question_cost"]):
        raise click.UsageError("--models, --components, --least and --question-cost belong to --half-width")
    load_numpy()
    if half_width is not None:
        from arena_tui.commands.noise import mix_command

        del options["differences"], options["power"]
        return mix_command(invocation, half_width, **mix, **options)
    from arena_tui.commands.plan import plan_command

    return plan_command(invocation, **options)


@click.command(
    cls=ArenaCommand,
    section="Judge",
    exit_codes=CALLS,
    examples=(
        "arena-tui audit  # position, length, language, family, from the judgments there are",
        "arena-tui audit --probe --repeat 5  # with calls to the judge: known losers, and the same games again",
        "arena-tui audit --judge judge-one --format markdown",
    ),
)
@option_group(
    "What is audited",
    format_option("table", "json", "markdown"),
    judge_option("Judges to audit."),
    baseline_option,
    battles_option,
    weight_option,
    strict_option,
    null_games_option,
)
@option_group(
    "Calls to the judge",
    click.option(
        "--probe", is_flag=True, help="Have the judge compare constant answers with the baseline's; they must lose."
    ),
    click.option(
        "--repeat",
        type=click.IntRange(min=2),
        metavar="N",
        help="Repeat the same games N times and count equal verdicts.",
    ),
    click.option("--sample", type=click.IntRange(min=1), default=25, help="Questions for --probe, games for --repeat."),
    wait_option,
)
@bootstrap_options
@click.pass_obj
def audit(invocation: Invocation, /, **options: Any) -> int:
    """Check whether the judge can be trusted. Bias by position, length, language, own family; people's labels."""
    load_numpy()
    from arena_tui.commands.audit import audit_command

    return audit_command(invocation, **options)


@click.command(
    cls=ArenaCommand,
    section="Results",
    exit_codes={
        0: "shown not to be worse",
        1: "worse, or not shown",
        2: "not comparable (missing judgments, other questions, prompt, judge or settings, too few questions), or "
        "wrong usage",
    },
    examples=(
        "arena-tui gate checkpoint-1000  # at most 2 points worse than the baseline",
        "arena-tui gate checkpoint-1000 --not-worse-than checkpoint-500 --margin 3",
        "arena-tui gate checkpoint-1000 --not-worse-than main --baseline-result main.json --format markdown",
    ),
)
@click.argument("models", nargs=-1, metavar="[MODEL ...]", shell_complete=complete_models)
@option_group(
    "The gate",
    click.option(
        "--not-worse-than",
        metavar="MODEL",
        shell_complete=complete_models,
        help="The reference model.  [default: the baseline]",
    ),
    click.option(
        "--margin", type=click.FloatRange(0, 50), default=2.0, metavar="POINTS", help="Largest loss that passes."
    ),
    click.option(
        "--baseline-result",
        type=FILE,
        help="A stored result (leaderboard --format json, run --json, gate --format json) that holds the reference, "
        "by default the model of the same name.",
    ),
    click.option(
        "--alpha",
        type=click.FloatRange(0.0001, 0.5),
        default=ALPHA / 2,
        help="One-sided error: 0.025 is the lower end of a 95% interval, 0.05 that of a 90% interval.",
    ),
    click.option(
        "--min-questions",
        type=click.IntRange(min=2),
        default=MINIMUM_QUESTIONS,
        help="Refuse if there are fewer questions.",
    ),
    click.option(
        "--allow-missing",
        type=click.IntRange(min=0),
        default=0,
        help="How many questions may be judged for one side only.",
    ),
    click.option("--any-sampling", is_flag=True, help="Accept answers made with different sampling settings."),
    format_option("table", "json", "markdown"),
)
@option_group(
    "What counts",
    judge_option("Judges to pool."),
    baseline_option,
    soft_option,
    weight_option,
    first_game_option,
    battles_option,
    strict_option,
    null_games_option,
)
@click.pass_obj
def gate(invocation: Invocation, /, **options: Any) -> int:
    """Check that models are not worse, for CI. MODEL (none named: every one) may lose at most the margin."""
    load_numpy()
    from arena_tui.commands.gate import gate_command

    return gate_command(invocation, **options)
