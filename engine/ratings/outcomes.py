"""Points summed per question and pair of models: all that a fit, a bootstrap or a comparison needs.

A game counts by its label, or (soft) by the judge's probabilities of the five labels. A label is one draw from that
distribution, or its mode; the mean follows people better than the mode in 92 of 120 comparisons (Wang et al.,
arXiv 2503.03064, 2025), and lacks the noise of the draw, so intervals are narrower. With weight W of a strong label, a
game is expected to yield

    won = 0.5 p(=) + p(>) + W p(>>)        of        total = 1 + (W - 1) (p(<<) + p(>>))

points. Scores are ratios of sums of these, as by label, and their limits come from the same resampled questions, so
games of a question may depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from engine.labels import IS_STRONG, POINTS_OF_B
from engine.ratings.battles import Battles, FloatArray, IntArray

_POINTS = np.array(POINTS_OF_B)
_STRONG = np.array(IS_STRONG, dtype=np.float64)


class SoftReport(msgspec.Struct, frozen=True, kw_only=True):
    """What soft verdicts rest on, and what they bring.

    Attributes:
        games: rated games whose judge told its probabilities; `by_label` are the others, which count by their label.
        width: how wide the intervals (of scores or of differences, whatever the result is about) are as a share of
            those by label, on average; None if there is none to compare.
    """

    games: int
    by_label: int
    width: float | None


def expected_outcomes(battles: Battles, strong_weight: float) -> tuple[FloatArray, FloatArray]:
    """Weighted points that model_b is expected to win and the weight that is played for, both [N].

    Games without probabilities count by their label; those without a verdict are NaN.
    """
    total = battles.weights(strong_weight)
    won = total * battles.points
    if battles.odds is None:
        return won, total
    told = has_odds(battles)
    label_weight = 1.0 + (strong_weight - 1.0) * _STRONG
    won[told] = battles.odds[told] @ (label_weight * _POINTS)
    total[told] = battles.odds[told] @ label_weight
    return won, total


def soft_report(battles: Battles, width: float | None) -> SoftReport:
    """The report on the rated ones of `battles`: those between two models with a verdict."""
    games = battles.where(battles.labelled & (battles.model_a != battles.model_b))
    told = int(np.count_nonzero(has_odds(games)))
    return SoftReport(games=told, by_label=len(games) - told, width=width)


def has_odds(battles: Battles) -> np.typing.NDArray[np.bool_]:
    """Shape [N]: the games with a verdict whose judge told its probabilities."""
    if battles.odds is None:
        return np.zeros(len(battles), dtype=np.bool_)
    told: np.typing.NDArray[np.bool_] = ~np.isnan(battles.odds[:, 0]) & battles.labelled
    return told


def unused_odds(battles: Battles, *, soft: bool) -> str:
    """A hint for who rates by label though most verdicts come with probabilities; empty where there is none to give."""
    told = int(np.count_nonzero(has_odds(battles)))
    if soft or 2 * told <= np.count_nonzero(battles.labelled):
        return ""
    return f"{told} verdicts come with the judge's probabilities: --soft rates by what they expect"


def relative_width(soft: tuple[FloatArray, FloatArray], by_label: tuple[FloatArray, FloatArray]) -> float | None:
    """Mean ratio of the widths of intervals, given as (lower, upper) of shape [M] each; None without any to compare."""
    widths, others = soft[1] - soft[0], by_label[1] - by_label[0]
    compared = (widths > 0.0) & (others > 0.0)  # NaN compares false
    return float(np.mean(widths[compared] / others[compared])) if compared.any() else None


@dataclass(frozen=True)
class OutcomeTable:
    """Weighted points of Q questions and P pairs of models.

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

    def questions_of_models(self) -> IntArray:
        """Shape [M]: on how many questions each model has at least one game."""
        played = self.total > 0
        counts = [
            int(np.count_nonzero(played[:, (self.pairs == model).any(axis=1)].any(axis=1)))
            for model in range(len(self.models))
        ]
        return np.array(counts, dtype=np.int64)


def outcome_table(battles: Battles, baseline: str, weight: float, *, soft: bool = False) -> OutcomeTable:
    """Sums up the games that have a verdict. Questions without any are left out of the table.

    Games of a model against itself say nothing about its strength and are left out too. `baseline` must be one of
    the models; `weight` is what a strong verdict counts; `soft` takes expected outcomes where the judge told its
    probabilities (`engine.ratings.outcomes`).
    """
    anchor = battles.models.index(baseline)
    kept = battles.where(battles.labelled & (battles.model_a != battles.model_b))
    swap = (kept.model_b == anchor) | ((kept.model_a != anchor) & (kept.model_a > kept.model_b))
    opponent = np.where(swap, kept.model_b, kept.model_a)
    model = np.where(swap, kept.model_a, kept.model_b)
    won_by_b, weights = expected_outcomes(kept, weight) if soft else outcomes_by_label(kept, weight)
    won = np.where(swap, weights - won_by_b, won_by_b)

    model_count = len(battles.models)
    codes, column = np.unique(opponent * model_count + model, return_inverse=True)
    present, row = np.unique(kept.question, return_inverse=True)
    shape = (len(present), len(codes))
    cell = row * shape[1] + column
    size = shape[0] * shape[1]
    return OutcomeTable(
        models=battles.models,
        pairs=np.stack([codes // model_count, codes % model_count], axis=1).astype(np.int64),
        won=np.bincount(cell, weights=won, minlength=size).astype(np.float64).reshape(shape),
        total=np.bincount(cell, weights=weights, minlength=size).astype(np.float64).reshape(shape),
        baseline=anchor,
    )


def outcomes_by_label(battles: Battles, weight: float) -> tuple[FloatArray, FloatArray]:
    """Weighted points that model_b won (NaN without a verdict) and the weight that was played for, both [N]."""
    weights = battles.weights(weight)
    return weights * battles.points, weights
