"""Two models compared question by question, by their scores against the common baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.ratings.battles import BoolArray, FloatArray
from engine.ratings.bootstrap import interval, resample_questions
from engine.ratings.bradley_terry import closed_form
from engine.ratings.estimate import RatingOptions, Ratings
from engine.ratings.influence import influence, standard_error
from engine.ratings.multiplicity import sign_test_p, two_sided_p
from engine.ratings.outcomes import OutcomeTable

_ONE_SIDED = 0.025


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
            rare = 1.0 - _ONE_SIDED ** (1.0 / questions)
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
