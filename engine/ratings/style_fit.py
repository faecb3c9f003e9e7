"""Bradley-Terry with covariates: strengths of models and weights of style, fitted together.

    P(model j beats opponent i on question q) = sigmoid(theta_j - theta_i + gamma . z_qij)

Ties are half a win for each. The fit of all games and those of many resamples are Newton's method, on all of them at
once. The likelihood is concave, so it finds the maximum; scikit-learn's logistic regression, the oracle of the tests,
takes 0.8 s of CPU for its import alone (see also `engine.ratings.bradley_terry`).

Strengths are not penalised. The weights of covariates with deviation 1 have a normal prior of deviation 2: one
deviation of style that turns even odds into 7 to 1 would be enormous. On a few hundred questions it moves no score by
0.01 points; where style hardly varies within a model, it bounds the weights, and `least_information` detects that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import RatingError
from engine.ratings.battles import BoolArray, FloatArray, IntArray
from engine.ratings.bradley_terry import Slope, newton, sigmoid
from engine.ratings.outcomes import OutcomeTable

PRECISION = 1.0 / 2.0**2  # of the prior of a weight
_CELLS_AT_ONCE = 4_000_000  # of the array resamples x questions x pairs: 32 MB


@dataclass(frozen=True)
class StyleDesign:
    """Points of Q questions and P pairs of M models, and [Q, P, F] covariates of the pair's model relative to its
    opponent; anything where the pair has no game."""

    table: OutcomeTable
    covariates: FloatArray


def fit_once(design: StyleDesign, finite: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return strengths [M] in logits relative to the baseline, and weights [F] of the covariates.

    `finite` [M] are the models that won and lost something; all others stay at 0, and their games are left out. Raises
    RatingError where the games determine no strengths.
    """
    start = np.zeros(len(design.table.models)), np.zeros(design.covariates.shape[2])
    every = np.ones((1, len(design.table.won)))
    theta, gamma = fit_resamples(design, every, finite[None], start)
    if np.isnan(gamma).any():
        raise RatingError("no strengths can be fitted to the battles", "rate without style control")
    return theta[0], gamma[0]


def least_information(design: StyleDesign, finite: BoolArray, theta: FloatArray, gamma: FloatArray) -> float:
    """Return the information of the games on the weights in the direction where it is least.

    That is the smallest eigenvalue of the information on the weights, with the strengths profiled out; comparable with
    `PRECISION`, the information of the prior.
    """
    table, signs = design.table, design.table.signs
    models = signs.shape[1]
    covariates = np.where((table.total > 0)[:, :, None], design.covariates, 0.0)
    rate = sigmoid(signs @ theta + covariates @ gamma)
    spread = table.total * rate * (1.0 - rate) * finite[table.pairs].all(axis=1)
    curvature = _curvature(spread[None], signs, _products(covariates))[0]
    beside = curvature[models:, :models]
    profile = curvature[models:, models:] - beside @ np.linalg.pinv(curvature[:models, :models]) @ beside.T
    return float(np.linalg.eigvalsh(profile)[0])  # they ascend


def fit_resamples(
    design: StyleDesign, times: FloatArray, finite: BoolArray, start: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Fit R resamples of the questions.

    Args:
        design: what is resampled.
        times: [R, Q] how often each question was drawn.
        finite: [R, M] the models whose strength is finite in that resample.
        start: strengths and weights to start from, as `fit_once` returns them.

    Returns:
        strengths [R, M] and weights [R, F]; NaN in a resample that determines none.
    """
    models = len(design.table.models)
    chunk = max(1, _CELLS_AT_ONCE // max(1, design.table.won.size))
    fitted = [
        _fit_chunk(design, times[begin : begin + chunk], finite[begin : begin + chunk], np.concatenate(start))
        for begin in range(0, len(times), chunk)
    ]
    beta = np.concatenate(fitted)
    return beta[:, :models], beta[:, models:]


def _fit_chunk(design: StyleDesign, times: FloatArray, finite: BoolArray, start: FloatArray) -> FloatArray:
    """Return strengths and weights side by side, [R, M + F]."""
    table, signs = design.table, design.table.signs
    models = signs.shape[1]
    covariates = np.where((table.total > 0)[:, :, None], design.covariates, 0.0)
    products = _products(covariates)
    opponent, model = table.pairs.T
    inside = (finite[:, opponent] & finite[:, model]).astype(np.float64)
    free = np.concatenate([finite, np.ones((len(finite), covariates.shape[2]), dtype=np.bool_)], axis=1)
    free[:, table.baseline] = False
    prior = np.where(np.arange(len(start)) < models, 0.0, PRECISION)

    def slope(working: IntArray, beta: FloatArray) -> Slope:
        theta, gamma = beta[:, :models], beta[:, models:]
        style = np.einsum("qpf,rf->rqp", covariates, gamma, optimize=True)
        rate = sigmoid((theta @ signs.T)[:, None, :] + style)
        drawn = times[working][:, :, None] * inside[working][:, None, :]
        surplus = drawn * (table.won - table.total * rate)
        gradient = np.concatenate(
            [surplus.sum(axis=1) @ signs, np.einsum("rqp,qpf->rf", surplus, covariates, optimize=True)], axis=1
        )
        gradient[:, models:] -= PRECISION * gamma

        def curvature(unfinished: BoolArray) -> FloatArray:
            spread = (drawn * table.total * rate * (1.0 - rate))[unfinished]
            return _curvature(spread, signs, products)

        return gradient, curvature

    scale = np.maximum((times @ table.total).sum(axis=1), 1.0)
    begin = np.tile(start, (len(times), 1))
    return newton(begin, free, scale, slope, prior=prior, tolerance=1e-8, max_iterations=40)


def _products(covariates: FloatArray) -> FloatArray:
    """[P, Q, 1 + F + F * F]: a one, the covariates, and their products, as sums over questions need them."""
    questions, pairs, count = covariates.shape
    crossed = (covariates[..., :, None] * covariates[..., None, :]).reshape(questions, pairs, count * count)
    ones = np.ones((questions, pairs, 1))
    return np.ascontiguousarray(np.concatenate([ones, covariates, crossed], axis=2).transpose(1, 0, 2))


def _curvature(spread: FloatArray, signs: FloatArray, products: FloatArray) -> FloatArray:
    """Return the negative Hessian [R, M + F, M + F] without the prior, from the variances [R, Q, P] of the outcomes."""
    models = signs.shape[1]
    sums = np.matmul(spread.transpose(2, 0, 1), products).transpose(1, 0, 2)  # [R, P, 1 + F + F * F]
    count = round((np.sqrt(4 * sums.shape[2] - 3) - 1) / 2)
    rounds, size = len(sums), models + count
    matrix = np.empty((rounds, size, size))
    crossed = (signs[:, :, None] * signs[:, None, :]).reshape(len(signs), models * models)
    matrix[:, :models, :models] = (sums[:, :, 0] @ crossed).reshape(rounds, models, models)
    beside = np.einsum("rpf,pm->rmf", sums[:, :, 1 : 1 + count], signs, optimize=True)
    matrix[:, :models, models:] = beside
    matrix[:, models:, :models] = beside.transpose(0, 2, 1)
    matrix[:, models:, models:] = sums[:, :, 1 + count :].sum(axis=1).reshape(rounds, count, count)
    return matrix
