"""`arena-tui leaderboard`: judgments (or a published battles file) rated, as a table, JSON, CSV, Markdown or text."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import click

from arena_tui import console
from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from arena_tui.leaderboard_output import LeaderboardFormat, format_leaderboard
from engine.answer_style import read_style
from engine.bench import Bench, battles_file
from engine.errors import UsageProblem
from engine.ratings.battles import common_opponent
from engine.ratings.estimate import rate_battles
from engine.ratings.leaderboard import BenchFacts, Leaderboard, LeaderboardOptions, Rater
from engine.ratings.style import rate_with_style
from engine.results import JudgedBench, judged_bench, rate
from engine.work.progress import STRONG


def leaderboard_command(
    invocation: Invocation,
    *,
    form: LeaderboardFormat,
    judges: tuple[str, ...],
    baseline: str | None,
    weight: int | None,
    battles: Path | None,
    save_battles: Path | None,
    save_bootstrap: Path | None,
    style: tuple[str, ...] = (),
    **rating: Any,
) -> int:
    """Rate and print. Returns the exit code."""
    if battles is not None:
        judged, baseline, rows_of_strong = _published(invocation, battles, baseline)
        weight = weight or rows_of_strong
    else:
        judged, baseline = _own(invocation, judges, baseline)
    options = LeaderboardOptions(baseline=baseline, weight=weight or STRONG, **rating)
    rater = _style_rater(invocation, judged, style) if style else rate_battles
    board, ratings = rate(judged, options, rater)
    if save_battles is not None:
        rows = battles_file.save_battles(save_battles, ratings.battles, options.weight)
        console.say(f"{rows} battles saved in {save_battles}")
    if save_bootstrap is not None:
        rounds = battles_file.save_bootstrap(save_bootstrap, ratings.models, ratings.resampled)
        console.say(f"{rounds} bootstrap rounds saved in {save_bootstrap}")
    show(board, form)
    return console.DONE


def show(board: Leaderboard, form: LeaderboardFormat) -> None:
    """The leaderboard on stdout; its warnings on stderr, except in JSON, which holds them."""
    encoding = (sys.stdout.encoding or "").lower()
    width = get_terminal_size((120, 40)).columns
    text = format_leaderboard(board, form, width=width, ascii_only=not encoding.startswith("utf"))
    if form != "json":
        for warning in board.warnings:
            console.say(f"warning: {warning}")
    click.echo(text, nl=False)


def _style_rater(invocation: Invocation, judged: JudgedBench, words: tuple[str, ...]) -> Rater:
    """Rates with style controlled for; it needs the answers of the config's bench."""
    config = invocation.config(keys=False)
    bench = Bench.open(config.data, config.bench)
    counts, notes = read_style(bench, judged.battles.models)
    for note in notes:
        console.say(f"warning: {note}")
    return partial(rate_with_style, words=words, style=counts)


def _own(invocation: Invocation, judges: tuple[str, ...], baseline: str | None) -> tuple[JudgedBench, str]:
    config = invocation.config(keys=False)
    baseline = baseline or config.judge.baseline
    bench = Bench.open(config.data, config.bench)
    return judged_bench(bench, judges or tuple(config.judge.model), baseline), baseline


def _published(invocation: Invocation, path: Path, baseline: str | None) -> tuple[JudgedBench, str, int | None]:
    """The battles of a file, their baseline, and the weight they were saved with.

    The bench of the config lends its questions and answer lengths, if it is the same one.
    """
    loaded = battles_file.load_battles(path)
    named = baseline or common_opponent(loaded.battles)
    if named is None:
        raise UsageProblem(f"{path}: no model takes part in every battle", "name the baseline with --baseline")
    facts = BenchFacts(name=path.stem)
    if invocation.config_path or DEFAULT_CONFIG.exists():
        facts = _facts_of_bench(invocation, loaded.battles.questions, loaded.battles.models) or facts
    return JudgedBench(loaded.battles, facts, [str(problem) for problem in loaded.problems]), named, loaded.weight


def _facts_of_bench(
    invocation: Invocation, question_ids: tuple[str, ...], models: tuple[str, ...]
) -> BenchFacts | None:
    config = invocation.config(keys=False)
    if not (config.data / config.bench).is_dir():
        return None
    bench = Bench.open(config.data, config.bench)
    questions = tuple(bench.questions().items)
    if not {question.id for question in questions} & set(question_ids):
        return None
    lengths = {model: bench.token_lengths(model).items for model in models}
    return BenchFacts(name=bench.paths.name, questions=questions, token_lengths=lengths)
