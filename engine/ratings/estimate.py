"""Ratings: win rates against a baseline with 95 % limits, from battles and a few options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from engine.errors import RatingError
from engine.labels import DEFAULT_WEIGHT
from engine.ratings import ALPHA
from engine.ratings.battles import Battles, FloatArray, common_opponent
from engine.ratings.bradley_terry import resampled_win_rates, win_rates
from engine.ratings.intervals import influence, interval, resample_questions, resample_rows, sandwich_limits
from engine.ratings.outcomes import OutcomeTable, has_odds, outcome_table

CiKind: TypeAlias = Literal["question", "battle", "sandwich"]


class RatingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How battles become ratings.

    `ci` is what the bootstrap draws: whole questions, or single rows as the original does; "sandwich" takes clustered
    standard errors in place of the bootstrap's percentiles. `weight` is what a strong verdict counts (a whole number
    of rows). `soft` takes expected outcomes where the judge told its probabilities.
    """

    baseline: str
    ci: CiKind = "question"
    rounds: int = 1000
    seed: int = 42
    weight: int = DEFAULT_WEIGHT
    first_game_only: bool = False
    soft: bool = False


class StyleCovariate(msgspec.Struct, frozen=True):
    """What one covariate is worth: log odds for one standard deviation more of it, with 95 % limits.

    `mean` and `deviation` are those of the raw covariate over all battles.
    """

    name: str
    weight: float
    lower: float
    upper: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class StyleControl:
    """What came with ratings that control for style.

    Attributes:
        words: what was controlled for.
        covariates: their weights. One that never varies is left out.
        same_style, lower, upper: [M] win rates, and 95 % limits, if all answers had the style of the baseline's.
        unknown: games left out because the length of an answer is not known.
        weak: whether style varies too little within the models to be told apart from their strength.
    """

    words: tuple[str, ...]
    covariates: tuple[StyleCovariate, ...]
    same_style: FloatArray
    lower: FloatArray
    upper: FloatArray
    unknown: int
    weak: bool


@dataclass(frozen=True)
class Ratings:
    """Win rates against the baseline as fractions: NaN for a model without a single verdict.

    Attributes:
        models: names, sorted.
        rate, lower, upper: [M] estimate and 95 % limits; 0.5 throughout for the baseline.
        resampled: [R, M] the estimate in every bootstrap round.
        battles: the games that were used (already cut to first games where that was asked).
        table: their sums.
        style: what came with it, where style was controlled for.
    """

    models: tuple[str, ...]
    rate: FloatArray
    lower: FloatArray
    upper: FloatArray
    resampled: FloatArray
    battles: Battles
    table: OutcomeTable
    style: StyleControl | None = None


def rate_battles(battles: Battles, options: RatingOptions) -> Ratings:
    """Rates every model of `battles` against the baseline.

    The limits are percentiles of the bootstrap, or of the clustered ("sandwich") errors. To both a model that won (or
    lost) everything looks certain, so its open limit is the exact binomial one instead (Clopper and Pearson, Biometrika
    26, 1934), with questions (or rows) as the trials.

    Raises RatingError when no game has a verdict, the baseline has none, a model cannot be compared with it, or an
    option is out of range.
    """
    used = battles.first_games() if options.first_game_only else battles
    require_rateable(used, options)
    table = outcome_table(used, options.baseline, options.weight, soft=options.soft)
    rate = win_rates(table)
    sums = (
        resample_questions(table, options.rounds, options.seed)
        if options.ci != "battle"
        else resample_rows(table, used, options.weight, options.rounds, options.seed)
    )
    resampled = np.concatenate([resampled_win_rates(table, won, total, rate) for won, total in sums])
    if options.ci == "sandwich":
        lower, upper = sandwich_limits(rate, influence(table, rate))
    else:
        lower, upper = interval(resampled, len(table.won) if options.ci == "question" else None)
    trials = _rows_of_models(table) if options.ci == "battle" else table.questions_of_models()
    lower, upper = open_limits(rate, lower, upper, trials.astype(np.float64))
    return Ratings(used.models, rate, lower, upper, resampled, used, table)


def require_rateable(battles: Battles, options: RatingOptions) -> None:
    """Raises RatingError when no game has a verdict, the baseline has none, or an option is out of range."""
    _require_sane(options)
    _require_baseline(battles, options)
    if options.soft and not has_odds(battles).any():
        raise RatingError(
            "No game comes with the judge's probabilities of the labels",
            'Judge with verdict = "soft" under [judge], or leave --soft out.',
        )


def open_limits(
    rate: FloatArray, lower: FloatArray, upper: FloatArray, trials: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The exact binomial limit in place of the upper one of a rate of 0 and the lower one of a rate of 1."""
    exact = (ALPHA / 2.0) ** (1.0 / np.maximum(trials, 1.0))
    return np.where(rate == 1.0, exact, lower), np.where(rate == 0.0, 1.0 - exact, upper)


def _rows_of_models(table: OutcomeTable) -> FloatArray:
    rows = np.zeros(len(table.models))
    np.add.at(rows, table.pairs, table.total.sum(axis=0)[:, None])
    return rows


def _require_sane(options: RatingOptions) -> None:
    if options.rounds < 1:
        raise RatingError(f"{options.rounds} bootstrap rounds give no interval", "Ask for at least 100, better 1000.")
    if options.weight < 1:
        raise RatingError(f"A strong verdict cannot weigh {options.weight}", "The weight is a whole number from 1 up.")
    if options.soft and options.ci == "battle":
        raise RatingError("Expected outcomes are no rows that could be drawn", "Leave --ci battle out, or --soft.")
    if options.seed < 0:
        raise RatingError(f"The seed cannot be {options.seed}", "Take a whole number from 0 up.")


def _require_baseline(battles: Battles, options: RatingOptions) -> None:
    told = battles.where(battles.labelled & (battles.model_a != battles.model_b))
    if not len(told):
        if options.first_game_only:
            hint = "Leave --first-game-only out if the first games are not known."
        else:
            hint = "Judge some answers first: `arena-tui run --stage judgments`."
        raise RatingError("No game between two models has a verdict", hint)
    names = {battles.models[index] for index in np.unique([told.model_a, told.model_b])}
    if options.baseline not in names:
        natural = common_opponent(told)
        raise RatingError(
            f"No battle has the baseline {options.baseline} in it",
            f"Every battle has {natural} in it: try --baseline with that name."
            if natural
            else f"The battles are between {', '.join(sorted(names)[:8])}{' ...' if len(names) > 8 else ''}.",
        )
