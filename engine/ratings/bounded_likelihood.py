"""A test and limits of a mean of bounded values from a sample of fixed size, exact enough where outcomes are skewed.

The statistic is the nonparametric likelihood ratio against "the mean is at most 0" (Owen, "Empirical likelihood ratio
confidence intervals for a single functional", Biometrika 75, 1988) over all distributions of values no lower than
`worst`, also those on values that were not observed: max over u in [0, 1) of sum log(1 + u x / -worst). Without them,
and with a normal approximation, rare large losses that a sample happens to lack count as impossible.

The p-value is the probability of so large a ratio under the most likely distribution that the hypothesis allows, which
puts on `worst` what mass the mean needs (the bootstrap of the null hypothesis: Hall and Presnell, "Intentionally biased
bootstrap methods", J. R. Stat. Soc. B 61, 1999). Where no question shows a difference it is exactly the probability of
a sample without one; where many do, it is the usual one. `benchmarks/statistics_skewed.py` searches for the worst case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from engine.ratings.battles import FloatArray

Centred: TypeAlias = Callable[[float], tuple[FloatArray, float]]
"""Returns, for a hypothesis, values [K] of the outcomes with mean 0 under it, and the lowest value that is possible."""

_BETS = np.geomspace(0.005, 0.999, 40)
_STEPS = 50  # bisections of the tilt
_LIMIT_STEPS = 16
_TRIM = 0.1  # of the remaining range is left on both sides of a step
_CLOSE = 0.02  # standard errors
_HARDLY_SKEWED = 0.005  # standard errors that a limit is moved by, a quarter of `_CLOSE`
_SEED = 20
_TAIL_SAMPLES = 25  # expected beyond the level in a batch of samples
_BATCHES = 8
_CLEAR = 2.0  # times more or less than the level: further batches would not change the result


def p_value(values: FloatArray, counts: FloatArray, worst: float, alpha: float) -> float:
    """Return the one-sided p-value of "the mean is at most 0", from values [K] that were observed `counts` [K] times.

    `worst` is negative and no higher than any value. `alpha` is the level of interest: p-values are accurate near it.
    """
    growth = np.log1p(_BETS[:, None] * np.append(values, worst) / -worst)
    observed = float((growth[:, :-1] @ counts).max())
    questions = int(counts.sum())
    if observed <= 0.0:
        return 1.0
    rng = np.random.default_rng(_SEED)
    probabilities = _most_likely(values, counts, worst)
    batch = math.ceil(_TAIL_SAMPLES / alpha)
    samples = as_large = 0
    for _ in range(_BATCHES):
        drawn = rng.multinomial(questions, probabilities, size=batch).astype(np.float64)
        as_large += int(np.count_nonzero((drawn @ growth.T).max(axis=1) >= observed - 1e-9))
        samples += batch
        if not samples * alpha / _CLEAR < as_large < samples * alpha * _CLEAR:
            break
    return (as_large + 1) / (samples + 1)


def lower_limit(centred: Centred, counts: FloatArray, alpha: float, low: float, estimate: float, error: float) -> float:
    """Return the lower limit at level `alpha`: the largest hypothesis below the estimate that is refused; `low` if none
    above it is. `error` is the standard error, by which the search starts.

    It interpolates normal quantiles of p-values, which are nearly straight, and halves where they are not. Where many
    questions were observed and the most likely distribution is hardly skewed, the likelihood ratio is normal, and so is
    the limit: nothing is drawn.
    """
    normal = NormalDist()
    target = normal.inv_cdf(alpha)
    high, high_z, low_z = estimate, 0.0, -math.inf
    hypothesis = estimate + target * error if error > 0.0 else (low + estimate) / 2.0
    if error > 0.0 and _is_normal(*centred(hypothesis), counts, target):
        return hypothesis
    for _ in range(_LIMIT_STEPS):
        hypothesis = min(max(hypothesis, low + _TRIM * (high - low)), high - _TRIM * (high - low))
        values, worst = centred(hypothesis)
        found = p_value(values, counts, worst, alpha) if worst < 0.0 else 0.0
        z = normal.inv_cdf(min(max(found, 1e-6), 0.5))
        if abs(z - target) < _CLOSE:
            return hypothesis
        if found <= alpha:
            low, low_z = hypothesis, z
        else:
            high, high_z = hypothesis, z
        if math.isinf(low_z):
            hypothesis = low + (high - low) / 2.0 if z == 0.0 else estimate + (hypothesis - estimate) * target / z
        else:
            hypothesis = low + (high - low) * (target - low_z) / (high_z - low_z)
    return low


def _is_normal(values: FloatArray, worst: float, counts: FloatArray, target: float) -> bool:
    """Return whether skewness and tails move a limit `target` standard errors away by next to nothing.

    By the terms of order 1/sqrt(n) and 1/n of the expansions of Edgeworth and of Cornish and Fisher (P. Hall, The
    Bootstrap and Edgeworth Expansion, 1992, sections 2.4 and 3.5), bounded from above. The moments are those of the
    most likely distribution under the hypothesis, with the mass that it puts on `worst`.
    """
    if worst >= 0.0 or counts @ values <= 0.0:
        return False
    probabilities, outcomes = _most_likely(values, counts, worst), np.append(values, worst)
    questions, z = float(counts.sum()), abs(target)
    second, third, fourth = (float(probabilities @ outcomes**power) for power in (2, 3, 4))
    skewness, tails = abs(third) / second**1.5, fourth / second**2
    moved = skewness / math.sqrt(questions) * (2.0 * z**2 + 1.0) / 6.0 + tails / questions * (z**3 + 3.0 * z) / 8.0
    return bool(moved < _HARDLY_SKEWED)


def _most_likely(values: FloatArray, counts: FloatArray, worst: float) -> FloatArray:
    """Return the most likely probabilities [K + 1] of the values and `worst` with mean 0, for a mean above 0."""
    low, high = 0.0, 1.0 / -worst
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        rises = float(counts @ (values / (1.0 + middle * values))) > 0.0
        low, high = (middle, high) if rises else (low, middle)
    mass = counts / counts.sum() / (1.0 + low * values)
    probabilities = np.append(mass, max(0.0, 1.0 - mass.sum()))
    return np.asarray(probabilities / probabilities.sum(), dtype=np.float64)
