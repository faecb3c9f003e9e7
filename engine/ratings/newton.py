"""Newton's method for many Bradley-Terry fits at once: one small linear system a resample, solved as a stack."""

from __future__ import annotations

import numpy as np

from engine.ratings.battles import BoolArray, FloatArray, IntArray

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
