"""Points summed per question and pair of models: all that a fit, a bootstrap or a comparison needs.

A game counts by its label, or (soft) by the judge's probabilities of the five labels. A label is one draw from that
distribution, or its mode; the mean follows people better than the mode in 92 of 120 comparisons (Wang et al.,
arXiv 2503.03064, 2025), and lacks the noise of the draw, so intervals are narrower. With weight W of a strong label, a
game is expected to yield

    won = 0.5 p(=) + p(>) + W p(>>)        of        total = 1 + (W - 1) (p(<<) + p(>>))

points. Scores are ratios of sums of these, as by label, and so are their limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from engine.errors import Advice, AdviceKind
from engine.labels import IS_STRONG, POINTS_OF_B
from engine.ratings.battles import Battles, BoolArray, FloatArray, IntArray

_POINTS = np.array(POINTS_OF_B)
_STRONG = np.array(IS_STRONG, dtype=np.float64)


@dataclass(frozen=True)
class OutcomeTable:
    """Weighted points of Q questions and P pairs of M models.

    Attributes:
        models: names; pairs index into them.
        pairs: [P, 2] indices (opponent, model). The opponent is the baseline wherever the baseline takes part.
        won: [Q, P] weighted points of the pair's model, ties half.
        total: [Q, P] weight of all games of the pair on the question.
        baseline: index of the baseline in `models`.
    """

    models: tuple[str, ...]
    pairs: IntArray
    won: FloatArray
    total: FloatArray
    baseline: int

    @property
    def against_baseline_only(self) -> bool:
        """Whether every pair has the baseline in it: the fit then has a closed form."""
        return bool(np.all(self.pairs[:, 0] == self.baseline))

    @cached_property
    def signs(self) -> FloatArray:
        """[P, M]: +1 for the pair's model, -1 for its opponent; the design matrix of a Bradley-Terry fit."""
        signs = np.zeros((len(self.pairs), len(self.models)))
        row = np.arange(len(signs))
        signs[row, self.pairs[:, 1]] = 1.0
        signs[row, self.pairs[:, 0]] = -1.0
        return signs

    def questions_of_models(self) -> IntArray:
        """[M]: on how many questions each model has at least one game."""
        games = (self.total > 0).astype(np.float32) @ np.abs(self.signs).astype(np.float32)
        counts: IntArray = np.count_nonzero(games, axis=0)
        return counts


def outcome_table(battles: Battles, baseline: str, weight: float, *, soft: bool = False) -> OutcomeTable:
    """Sum the games with a label, by question and pair; questions without any are left out of the table.

    Games of a model against itself do not count. `baseline` must be one of the models; `weight` is that of a strong
    label; `soft` takes expected points where the judge gave probabilities.
    """
    anchor = battles.models.index(baseline)
    won_by_b, weights = game_points(battles, weight, soft=soft)
    kept = np.flatnonzero(battles.labelled & (battles.model_a != battles.model_b))
    a, b, won, weights = battles.model_a[kept], battles.model_b[kept], won_by_b[kept], weights[kept]
    swap = (b == anchor) | ((a != anchor) & (a > b))
    opponent, model, won = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, weights - won, won)

    models = len(battles.models)
    codes, column = _ranks(opponent * models + model, models * models)
    present, row = _ranks(battles.question[kept], len(battles.questions))
    shape = (len(present), len(codes))
    cell = row * shape[1] + column

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    return OutcomeTable(
        models=battles.models,
        pairs=np.stack([codes // models, codes % models], axis=1),
        won=summed(won),
        total=summed(weights),
        baseline=anchor,
    )


def game_points(battles: Battles, weight: float, *, soft: bool = False) -> tuple[FloatArray, FloatArray]:
    """Return the weighted points of model_b (NaN where unparsed) and the weight played for, both [N].

    `soft` takes expected points where the judge gave probabilities.
    """
    total = battles.weights(weight)
    won = total * battles.points
    if soft and battles.odds is not None:
        expected = has_odds(battles)
        label_weight = 1.0 + (weight - 1.0) * _STRONG
        share = battles.shares[expected]
        won[expected] = battles.odds[expected] @ (label_weight * _POINTS) * share
        total[expected] = battles.odds[expected] @ label_weight * share
    return won, total


def heaviest_questions(battles: Battles, weight: float) -> FloatArray:
    """Return the most that a question can weigh for each model [M]: strong labels in as many games as any has."""
    models, games = len(battles.models), battles.where(battles.labelled & (battles.model_a != battles.model_b))
    cells = np.concatenate([games.question * models + games.model_a, games.question * models + games.model_b])
    shares = np.concatenate([games.shares, games.shares])
    counts = np.bincount(cells, shares, minlength=len(battles.questions) * models).reshape(-1, models)
    most: FloatArray = weight * counts.max(axis=0, initial=0)
    return most


def has_odds(battles: Battles) -> BoolArray:
    """[N]: the games with a label whose judge gave probabilities."""
    if battles.odds is None:
        return np.zeros(len(battles), dtype=np.bool_)
    known: BoolArray = ~np.isnan(battles.odds[:, 0]) & battles.labelled
    return known


class SoftReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a result by expected points rests on.

    Attributes:
        games: rated games with probabilities; `by_label` are the others, which count by their label.
        width: mean width of the intervals (of scores or of differences, whatever the result is about) as a share of
            those by label; None without any to compare.
    """

    games: int
    by_label: int
    width: float | None


def soft_report(battles: Battles, width: float | None) -> SoftReport:
    """Report on the games between two models that have a label."""
    between = battles.model_a != battles.model_b
    games = int(np.count_nonzero(has_odds(battles) & between))
    return SoftReport(games=games, by_label=int(np.count_nonzero(battles.labelled & between)) - games, width=width)


def unused_odds(battles: Battles, *, soft: bool) -> str:
    """Return advice to rate by expected points where most games have probabilities; empty where it does not apply."""
    games = int(np.count_nonzero(has_odds(battles)))
    if soft or 2 * games <= np.count_nonzero(battles.labelled):
        return ""
    return Advice(f"{games} games have the judge's probabilities; rate by expected points", AdviceKind.SOFT)


def relative_width(soft: tuple[FloatArray, FloatArray], by_label: tuple[FloatArray, FloatArray]) -> float | None:
    """Return the mean ratio of interval widths, from (lower, upper) of shape [M] each; None without any to compare."""
    widths, others = soft[1] - soft[0], by_label[1] - by_label[0]
    compared = (widths > 0.0) & (others > 0.0)  # NaN compares false
    return float(np.mean(widths[compared] / others[compared])) if compared.any() else None


def _ranks(codes: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Return the distinct codes below `size`, sorted, and the rank of each code among them; faster than np.unique."""
    used = np.bincount(codes, minlength=size) > 0
    return np.flatnonzero(used), (np.cumsum(used) - 1)[codes]
