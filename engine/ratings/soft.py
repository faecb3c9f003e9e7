"""Soft verdicts: what a game is expected to bring, by the judge's probabilities of the five labels.

A label is one draw from what the judge thinks, or its mode; the mean over its distribution follows people better than
the mode in 92 of 120 comparisons (Wang et al., arXiv 2503.03064, 2025), and it does not carry the noise of the draw,
which is what makes intervals narrower. A strong verdict weighs W, so a game is expected to bring

    won = 0.5 p(=) + p(>) + W p(>>)        of        total = 1 + (W - 1) (p(<<) + p(>>))

points: what drawing the label over and over would come to. Scores are ratios of sums of these, as by label, and their
limits come from the same resampled questions, so the games of a question may depend on each other as they like.
"""

from __future__ import annotations

import msgspec
import numpy as np

from engine.labels import IS_STRONG, POINTS_OF_B
from engine.ratings.battles import Battles, FloatArray

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
