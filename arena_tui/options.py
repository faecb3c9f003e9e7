"""Options that several commands share, each declared once, and the callbacks that parse values.

names, style_words, points          callbacks that split a value at its commas
repeats_option                      --repeats, how many answers and judgments
format_option                       --format; its first value is the default
judge_option, models_option         lists of names
baseline_option, baselines_option   --baseline, one or several
rating_options                      --judge --baseline --weight --soft --battles --strict --null-games: what counts
bootstrap_options                   --rounds --seed
track_option                        --track
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from arena_tui.command import FILE as FILE
from arena_tui.command import FOLDER as FOLDER
from arena_tui.command import Decorator as Decorator
from arena_tui.command import option_group as option_group
from arena_tui.command import together as together
from arena_tui.completing import complete_judges, complete_models
from engine.errors import UsageProblem
from engine.ratings import MOST_ROUNDS

if TYPE_CHECKING:
    from engine.repeats import Repeats


def names(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split names joined by commas; empty if the option was not given."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else ()


def style_words(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split the values of `--style`; empty if the option was not given. Raises BadParameter for an unknown one."""
    words = () if value is None else tuple(word.strip().casefold() for word in value.split(",") if word.strip())
    if value is not None and not words:
        raise click.BadParameter("name what to control for: length, markdown, or length,markdown")
    for word in words:
        if word not in ("length", "markdown"):
            raise click.BadParameter(f"{word!r} is not a style (available: length, markdown)")
    return words


def points(_context: click.Context, _option: click.Parameter, value: str) -> tuple[float, ...]:
    """Split the values of `--difference`, in points. Raises BadParameter."""
    try:
        found = tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 10,5,3") from None
    if not all(0.0 < each <= 50.0 for each in found):
        raise click.BadParameter("a difference must be above 0 and at most 50 points")
    return found


def replicates(_context: click.Context, _option: click.Parameter, value: str | None) -> Repeats | None:
    """Parse the value of `--repeats`. Raises BadParameter."""
    if value is None:
        return None
    from engine.repeats import parse_repeats

    try:
        return parse_repeats(value)
    except UsageProblem as problem:
        raise click.BadParameter(f"{problem.title}: {problem.hint}") from None


def format_option(*forms: str) -> Decorator[Any]:
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], help="How it is printed.")


def judge_option(what: str) -> Decorator[Any]:
    return click.option(
        "--judge",
        "judges",
        callback=names,
        metavar="J[,J2]",
        shell_complete=complete_judges,
        help=f"{what}  [default: the config's]",
    )


def models_option(what: str) -> Decorator[Any]:
    return click.option("--models", callback=names, metavar="A,B", shell_complete=complete_models, help=what)


baseline_option = click.option(
    "--baseline", metavar="B", shell_complete=complete_models, help="The model at 50.0.  [default: the config's]"
)
baselines_option = click.option(
    "--baseline",
    callback=names,
    metavar="B[,B2]",
    shell_complete=complete_models,
    help="The model at 50.0; of several the first, and games against any of them count.  [default: the config's]",
)
weight_option = click.option(
    "--weight",
    type=click.IntRange(min=1),
    help="How many battles a strong label (A>>B) counts.  [default: 3, or the file's own]",
)
soft_option = click.option(
    "--soft", is_flag=True, help="Rate expected outcomes, by the judge's probabilities of its verdicts."
)
battles_option = click.option("--battles", type=FILE, help="A published arena_hard_battles.jsonl instead of judgments.")
strict_option = click.option(
    "--strict", is_flag=True, help="Leave out judgments that cannot be checked against today's texts."
)
null_games_option = click.option(
    "--null-games",
    type=click.Choice(["keep", "drop-pair"]),
    default="keep",
    help="Of a pair of games of which one has no label, keep the other, or drop both as arena-hard v2 does.",
)
wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=300.0,
    metavar="SECONDS",
    help="How long to wait for servers that do not answer yet (still starting, queued).",
)
repeats_option = click.option(
    "--repeats",
    callback=replicates,
    metavar="K|AxJ",
    help="K answers to each question, the first of them judged K times; or A answers, each judged J times.",
)
first_game_option = click.option("--first-game-only", is_flag=True, help="Leave out the games with swapped places.")

track_option = option_group(
    "Trackers",
    click.option("--track", is_flag=True, help="Also send the result to the trackers of [track] in the config."),
)
rating_options = option_group(
    "What counts",
    judge_option("Judges to pool."),
    baselines_option,
    weight_option,
    soft_option,
    battles_option,
    strict_option,
    null_games_option,
)
bootstrap_options = option_group(
    "Bootstrap",
    click.option("--rounds", type=click.IntRange(min=1, max=MOST_ROUNDS), default=1000, help="Bootstrap rounds."),
    click.option("--seed", type=click.IntRange(min=0), default=42, help="Seed of everything that is drawn at random."),
)
