"""Bradley-Terry: the probability that each model beats the baseline, from points won in pairs.

The model (Bradley and Terry, Biometrika 39, 1952): P(j beats i) = sigmoid(theta_j - theta_i), where a tie is half a win
for each. The likelihood has one maximum, found in one of two ways:

- every game is against the baseline: theta_j is the logit of j's share of the points, in closed form;
- any pairs of models: Newton's method on the summed points, many resamples at once (`newton_fit`).

The maximum is finite only where wins lead from a model to the baseline and back (Ford, Amer. Math. Monthly 64, 1957). A
model with a chain of wins to the baseline but none back has win rate 1, the reverse has 0, and one with neither is
undetermined (NaN).
"""

from __future__ import annotations

import numpy as np

from engine.errors import RatingError
from engine.ratings.battles import BoolArray, FloatArray, IntArray
from engine.ratings.outcomes import OutcomeTable

_MAX_ITERATIONS = 100
_GRADIENT_TOLERANCE = 1e-10  # points, relative to all points of the resample
_LONGEST_STEP = 2.0  # in logits: far from the maximum a full Newton step can overshoot it


def newton_fit(
    pairs: IntArray,
    won: FloatArray,
    total: FloatArray,
    finite: BoolArray,
    baseline: int,
    start: FloatArray,
) -> FloatArray:
    """Bradley-Terry strengths that maximise the likelihood of each of R resamples.

    Args:
        pairs: [P, 2] indices (opponent, model).
        won, total: [R, P] points of the pair's model and weight of the pair.
        finite: [R, M] the models whose strength is finite in that resample; all others are left at their start.
        baseline: the model whose strength is 0.
        start: [M] strengths to set out from.

    Returns:
        [R, M] strengths in logits relative to the baseline; the likelihood is concave, so they are the maximum. NaN for
        a resample on which the steps come to no end.
    """
    rounds, models = finite.shape
    opponent, model = pairs.T
    row = np.arange(len(pairs))
    design = np.zeros((len(pairs), models))
    design[row, model] = 1.0
    design[row, opponent] = -1.0
    crossed = (design[:, :, None] * design[:, None, :]).reshape(len(pairs), models * models)

    inside = finite[:, opponent] & finite[:, model]
    won, total = np.where(inside, won, 0.0), np.where(inside, total, 0.0)
    free = finite.copy()
    free[:, baseline] = False
    scale = np.maximum(total.sum(axis=1), 1.0)
    theta = np.broadcast_to(start - start[baseline], (rounds, models)).copy()

    working = np.arange(rounds)
    for _ in range(_MAX_ITERATIONS):
        gap = theta[working] @ design.T
        rate = 0.5 * (1.0 + np.tanh(0.5 * gap))
        gradient = ((won[working] - total[working] * rate) @ design) * free[working]
        unfinished = np.abs(gradient).max(axis=1) > _GRADIENT_TOLERANCE * scale[working]
        if not unfinished.any():
            return theta
        working, gradient, rate = working[unfinished], gradient[unfinished], rate[unfinished]
        curvature = (total[working] * rate * (1.0 - rate)) @ crossed
        theta[working] += _step(curvature.reshape(-1, models, models), gradient, free[working])
    theta[working] = np.nan
    return theta


def _step(curvature: FloatArray, gradient: FloatArray, free: BoolArray) -> FloatArray:
    """The Newton step [R, M] for the free models, no longer than `_LONGEST_STEP` in any of them."""
    models = gradient.shape[1]
    diagonal = np.arange(models)
    system = curvature * (free[:, :, None] & free[:, None, :])
    system[:, diagonal, diagonal] += np.where(free, 1e-12, 1.0)
    step: FloatArray = np.linalg.solve(system, gradient[:, :, None])[:, :, 0].astype(np.float64)
    longest: FloatArray = np.abs(step).max(axis=1, keepdims=True)
    return step * (_LONGEST_STEP / np.maximum(longest, _LONGEST_STEP))


ELO_SCALE = 400.0
ELO_BASELINE = 1000.0
_NOTHING = 1e-9  # sums of points below this are rounding


def elo(rate: FloatArray) -> FloatArray:
    """Elo (scale 400, base 10, the baseline at 1000) of win rates against the baseline; 0 and 1 become infinite."""
    with np.errstate(divide="ignore"):
        log_odds: FloatArray = np.log10(rate) - np.log10(1.0 - rate)
    ratings: FloatArray = ELO_BASELINE + ELO_SCALE * log_odds
    return ratings


def win_rates(table: OutcomeTable) -> FloatArray:
    """Maximum-likelihood win rates against the baseline, shape [M]; the baseline's own is 0.5.

    Raises RatingError when the games do not compare every model that has any with the baseline.
    """
    won, total = table.won.sum(axis=0), table.total.sum(axis=0)
    if table.against_baseline_only:
        shares: FloatArray = closed_form(table, won[None], total[None])[0]
        return shares
    finite, limit = _reach(table, won[None], total[None])
    _require_comparable(table, limit[0])
    theta = newton_fit(table.pairs, won[None], total[None], finite, table.baseline, np.zeros(len(table.models)))[0]
    if np.isnan(theta).any():
        raise RatingError("No strengths can be fitted to the battles", "Leave out the models with the fewest games.")
    return np.where(finite[0], _sigmoid(theta), limit[0])


def resampled_win_rates(table: OutcomeTable, won: FloatArray, total: FloatArray, start: FloatArray) -> FloatArray:
    """Win rates against the baseline for R resamples at once.

    Args:
        table: the battles that were resampled.
        won, total: [R, P] points and weight of each pair in each resample.
        start: [M] the win rates of the whole table, from which the fits set out.

    Returns:
        [R, M]; NaN where a resample holds nothing that compares the model with the baseline.
    """
    if table.against_baseline_only:
        return closed_form(table, won, total)
    finite, limit = _reach(table, won, total)
    inner = np.clip(np.nan_to_num(start, nan=0.5), 1e-3, 1.0 - 1e-3)
    theta = newton_fit(table.pairs, won, total, finite, table.baseline, np.log(inner / (1.0 - inner)))
    return np.where(finite, _sigmoid(theta), limit)


def closed_form(table: OutcomeTable, won: FloatArray, total: FloatArray) -> FloatArray:
    """Share of the points for tables in which every game is against the baseline: [R, P] to [R, M]."""
    rates = np.full((len(won), len(table.models)), np.nan)
    with np.errstate(invalid="ignore"):
        rates[:, table.pairs[:, 1]] = won / total
    rates[:, table.baseline] = 0.5
    return rates


def _reach(table: OutcomeTable, won: FloatArray, total: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which models a chain of wins connects with the baseline, in both directions, per resample.

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
    apart = [index for index in played if parts[index] != parts[table.baseline]]
    if apart:
        count = len({int(parts[index]) for index in played})
        raise RatingError(
            f"The battles fall into {count} parts that no game connects: {_named(table, apart)} never met the baseline "
            f"{baseline}, nor anyone who did",
            "Judge one of them against the baseline or against a model that has been, leave them out, or rate their "
            "part alone with --baseline.",
        )
    lost = [index for index in played if np.isnan(limit[index])]
    if lost:
        raise RatingError(
            f"The battles do not compare {_named(table, lost)} with the baseline {baseline}",
            "They meet only over models that won or lost all of these games, so no chain of wins leads from one to the "
            "other: judge them against the baseline, or on more questions, or leave them out.",
        )


def components(pairs: IntArray, models: int) -> IntArray:
    """Which part of the graph of games [P, 2] each of so many models is in, [M]: the smallest index of the part."""
    part = np.arange(models, dtype=np.int64)
    for _ in range(models):
        smallest = part.copy()
        np.minimum.at(smallest, pairs[:, 0], part[pairs[:, 1]])
        np.minimum.at(smallest, pairs[:, 1], part[pairs[:, 0]])
        if np.array_equal(smallest, part):
            break
        part = smallest
    return part


def _named(table: OutcomeTable, models: list[int]) -> str:
    shown = ", ".join(table.models[index] for index in models[:5])
    return f"{shown} and {len(models) - 5} more" if len(models) > 5 else shown


def _sigmoid(theta: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(0.5 * theta))  # the form that cannot overflow
