"""Ratings: win rates against a baseline with 95 % limits, from battles and a few options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from engine.errors import Advice, AdviceKind, RatingError, listed
from engine.labels import DEFAULT_WEIGHT
from engine.ratings import MOST_ROUNDS
from engine.ratings.battles import Battles, FloatArray, common_opponent
from engine.ratings.bradley_terry import resampled_win_rates, win_rates
from engine.ratings.chains import chain_limits
from engine.ratings.limits import influence, interval, open_limits, resample_questions, resample_rows, sandwich_limits
from engine.ratings.outcomes import OutcomeTable, has_odds, heaviest_questions, outcome_table
from engine.ratings.score_limits import no_narrower, ratio_limits
from engine.ratings.sensitivity import KnownBad
from engine.records import Question

CiKind: TypeAlias = Literal["question", "battle", "sandwich"]
LimitsKind: TypeAlias = Literal["likelihood", "bootstrap", "sandwich"]
"""What limits rest on: a profile likelihood, resampling in rounds, or clustered standard errors."""


class RatingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How battles become ratings.

    Attributes:
        ci: what the limits take for independent, whole questions or (as the original does) single rows; "sandwich" has
            clustered standard errors.
        weight: of a strong label, a whole number of rows.
        soft: take expected points where the judge gave probabilities.
    """

    baseline: str
    ci: CiKind = "question"
    rounds: int = 1000
    seed: int = 42
    weight: int = DEFAULT_WEIGHT
    first_game_only: bool = False
    soft: bool = False


class BenchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a result needs of a bench beside its battles.

    `baselines` are those that the battles are against, where known, the anchor first. `questions` is the whole question
    set (empty: that of the battles). `token_lengths` holds the lengths of answers by model and question. `by_category`
    has the baseline of every category where it depends on the category: the battles are then against all of them under
    one name, the only one of `baselines`. `known_bad` are the scores of answers that must lose, by the judges that were
    probed with them.
    """

    name: str
    judges: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    token_lengths: Mapping[str, Mapping[str, int | None]] = msgspec.field(default_factory=dict)
    known_bad: tuple[KnownBad, ...] = ()
    by_category: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def own_baselines(self) -> dict[str, str]:
        """Return the baseline of each question where it depends on the category; else nothing."""
        if not self.by_category:
            return {}
        return {question.id: self.by_category[question.category] for question in self.questions}

    def own_baseline(self, question_ids: Collection[str]) -> str | None:
        """Return the baseline that all these questions have, where it depends on the category."""
        if not self.by_category:
            return None
        wanted = frozenset(question_ids)
        found = {self.by_category.get(question.category) for question in self.questions if question.id in wanted}
        return found.pop() if len(found) == 1 else None


class StyleCovariate(msgspec.Struct, frozen=True):
    """The effect of one covariate: log odds for one standard deviation more of it, with 95 % limits.

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
    """What ratings with style control have beside the win rates.

    Attributes:
        words: what was controlled for.
        covariates: their weights. One that never varies is left out.
        same_style, lower, upper: [M] win rates, and 95 % limits, if all answers had the style of the baseline's.
        unknown: games left out because the length of an answer is unknown.
        weak: whether style varies too little within the models to separate its effect from their strength.
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
    """Win rates against the baseline as fractions: NaN for a model without a single label.

    Attributes:
        models: names, sorted.
        rate, lower, upper: [M] estimate and 95 % limits; 0.5 throughout for the baseline.
        resampled: [R, M] the estimate in every bootstrap round.
        battles: the games that were used (already cut to first games where that was asked).
        table: their sums.
        style: present where style was controlled for.
    """

    models: tuple[str, ...]
    rate: FloatArray
    lower: FloatArray
    upper: FloatArray
    resampled: FloatArray
    battles: Battles
    table: OutcomeTable
    style: StyleControl | None = None


def limits_by(ratings: Ratings, ci: CiKind) -> LimitsKind:
    """Return what the limits of the ratings, made with `ci`, rest on."""
    if ci == "sandwich":
        return "sandwich"
    return (
        "likelihood" if ci == "question" and ratings.table.against_baseline_only and not ratings.style else "bootstrap"
    )


def rate_battles(battles: Battles, options: RatingOptions) -> Ratings:
    """Rate every model of `battles` against the baseline.

    The limits are those of `ratio_limits`; percentiles of the bootstrap where there is more than one baseline, or for
    rows; or come from clustered ("sandwich") errors. All are at least as wide as `unseen_limits`; those by rows, which
    reproduce the original's, only where they would have no width.

    Raises RatingError when no game has a label, the baseline has none, a model cannot be compared with it, or an option
    is out of range.
    """
    used = require_rateable(battles, options)
    table = outcome_table(used, options.baseline, options.weight, soft=options.soft)
    rate = win_rates(table)
    if options.ci == "battle":
        sums = resample_rows(table, used, options.weight, options.rounds, options.seed)
    else:
        sums = resample_questions(table, options.rounds, options.seed)
    resampled = np.concatenate([resampled_win_rates(table, won, total, rate) for won, total in sums])
    if options.ci == "battle":
        lower, upper = open_limits(rate, *interval(resampled), np.abs(table.signs).T @ table.total.sum(axis=0))
        least = no_narrower((lower, upper), rate, table)
        lower, upper = (
            np.where(lower == upper, wide, given) for given, wide in zip((lower, upper), least, strict=True)
        )
    else:
        lower, upper = _limits_by_question(table, rate, resampled, heaviest_questions(used, options.weight), options.ci)
    return Ratings(used.models, rate, lower, upper, resampled, used, table)


def _limits_by_question(
    table: OutcomeTable, rate: FloatArray, resampled: FloatArray, heaviest: FloatArray, ci: CiKind
) -> tuple[FloatArray, FloatArray]:
    """Return 95 % limits [M] that take whole questions; `heaviest` [M] is the most that one can weigh."""
    if ci == "question" and table.against_baseline_only:
        lower, upper = rate.copy(), rate.copy()
        model = table.pairs[:, 1]
        lower[model], upper[model] = ratio_limits(table.won, table.total, heaviest[model])
        return lower, upper
    limits = sandwich_limits(rate, influence(table, rate)) if ci == "sandwich" else interval(resampled, len(table.won))
    limits = no_narrower(limits, rate, table)
    return limits if table.against_baseline_only else chain_limits(table, rate, limits)


def require_rateable(battles: Battles, options: RatingOptions) -> Battles:
    """Return the games that the options use; raise RatingError where they or the options determine no rating."""
    if options.rounds < 1:
        raise RatingError(f"{options.rounds} bootstrap rounds give no interval", "ask for at least 100, better 1000")
    if options.rounds > MOST_ROUNDS:
        raise RatingError(
            f"{options.rounds} bootstrap rounds are too many",
            f"1000 are enough, {MOST_ROUNDS} the most that can be had",
        )
    if options.weight < 1:
        raise RatingError(f"weight of a strong label out of range: {options.weight}", "it is a whole number from 1 up")
    if options.soft and options.ci == "battle":
        raise RatingError(
            "expected points have no rows to resample",
            Advice("resample questions, or rate by label", AdviceKind.CI, AdviceKind.SOFT),
        )
    if options.seed < 0:
        raise RatingError(f"seed out of range: {options.seed}", "it is a whole number from 0 up")
    used = battles.first_games() if options.first_game_only else battles
    rated = used.labelled & (used.model_a != used.model_b)
    if not rated.any():
        missing = Advice("judge some answers first", AdviceKind.RUN_JUDGMENTS)
        if games := int(np.count_nonzero(used.model_a != used.model_b)):
            how = 'bind the judge to labels (`verdict = "constrained"` in [judge])'
            missing = Advice(f"all {games} games are unparsed: {how}, or judge them again", AdviceKind.REFRESH_UNPARSED)
        unknown = Advice("rate both games if the first ones are unknown", AdviceKind.FIRST_GAME_ONLY)
        raise RatingError("no game between two models has a label", unknown if options.first_game_only else missing)
    playing = np.zeros(len(used.models), dtype=np.bool_)
    playing[used.model_a[rated]] = playing[used.model_b[rated]] = True
    names = [used.models[index] for index in np.flatnonzero(playing)]
    if options.baseline not in names:
        natural = common_opponent(used.where(rated))
        known = f"every battle has {natural} in it" if natural else f"the battles are between {listed(names, 8)}"
        raise RatingError(
            f"no battle has the baseline {options.baseline} in it",
            Advice(f"{known}; name another baseline", AdviceKind.BASELINE),
        )
    if options.soft and not has_odds(used).any():
        raise RatingError(
            "no game has the judge's probabilities of the labels",
            Advice('judge with verdict = "soft" under [judge], or rate by label', AdviceKind.SOFT),
        )
    return used
