"""Limits of scores, which are ratios of sums over questions: never narrower than the data allow.

Resampled questions, and standard errors, know only what was seen. A model whose rare losses are strong ones looks too
good on most sets of questions, and its limits are too narrow just then. A question that was not seen may be worse than
all that were, but not worse than lost with strong labels in every game: so the lower limit is that of the questions
together with such an unseen one, the upper limit that together with an unseen one that is won.

Limits are percentiles of the ratio under random weights of the questions, the exponential ones of the Bayesian
bootstrap (Rubin, Annals of Statistics 9, 1981). With an unseen question that counts like a seen one this is Gaffke's
bound for the mean of a bounded variable (Learned-Miller and Thomas, arXiv 1905.06208, 2019), and that of Clopper and
Pearson (Biometrika 26, 1934) where every question is won or lost. It is wider than needed in the middle; so the unseen
question counts fully where no points were lost, and 0.4 where they were lost on many questions.

The percentiles are not simulated but computed, by the saddlepoint approximation (Lugannani and Rice, Adv. Appl. Prob.
12, 1980; Barndorff-Nielsen, Biometrika 73, 1986): they need no seed. `benchmarks/interval_coverage.py` measures the
coverage and how the widths compare with those of the bootstrap.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import FloatArray
from engine.ratings.outcomes import OutcomeTable

_CERTAIN = 40.0  # standard deviations: a sum that cannot have the other sign
_NEAR_MEAN = 1e-3  # standard deviations within which the approximation is 0 / 0
_TOLERANCE = 1e-7  # standard deviations
_STEPS = 50
_DECIMALS = 10  # the rest is rounding, and differs with the models beside
_PARTS = 4.0  # points are whole quarters, unless they are expected ones
_MANY_KINDS = 16384
_LEAST_UNSEEN = 0.4  # how much of a question the unseen one is where points were lost on many
_SEVERAL = 15.0  # questions with lost points that make another one less of a surprise


def ratio_limits(
    won: FloatArray, total: FloatArray, heaviest: FloatArray, alpha: float = ALPHA
) -> tuple[FloatArray, FloatArray]:
    """Return limits [M] of ratios: the sum of `won` over the questions by that of `total`.

    Args:
        won, total: [Q, M] points won and played for; total 0 where a question was not played.
        heaviest: [M] the most that a question can weigh.
        alpha: error rate of both limits of a ratio together.

    NaN where nothing was played.
    """
    return ratio_limits_of_kinds(*_kinds(won, total), heaviest, alpha)


def ratio_limits_of_kinds(
    won: FloatArray, total: FloatArray, count: FloatArray, heaviest: FloatArray, alpha: float = ALPHA
) -> tuple[FloatArray, FloatArray]:
    """The same from K kinds of questions: `won` and `total`, [K, 1] or [K, M], and `count` [K, M], how many of each."""
    played = (count * total).sum(axis=0)
    rate = (count * won).sum(axis=0) / np.where(played > 0.0, played, np.nan)
    questions = count.sum(axis=0)
    below, above = unseen_limits(rate, played / np.maximum(questions, 1.0), questions, heaviest, alpha)
    reach = NormalDist().inv_cdf(1.0 - alpha / 2.0)
    lower = _lower_limits(won, total, count, heaviest, reach)
    upper = 1.0 - _lower_limits(total - won, total, count, heaviest, reach)
    return np.minimum(lower, below), np.maximum(upper, above)


def unseen_limits(
    rate: FloatArray, weight: FloatArray, questions: FloatArray, heaviest: FloatArray, alpha: float = ALPHA
) -> tuple[FloatArray, FloatArray]:
    """Return the limits [M] of ratios if nothing is unknown but the share of questions unlike all that were seen.

    That share is at most the limit of Clopper and Pearson for none in so many.

    Args:
        rate: [M] shares of the points won.
        weight: [M] mean weight of the questions seen.
        questions: [M] how many were seen.
        heaviest: [M] weight of an unseen question, which is lost or won as a whole.
    """
    unseen = 1.0 - (alpha / 2.0) ** (1.0 / np.maximum(questions, 1.0))
    seen = (1.0 - unseen) * weight
    with np.errstate(invalid="ignore"):
        kept = seen / (seen + unseen * heaviest)
    return rate * kept, 1.0 - (1.0 - rate) * kept


def no_narrower(
    limits: tuple[FloatArray, FloatArray], rate: FloatArray, table: OutcomeTable
) -> tuple[FloatArray, FloatArray]:
    """Return the limits [M] of rates of a table, widened to `unseen_limits` where they are narrower; NaN stays NaN.

    An unseen question weighs as much as the heaviest of the model's.
    """
    weights = table.total @ np.abs(table.signs)
    weight, heaviest = weights.sum(axis=0), weights.max(axis=0)
    questions = table.questions_of_models().astype(np.float64)
    below, above = unseen_limits(rate, weight / np.maximum(questions, 1.0), questions, heaviest)
    below[table.baseline] = above[table.baseline] = rate[table.baseline]
    return np.minimum(limits[0], below), np.maximum(limits[1], above)


def _kinds(won: FloatArray, total: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return points won and played for by kind of question, [K, 1], and the number of questions of each kind, [K, M].

    Points by label have few kinds. Where they have many, as expected points do, each question is a kind of its own, and
    all three are [Q, M].
    """
    parts, parts_won = _PARTS * total, _PARTS * won
    size = int(parts.max(initial=0.0)) + 1
    if size**2 > _MANY_KINDS or np.any(parts != np.rint(parts)) or np.any(parts_won != np.rint(parts_won)):
        return won, total, (total > 0.0).astype(np.float64)
    kind = (parts * size + parts_won).astype(np.int64)
    models = won.shape[1]
    count = np.bincount((kind * models + np.arange(models)).ravel(), minlength=size**2 * models).reshape(-1, models)
    count[0] = 0  # not played
    used = np.flatnonzero(count.any(axis=1))
    parts, parts_won = (each[:, None] / _PARTS for each in np.divmod(used, size))
    return parts_won, parts, count[used].astype(np.float64)


def _lower_limits(
    won: FloatArray, total: FloatArray, count: FloatArray, heaviest: FloatArray, reach: float
) -> FloatArray:
    """Return the lower limits [M]: the ratios that weighted sums stay below with the probability of a normal deviate
    below -`reach`."""
    unseen = unseen_share(total - won, count)
    won_in_all, played = (count * won).sum(axis=0), (count * total).sum(axis=0)
    rate = won_in_all / np.where(played > 0.0, played, 1.0)
    error = np.sqrt((count * np.square(won - rate * total)).sum(axis=0) + unseen * np.square(rate * heaviest))
    with_unseen = np.where(played > 0.0, played + unseen * heaviest, 1.0)
    error /= with_unseen
    low, high = np.zeros_like(rate), rate
    limit, step, before = np.clip(won_in_all / with_unseen - reach * error, 0.0, rate), error, None
    for _ in range(_STEPS):
        excess = weighted_deviate(won - limit * total, count, -limit * heaviest, unseen) + reach
        low, high = np.where(excess < 0.0, limit, low), np.where(excess < 0.0, high, limit)
        done = (np.abs(excess) < _TOLERANCE) | (high - low <= _TOLERANCE * rate)
        if done.all():
            break
        if before is not None:
            rise = (excess - before[1]) / np.where(limit != before[0], limit - before[0], 1.0)
            step = np.where(rise > 0.0, 1.0 / np.where(rise > 0.0, rise, 1.0), step)
        before = limit, excess
        proposed = limit - excess * step
        proposed = np.where((proposed > low) & (proposed < high), proposed, (low + high) / 2.0)
        limit = np.where(done, limit, proposed)
    return np.where(played > 0.0, np.round(limit, _DECIMALS), np.nan)


def unseen_share(lost: FloatArray, count: FloatArray) -> FloatArray:
    """Return how much of a question the unseen one is [M]: less, the more questions share what was lost.

    Args:
        lost, count: [K, M] points lost, none negative, and numbers of questions of each kind.
    """
    whole, squares = (count * lost).sum(axis=0), (count * np.square(lost)).sum(axis=0)
    spread_over = np.divide(whole**2, squares, out=np.zeros_like(whole), where=squares > 0.0)  # questions
    share: FloatArray = _LEAST_UNSEEN + (1.0 - _LEAST_UNSEEN) * np.exp(-spread_over / _SEVERAL)
    return share


def weighted_deviate(values: FloatArray, count: FloatArray, unseen_value: FloatArray, unseen: FloatArray) -> FloatArray:
    """Return the normal deviate [M] of the probability that the weighted sum of values is below 0.

    Args:
        values, count: [K, M] values and numbers of questions of each kind, whose weights are exponential.
        unseen_value, unseen: [M] value of the unseen question, and how much of a question it is.

    With the cumulants K(t) = -sum count log(1 - t value), the saddlepoint is the t at which K' is 0.
    """
    values = np.concatenate([np.where(count > 0.0, values, 0.0), unseen_value[None]])
    count = np.concatenate([count, unseen[None]])
    least, most = values.min(axis=0), values.max(axis=0)
    two_sided = (least < 0.0) & (most > 0.0)
    low, high = -1.0 / np.where(two_sided, most, 1.0), -1.0 / np.where(two_sided, least, -1.0)
    t = np.zeros_like(least)
    for _ in range(_STEPS):
        relative = values / (1.0 + t * values)
        slope = (count * relative).sum(axis=0)
        curve = (count * np.square(relative)).sum(axis=0)
        low, high = np.where(slope > 0.0, t, low), np.where(slope > 0.0, high, t)
        step = slope / np.where(curve > 0.0, curve, 1.0)
        proposed = t + step
        proposed = np.where((proposed > low) & (proposed < high), proposed, (low + high) / 2.0)
        done = np.abs(slope) <= _TOLERANCE * np.sqrt(curve)
        if np.all(done | ~two_sided):
            break
        t = np.where(done, t, proposed)
    exponent = 2.0 * (count * np.log1p(np.where(two_sided, t * values, 0.0))).sum(axis=0)
    root = -np.sign(t) * np.sqrt(np.maximum(exponent, 0.0))
    by_curve = -t * np.sqrt(curve)
    usable = two_sided & (np.abs(root) > _NEAR_MEAN)
    ratio = np.where(usable, by_curve, 1.0) / np.where(usable, root, 1.0)
    deviate = root + np.log(np.where(ratio > 0.0, ratio, 1.0)) / np.where(usable, root, 1.0)
    return np.where(two_sided, deviate, np.where(most > 0.0, -_CERTAIN, _CERTAIN))
