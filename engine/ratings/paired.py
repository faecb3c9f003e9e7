"""Two models compared: question by question over their scores against the baseline, and in the games between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.bradley_terry import closed_form
from engine.ratings.chains import chain_p_value
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.limits import influence, interval, resample_questions, sign_test_p, standard_error, two_sided_p
from engine.ratings.outcomes import OutcomeTable, heaviest_questions
from engine.ratings.sensitivity import Discrimination, pair_verdicts

_NOTHING = 1e-12  # differences and errors below this are rounding


@dataclass(frozen=True)
class PairedDifference:
    """Two models on the questions of both. Rates and differences are fractions.

    Attributes:
        questions: their number.
        rate_a, rate_b: win rates against the baseline on them.
        lower, upper: 95 % limits of rate_a - rate_b from resampled questions.
        narrow_lower, narrow_upper: 90 % limits by the same distribution, each a one-sided one at 5 %.
        std_error: clustered standard error of the difference, from the influence of each question.
        unpaired_std_error: the standard error if the two had answered different questions.
        p_value: two-sided, for no difference.
        won, tied, lost: questions on which a won more, as many, or fewer points than b.
    """

    questions: int
    rate_a: float
    rate_b: float
    lower: float
    upper: float
    narrow_lower: float
    narrow_upper: float
    std_error: float
    unpaired_std_error: float
    p_value: float
    won: int
    tied: int
    lost: int


class PairedRatings:
    """Paired differences of any two models of `ratings`, from the same resamples.

    With one baseline, a pair is compared on the questions of both. With several, strengths come from all games
    together, and so do differences.
    """

    def __init__(self, ratings: Ratings, options: RatingOptions) -> None:
        self._ratings = ratings
        self._options = options
        self._influence = influence(ratings.table, ratings.rate)
        self._shares = _question_shares(ratings.table)
        self._column = {model: column for column, model in enumerate(ratings.table.pairs[:, 1].tolist())}

    @cached_property
    def discrimination(self) -> Discrimination:
        """What the judges' verdicts on all pairs can show."""
        return pair_verdicts(self._ratings.battles).of()

    @cached_property
    def _heaviest(self) -> FloatArray:
        return heaviest_questions(self._ratings.battles, self._options.weight)

    def difference(self, a: int, b: int) -> PairedDifference | None:
        """Compare model a with model b (indices); None if fewer than two questions have both."""
        both = ~np.isnan(self._shares[:, a]) & ~np.isnan(self._shares[:, b])
        questions = int(both.sum())
        if questions < 2:
            return None
        rate, resampled, values = self._on(both, a, b)
        difference = float(rate[0] - rate[1])
        gap = self._shares[both, a] - self._shares[both, b]
        won, lost = int(np.count_nonzero(gap > _NOTHING)), int(np.count_nonzero(gap < -_NOTHING))
        error = float(standard_error(values[:, 0] - values[:, 1]))
        gaps = resampled[:, 0] - resampled[:, 1] if error > _NOTHING else None
        lower, upper = _limits(difference, gaps, questions, ALPHA)
        narrow_lower, narrow_upper = _limits(difference, gaps, questions, 2.0 * ALPHA)
        p_value = _p_value(difference, error, questions, certain=abs(difference) > _NOTHING)
        if not self._ratings.table.against_baseline_only and difference and {0.0, 1.0} & {*rate.tolist()}:
            lower, upper, p_value = self._chained(a, b, lower, upper)
            narrow_lower, narrow_upper = min(lower, narrow_lower), max(upper, narrow_upper)
        return PairedDifference(
            questions=questions,
            rate_a=float(rate[0]),
            rate_b=float(rate[1]),
            lower=lower,
            upper=upper,
            narrow_lower=narrow_lower,
            narrow_upper=narrow_upper,
            std_error=error,
            unpaired_std_error=float(np.hypot(*standard_error(values))),
            p_value=p_value,
            won=won,
            tied=questions - won - lost,
            lost=lost,
        )

    def points(self, a: int, b: int) -> tuple[FloatArray, FloatArray, float] | None:
        """Return the points won and played for, [Q, 2] each, of a and of b on the questions of both, and the most that
        a question can be played for.

        The baseline is even on every question. None where strengths come from several baselines together, or where
        neither plays.
        """
        table = self._ratings.table
        if not table.against_baseline_only or a == b:
            return None
        heaviest = self._heaviest
        both = ~np.isnan(self._shares[:, a]) & ~np.isnan(self._shares[:, b])
        sides = [
            None
            if end == table.baseline
            else np.stack([each[both, self._column[end]] for each in (table.won, table.total)], axis=1)
            for end in (a, b)
        ]
        played = next(side for side in sides if side is not None)
        even = np.stack([played[:, 1] / 2.0, played[:, 1]], axis=1)
        first, second = (even if side is None else side for side in sides)
        return first, second, float(max(heaviest[end] for end in (a, b) if end != table.baseline))

    def _chained(self, a: int, b: int, lower: float, upper: float) -> tuple[float, float, float]:
        """Return limits and p-value of models of which one won every chain of games to the other."""
        ratings = self._ratings
        winner, loser = (a, b) if ratings.rate[a] > ratings.rate[b] else (b, a)
        least = ratings.lower[winner] if ratings.rate[winner] == 1.0 else ratings.rate[winner]
        least -= ratings.upper[loser] if ratings.rate[loser] == 0.0 else ratings.rate[loser]
        if winner == a:
            lower = min(lower, float(least))
        else:
            upper = max(upper, -float(least))
        return lower, upper, chain_p_value(ratings.table, winner, loser)

    def _on(self, questions: BoolArray, a: int, b: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rates [2], resampled rates [R, 2] and influence values [., 2] of a and b on some of the questions."""
        table, ends = self._ratings.table, [a, b]
        if questions.all() or not table.against_baseline_only:
            return self._ratings.rate[ends], self._ratings.resampled[:, ends], self._influence[:, ends]
        columns = [self._column[end] for end in ends if end != table.baseline]
        won, total = table.won[questions][:, columns], table.total[questions][:, columns]
        part = replace(table, pairs=table.pairs[columns], won=won, total=total)
        rate = closed_form(part, part.won.sum(axis=0)[None], part.total.sum(axis=0)[None])[0]
        sums = resample_questions(part, self._options.rounds, self._options.seed)
        resampled = np.concatenate([closed_form(part, won, total)[:, ends] for won, total in sums])
        return rate[ends], resampled, influence(part, rate)[:, ends]


class DirectGames(msgspec.Struct, frozen=True, kw_only=True):
    """Games between two models: percent of the points that model_a won, tested against 50."""

    questions: int
    games: int
    score: float
    lower: float
    upper: float
    p_value: float


def meetings(battles: Battles) -> set[frozenset[str]]:
    """Return the pairs of models that have a labelled game against each other."""
    models = len(battles.models)
    between = battles.labelled & (battles.model_a != battles.model_b)
    codes = np.unique((battles.model_a * models + battles.model_b)[between]).tolist()
    return {frozenset((battles.models[code // models], battles.models[code % models])) for code in codes}


def direct_games(games: Battles, a: str, b: str, options: RatingOptions) -> DirectGames | None:
    """Return the games between a and b; None without any."""
    ends = [games.models.index(a), games.models.index(b)]
    between = games.where(np.isin(games.model_a, ends) & np.isin(games.model_b, ends))
    between = between.where(between.labelled & (between.model_a != between.model_b))
    if options.first_game_only:
        between = between.first_games()
    if not len(between):
        return None
    rated = rate_battles(between, msgspec.structs.replace(options, baseline=b, ci="question"))
    return _direct_result(rated, rated.models.index(a))


def _direct_result(rated: Ratings, model: int) -> DirectGames:
    rate = float(rated.rate[model])
    questions = len(rated.table.won)
    error = float(standard_error(influence(rated.table, rated.rate)[:, model]))
    return DirectGames(
        questions=questions,
        games=len(rated.battles),
        score=100.0 * rate,
        lower=100.0 * float(rated.lower[model]),
        upper=100.0 * float(rated.upper[model]),
        p_value=_p_value(rate - 0.5, error, questions, certain=rate in (0.0, 1.0)),
    )


def _limits(difference: float, gaps: FloatArray | None, questions: int, alpha: float) -> tuple[float, float]:
    """Return limits of a difference from its resamples [R]; None where no question differs from another, which proves
    no more than that exceptions are rare."""
    if gaps is not None:
        lower, upper = interval(gaps[:, None], questions, alpha)
        return float(lower[0]), float(upper[0])
    rare = 1.0 - (alpha / 2.0) ** (1.0 / questions)
    return max(-1.0, difference - rare), min(1.0, difference + rare)


def _p_value(difference: float, error: float, questions: int, *, certain: bool) -> float:
    """Return the two-sided p-value of no difference, by Student's t as the limits; where no question differs from
    another (no error), the sign test's if the difference is `certain`, else 1."""
    if error > _NOTHING:
        return two_sided_p(difference / error, questions - 1)
    return sign_test_p(questions) if certain else 1.0


def _question_shares(table: OutcomeTable) -> FloatArray:
    """Return each model's share [Q, M] of the points it played for on a question; NaN where it did not play.

    Against one baseline, the baseline itself counts as even on every question.
    """
    won, total = np.zeros((len(table.won), len(table.models))), np.zeros((len(table.won), len(table.models)))
    for column, (opponent, model) in enumerate(table.pairs):
        won[:, model] += table.won[:, column]
        total[:, model] += table.total[:, column]
        won[:, opponent] += table.total[:, column] - table.won[:, column]
        total[:, opponent] += table.total[:, column]
    with np.errstate(invalid="ignore"):
        shares: FloatArray = won / total
    if table.against_baseline_only:
        shares[:, table.baseline] = 0.5
    return shares
