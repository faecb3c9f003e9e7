"""Statements about many estimates at once: how far the largest of their errors reaches (sup-t).

Estimates that rest on the same questions err together, so less is needed than Bonferroni's share of the error for each.
The errors of P estimates are, up to terms that vanish, sums over the questions of one number each, whose correlations
the questions show. Random normal weights of the questions (the multiplier bootstrap) give these sums the joint
distribution of the errors, and the quantiles of their largest standardised value are the critical values of
simultaneous statements (Montiel Olea and Plagborg-Moller, "Simultaneous confidence bands: Theory, implementation, and
an application to SVARs", Journal of Applied Econometrics 34, 2019). The sums are normal with the observed correlations,
so they are drawn from these directly.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from engine.ratings.battles import FloatArray

ROUNDS = 20_000
"""Draws of the largest error: a critical value of 5 % has a standard error of 0.008 standard deviations."""
_MOST_CELLS = 8_000_000  # of the matrix draws x estimates: 64 MB
_NOTHING = 1e-12
_NEAREST = 1e-12  # no probability is taken for nearer to 0


class JointErrors:
    """Draws of the standardised errors of estimates that rest on the same questions.

    The same random numbers serve every set of estimates, so that results do not depend on the order of questions asked
    of it.

    Args:
        most: the largest number of estimates of a set.
        rounds: how many draws.
    """

    def __init__(self, most: int, seed: int, rounds: int = ROUNDS) -> None:
        rounds = max(1000, min(rounds, _MOST_CELLS // max(1, most)))
        self._normals = np.random.default_rng(seed).standard_normal((rounds, max(1, most)))

    def draw(self, values: FloatArray) -> FloatArray:
        """Return standardised errors [R, P] of estimates whose errors are the column sums of `values` [Q, P].

        An estimate without any variation has errors of 0.
        """
        scale = np.sqrt(np.square(values).sum(axis=0))
        unit = np.where(scale > _NOTHING, values, 0.0) / np.where(scale > _NOTHING, scale, 1.0)
        weights, vectors = np.linalg.eigh(unit.T @ unit)
        factor = vectors * np.sqrt(np.maximum(weights, 0.0))
        errors: FloatArray = self._normals[:, : values.shape[1]] @ factor.T
        return errors


def critical_value(largest: FloatArray, alpha: float) -> float:
    """Return the value that the largest errors [R] exceed with probability `alpha`."""
    return float(np.quantile(largest, 1.0 - alpha)) if len(largest) else 0.0


def level_of(deviate: float) -> float:
    """Return the one-sided error rate of an estimate that a critical value leaves for it."""
    return max(_NEAREST, 1.0 - NormalDist().cdf(deviate))


def deviate_of(level: float) -> float:
    """Return the normal deviate of a one-sided error rate."""
    return NormalDist().inv_cdf(1.0 - min(max(level, _NEAREST), 1.0 - _NEAREST))


def step_down(statistics: FloatArray, errors: FloatArray) -> FloatArray:
    """Return adjusted two-sided p-values [P]: all below alpha are right together with probability 1 - alpha.

    The step-down method of Romano and Wolf ("Exact and approximate stepdown methods for multiple hypothesis testing",
    J. Amer. Stat. Assoc. 100, 2005): each statistic is held against the largest of those no larger.

    Args:
        statistics: [P] normal deviates of "no difference".
        errors: [R, P] their joint distribution without any difference.
    """
    adjusted = np.ones(len(statistics))
    order = np.argsort(-np.abs(statistics), kind="stable")
    largest = np.maximum.accumulate(np.abs(errors)[:, order[::-1]], axis=1)[:, ::-1]
    highest = 0.0
    for at, index in enumerate(order.tolist()):
        exceeded = np.count_nonzero(largest[:, at] >= abs(statistics[index]) - _NOTHING)
        highest = max(highest, (exceeded + 1) / (len(errors) + 1))
        adjusted[index] = min(1.0, highest)
    return adjusted
