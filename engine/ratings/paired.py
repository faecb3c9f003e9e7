"""Two models compared: question by question over their scores against the baseline, and in the games between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.ratings import ALPHA
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.bradley_terry import closed_form
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.limits import influence, interval, resample_questions, sign_test_p, standard_error, two_sided_p
from engine.ratings.outcomes import OutcomeTable


@dataclass(frozen=True)
class PairedDifference:
    """What the questions of both models say. Rates and differences are fractions.

    Attributes:
        questions: how many there are.
        rate_a, rate_b: win rates against the baseline on them.
        lower, upper: 95 % limits of rate_a - rate_b from resampled questions.
        std_error: clustered standard error of the difference, from the influence of each question.
        unpaired_std_error: what it would be if the two had answered different questions.
        p_value: two-sided, for no difference.
        won, tied, lost: questions on which a had more, as much, or less of the points than b.
    """

    questions: int
    rate_a: float
    rate_b: float
    lower: float
    upper: float
    std_error: float
    unpaired_std_error: float
    p_value: float
    won: int
    tied: int
    lost: int


class PairedRatings:
    """Paired differences of the models of `ratings`, any pair of them, from the same resamples.

    With one baseline, a pair is compared on the questions of both. With several, strengths come from all games
    together, and so do differences.
    """

    def __init__(self, ratings: Ratings, options: RatingOptions) -> None:
        self._ratings = ratings
        self._options = options
        self._influence = influence(ratings.table, ratings.rate)
        self._shares = _question_shares(ratings.table)
        self._some: dict[bytes, tuple[FloatArray, FloatArray, FloatArray]] = {}

    def difference(self, a: int, b: int) -> PairedDifference | None:
        """Model a compared with model b (indices); None if fewer than two questions have both."""
        both = ~np.isnan(self._shares[:, a]) & ~np.isnan(self._shares[:, b])
        questions = int(both.sum())
        if questions < 2:
            return None
        rate, resampled, values = self._on(both)
        difference = float(rate[a] - rate[b])
        gap = self._shares[both, a] - self._shares[both, b]
        won, lost = int(np.count_nonzero(gap > 1e-12)), int(np.count_nonzero(gap < -1e-12))
        error = float(standard_error(values[:, a] - values[:, b]))
        apart = float(np.hypot(*standard_error(values[:, [a, b]])))
        if error > 1e-12:
            limits = interval((resampled[:, a] - resampled[:, b])[:, None], questions)
            lower, upper, p_value = float(limits[0][0]), float(limits[1][0]), two_sided_p(difference / error)
        else:  # no question differs from another, which tells no more than that exceptions are rare
            rare = 1.0 - (ALPHA / 2.0) ** (1.0 / questions)
            lower, upper = max(-1.0, difference - rare), min(1.0, difference + rare)
            p_value = sign_test_p(questions) if abs(difference) > 1e-12 else 1.0
        return PairedDifference(
            questions,
            float(rate[a]),
            float(rate[b]),
            lower,
            upper,
            error,
            apart,
            p_value,
            won,
            questions - won - lost,
            lost,
        )

    def _on(self, questions: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rates [M], resampled rates [R, M] and influence values on some of the questions."""
        table = self._ratings.table
        if questions.all() or not table.against_baseline_only:
            return self._ratings.rate, self._ratings.resampled, self._influence
        key = questions.tobytes()
        if key not in self._some:
            part = replace(table, won=table.won[questions], total=table.total[questions])
            rate = closed_form(part, part.won.sum(axis=0)[None], part.total.sum(axis=0)[None])[0]
            sums = resample_questions(part, self._options.rounds, self._options.seed)
            resampled = np.concatenate([closed_form(part, won, total) for won, total in sums])
            self._some = {key: (rate, resampled, influence(part, rate))}  # the last one only: it is bulky
        return self._some[key]


def _question_shares(table: OutcomeTable) -> FloatArray:
    """Each model's share [Q, M] of the points it played for on a question; NaN where it did not play.

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


class DirectGames(msgspec.Struct, frozen=True, kw_only=True):
    """What games between the two say: percent of the points that model_a won, tested against 50."""

    questions: int
    games: int
    score: float
    lower: float
    upper: float
    p_value: float


def direct_games(sources: Iterable[Battles], a: str, b: str, options: RatingOptions) -> DirectGames | UnsetType:
    """Games between a and b, from the first source that has any; UNSET if none has."""
    for games in sources:
        if a not in games.models or b not in games.models:
            continue
        ends = {games.models.index(a), games.models.index(b)}
        between = games.where(np.isin(games.model_a, list(ends)) & np.isin(games.model_b, list(ends)))
        between = between.where(between.labelled & (between.model_a != between.model_b))
        if options.first_game_only:
            between = between.first_games()
        if len(between):
            rated = rate_battles(between, msgspec.structs.replace(options, baseline=b, ci="question"))
            return _direct_result(rated, rated.models.index(a))
    return UNSET


def _direct_result(rated: Ratings, model: int) -> DirectGames:
    rate = float(rated.rate[model])
    questions = len(rated.table.won)
    error = float(standard_error(influence(rated.table, rated.rate)[:, model]))
    if error > 1e-12:
        p_value = two_sided_p((rate - 0.5) / error)
    else:
        p_value = sign_test_p(questions) if rate in (0.0, 1.0) else 1.0
    return DirectGames(
        questions=questions,
        games=len(rated.battles),
        score=100.0 * rate,
        lower=100.0 * float(rated.lower[model]),
        upper=100.0 * float(rated.upper[model]),
        p_value=p_value,
    )
