"""Limits and p-values of models that won (or lost) every chain of games to another, by the profile likelihood.

Such a model has no finite strength, so resampling and standard errors see no uncertainty, and the number of its own
games is not that of the games that connect it: 40 wins over a model that is itself uncertain prove less than 40 wins
over the baseline. The profile likelihood takes, for every strength that the model might have, the best strengths of all
others (Venzon and Moolgavkar, J. R. Stat. Soc. C 37, 1988). The games of a question depend on each other, so each
question of a pair counts as one game.

The p-value is 2 exp(-loss of logarithmic likelihood). With every game of the winner won, this is the probability of
the most extreme outcome: against the baseline the sign test and the limit of Clopper and Pearson, over one model
between them nearly the exact test of Fisher, where the chi-squared approximation is ten times too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import BoolArray, FloatArray, IntArray
from engine.ratings.bradley_terry import Slope, newton, sigmoid
from engine.ratings.outcomes import OutcomeTable

_FARTHEST = 25.0  # logits: no finite number of games separates it from a certain win
_PRIOR = 1e-6  # precision of strengths: keeps those without a maximum finite
_STEPS = 40


def chain_p_value(table: OutcomeTable, winner: int, loser: int) -> float:
    """Return the two-sided p-value of "the two are equally strong", for a model that won every chain to another."""
    return min(1.0, 2.0 * math.exp(-_losses(table, winner, loser)(0.0)))


def chain_limits(
    table: OutcomeTable, rate: FloatArray, limits: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return the limits [M] of win rates against the baseline, those of chains for rates of 1 and 0 if wider."""
    lower, upper = limits[0].copy(), limits[1].copy()
    for model in np.flatnonzero((rate == 1.0) | (rate == 0.0)).tolist():
        if rate[model] == 1.0:
            lower[model] = min(lower[model], _least_share(table, model, table.baseline))
        else:
            upper[model] = max(upper[model], 1.0 - _least_share(table, table.baseline, model))
    return lower, upper


def _least_share(table: OutcomeTable, winner: int, loser: int) -> float:
    """Return the smallest win rate of one over the other that a two-sided test at 5 % does not refuse."""
    loss = _losses(table, winner, loser)
    least = math.log(2.0 / ALPHA)
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if loss(middle) >= least else (low, middle)
    return 1.0 / (1.0 + math.exp(-low))


def _losses(table: OutcomeTable, winner: int, loser: int) -> Callable[[float], float]:
    """Return a function of the winner's strength above the loser's: what it costs in logarithmic likelihood."""
    with np.errstate(invalid="ignore"):
        share = np.where(table.total > 0.0, table.won / table.total, 0.0)
    won, total = share.sum(axis=0), (table.total > 0.0).sum(axis=0).astype(np.float64)
    signs = replace(table, baseline=loser).signs
    best = _strengths(signs, won, total, winner, loser, _FARTHEST)
    most = _log_likelihood(signs, won, total, best)

    def loss(gap: float) -> float:
        fitted = _strengths(signs, won, total, winner, loser, gap)
        return max(0.0, most - _log_likelihood(signs, won, total, fitted))

    return loss


def _log_likelihood(signs: FloatArray, won: FloatArray, total: FloatArray, strengths: FloatArray) -> float:
    logit = signs @ strengths
    return -float(won @ np.logaddexp(0.0, -logit) + (total - won) @ np.logaddexp(0.0, logit))


def _strengths(
    signs: FloatArray, won: FloatArray, total: FloatArray, winner: int, loser: int, gap: float
) -> FloatArray:
    """Return the most likely strengths [M] of all models where two of them differ by `gap`; the loser is at 0."""
    free: BoolArray = np.ones((1, signs.shape[1]), dtype=np.bool_)
    free[:, [winner, loser]] = False
    start = np.zeros((1, signs.shape[1]))
    start[:, winner] = gap

    def slope(_working: IntArray, values: FloatArray) -> Slope:
        expected = sigmoid(values @ signs.T)
        gradient = (won - total * expected) @ signs - _PRIOR * values

        def curvature(unfinished: BoolArray) -> FloatArray:
            spread = total * (expected * (1.0 - expected))[unfinished]
            information: FloatArray = np.einsum("rp,pi,pj->rij", spread, signs, signs)
            return information

        return gradient, curvature

    fitted: FloatArray = newton(start, free, np.array([total.sum()]), slope, prior=_PRIOR, tolerance=1e-9)[0]
    return fitted
