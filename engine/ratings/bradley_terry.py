"""Bradley-Terry: the probability that each model beats the baseline, from points won in pairs.

The model (Bradley and Terry, Biometrika 39, 1952): P(j beats i) = sigmoid(theta_j - theta_i), where a tie is half a win
for each. The likelihood has one maximum, found in one of two ways:

- every game is against the baseline: theta_j is the logit of j's share of the points, in closed form;
- any pairs of models: Newton's method on the summed points, many resamples at once. Own code, because 1000 resamples of
  9 models take 0.03 s of CPU; scikit-learn's LogisticRegression takes 1.5 s for them, one by one, and 0.9 s to import.

The maximum is finite only where wins lead from a model to the baseline and back (Ford, Amer. Math. Monthly 64, 1957). A
model with a chain of wins to the baseline but none back has win rate 1, the reverse has 0, and one with neither is
undetermined (NaN).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from engine.errors import Advice, AdviceKind, RatingError, listed
from engine.ratings.battles import BoolArray, FloatArray, IntArray
from engine.ratings.outcomes import OutcomeTable

ELO_SCALE = 400.0
ELO_BASELINE = 1000.0
_NOTHING = 1e-9  # sums of points below this are rounding
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-10  # of the gradient: points, relative to all points of the resample
_LONGEST_STEP = 2.0  # in logits: far from the maximum a full Newton step can overshoot it

Slope: TypeAlias = tuple[FloatArray, Callable[[BoolArray], FloatArray]]
"""The gradient [W, K] of W log-likelihoods, and a function for the negative Hessians [W', K, K] of those in a mask."""


def sigmoid(logit: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(0.5 * logit))  # the form that cannot overflow


def elo(rate: FloatArray) -> FloatArray:
    """Return Elo (scale 400, base 10, the baseline at 1000) of win rates against the baseline; infinite for 0 and 1."""
    with np.errstate(divide="ignore"):
        log_odds: FloatArray = np.log10(rate) - np.log10(1.0 - rate)
    return ELO_BASELINE + ELO_SCALE * log_odds


def win_rates(table: OutcomeTable) -> FloatArray:
    """Return the maximum-likelihood win rates against the baseline, [M]; the baseline's own is 0.5.

    Raises RatingError when the games do not compare every model that has any with the baseline.
    """
    won, total = table.won.sum(axis=0)[None], table.total.sum(axis=0)[None]
    if table.against_baseline_only:
        shares: FloatArray = closed_form(table, won, total)[0]
        return shares
    finite, limit = _reach(table, won, total)
    _require_comparable(table, limit[0])
    theta = _fit(table, won, total, finite, np.zeros(len(table.models)))[0]
    if np.isnan(theta).any():
        raise RatingError("no strengths can be fitted to the battles", "leave out the models with the fewest games")
    return np.where(finite[0], sigmoid(theta), limit[0])


def resampled_win_rates(table: OutcomeTable, won: FloatArray, total: FloatArray, start: FloatArray) -> FloatArray:
    """Return the win rates against the baseline for R resamples at once.

    Args:
        table: the battles that were resampled.
        won, total: [R, P] points and weight of each pair in each resample.
        start: [M] the win rates of the whole table, where the fits start.

    Returns:
        [R, M]; NaN where a resample does not compare the model with the baseline.
    """
    if table.against_baseline_only:
        return closed_form(table, won, total)
    finite, limit = _reach(table, won, total)
    inner = np.clip(np.nan_to_num(start, nan=0.5), 1e-3, 1.0 - 1e-3)
    theta = _fit(table, won, total, finite, np.log(inner / (1.0 - inner)))
    return np.where(finite, sigmoid(theta), limit)


def closed_form(table: OutcomeTable, won: FloatArray, total: FloatArray) -> FloatArray:
    """Return shares of the points for tables in which every game is against the baseline: [R, P] to [R, M]."""
    rates = np.full((len(won), len(table.models)), np.nan)
    with np.errstate(invalid="ignore"):
        rates[:, table.pairs[:, 1]] = won / total
    rates[:, table.baseline] = 0.5
    return rates


def newton(
    start: FloatArray,
    free: BoolArray,
    scale: FloatArray,
    slope: Callable[[IntArray, FloatArray], Slope],
    *,
    prior: FloatArray | float = 0.0,
    tolerance: float = _TOLERANCE,
    max_iterations: int = _MAX_ITERATIONS,
) -> FloatArray:
    """Maximise R concave log-likelihoods of K values at once: one small linear system each, solved as a stack.

    Args:
        start: [R, K] values to start from.
        free: [R, K] the values that may move.
        scale: [R] all points of each resample, to which `tolerance` is relative.
        slope: called with the indices [W] of the unfinished resamples and their values [W, K].
        prior: [K] precision of a normal prior of each value, which the negative Hessians lack.

    Returns:
        [R, K]; NaN for a resample that did not converge.
    """
    values = start.copy()
    working = np.arange(len(values))
    diagonal = np.arange(values.shape[1])
    for _ in range(max_iterations):
        gradient, curvature = slope(working, values[working])
        gradient *= free[working]
        unfinished = np.abs(gradient).max(axis=1) > tolerance * scale[working]
        if not unfinished.any():
            return values
        working, gradient = working[unfinished], gradient[unfinished]
        movable = free[working]
        system = curvature(unfinished) * (movable[:, :, None] & movable[:, None, :])
        system[:, diagonal, diagonal] += np.where(movable, 1e-12, 1.0)
        system[:, diagonal, diagonal] += prior
        step: FloatArray = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        values[working] += step * (_LONGEST_STEP / np.maximum(longest, _LONGEST_STEP))
    values[working] = np.nan
    return values


def _fit(table: OutcomeTable, won: FloatArray, total: FloatArray, finite: BoolArray, start: FloatArray) -> FloatArray:
    """Return strengths [R, M] in logits relative to the baseline that maximise the likelihood of each resample.

    `finite` [R, M] are the models whose strength is finite in that resample; all others stay at `start` [M].
    """
    rounds, models = finite.shape
    design = table.signs
    crossed = (design[:, :, None] * design[:, None, :]).reshape(len(design), models * models)
    inside = finite[:, table.pairs].all(axis=2)
    won, total = np.where(inside, won, 0.0), np.where(inside, total, 0.0)
    free = finite.copy()
    free[:, table.baseline] = False

    def slope(working: IntArray, theta: FloatArray) -> Slope:
        rate = sigmoid(theta @ design.T)
        gradient = (won[working] - total[working] * rate) @ design

        def curvature(unfinished: BoolArray) -> FloatArray:
            chosen = rate[unfinished]
            spread = total[working[unfinished]] * chosen * (1.0 - chosen)
            return (spread @ crossed).reshape(-1, models, models)

        return gradient, curvature

    begin = np.broadcast_to(start - start[table.baseline], (rounds, models))
    return newton(begin, free, np.maximum(total.sum(axis=1), 1.0), slope)


def _reach(table: OutcomeTable, won: FloatArray, total: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Find the models that chains of wins connect with the baseline in both directions, per resample.

    Returns ([R, M] whether the rating is finite, [R, M] the win rate in the limit where it is not: 1, 0 or NaN).
    """
    models, (opponent, model) = len(table.models), table.pairs.T
    beats = np.zeros((len(won), models, models), dtype=np.float32)
    beats[:, np.arange(models), np.arange(models)] = 1.0
    beats[:, model, opponent] = won > _NOTHING
    beats[:, opponent, model] = total - won > _NOTHING
    for _ in range(max(1, models - 1).bit_length()):  # squaring doubles the length of the chains
        beats = (beats @ beats > 0).astype(np.float32)
    above, below = beats[:, :, table.baseline] > 0, beats[:, table.baseline, :] > 0
    limit = np.where(above, 1.0, np.where(below, 0.0, np.nan))
    return above & below, limit


def _require_comparable(table: OutcomeTable, limit: FloatArray) -> None:
    played: IntArray = np.unique(table.pairs)
    baseline = table.models[table.baseline]
    parts = components(table.pairs, len(table.models))
    apart = [table.models[index] for index in played if parts[index] != parts[table.baseline]]
    if apart:
        count = len({int(parts[index]) for index in played})
        raise RatingError(
            f"the battles fall into {count} parts that no game connects: {listed(apart)} met neither the baseline "
            f"{baseline} nor a model connected with it",
            Advice(
                "judge one of them against the baseline, leave them out, or rate their part with a baseline of its own",
                AdviceKind.BASELINE,
            ),
        )
    lost = [table.models[index] for index in played if np.isnan(limit[index])]
    if lost:
        raise RatingError(
            f"the battles do not compare {listed(lost)} with the baseline {baseline}: no chain of wins leads from one "
            "to the other",
            "judge them against the baseline, or on more questions, or leave them out",
        )


def components(pairs: IntArray, models: int) -> IntArray:
    """Return the connected part of the graph of games [P, 2] that each model is in, [M]: its smallest index."""
    part = np.arange(models, dtype=np.int64)
    for _ in range(models):
        smallest = part.copy()
        np.minimum.at(smallest, pairs[:, 0], part[pairs[:, 1]])
        np.minimum.at(smallest, pairs[:, 1], part[pairs[:, 0]])
        if np.array_equal(smallest, part):
            break
        part = smallest
    return part
