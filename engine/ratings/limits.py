"""95 % limits and p-values, from points by question.

The games of one question are not independent of each other (two games with places swapped, a strong label that counts
three times), so the unit of all uncertainty is the question. Two methods take it into account:

- The cluster bootstrap draws whole questions (Field and Welsh, J. R. Stat. Soc. B 69, 2007). Drawing single rows, as
  arena tools do, gives intervals about half as wide as they should be; it is kept to compare with published numbers.
- The influence of each question on each score: a score is, up to terms that vanish, its expectation plus the mean of
  one number a question (the linearisation of Taylor, or infinitesimal jackknife), and its clustered ("sandwich")
  standard error is that of this mean (Huber, Proc. 5th Berkeley Symposium, 1967; Liang and Zeger, Biometrika 73, 1986;
  for evals: Miller, arXiv 2411.00640, 2024). A difference of two scores has the difference of their numbers, which is
  how it gains from both models having answered the same questions.

Student's t is own code: importing scipy.special costs 0.25 s of CPU, and a whole leaderboard takes 0.34 s; from
30 questions on the expansion differs from it by less than 2 in a million.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import Battles, BoolArray, FloatArray, IntArray
from engine.ratings.bradley_terry import sigmoid
from engine.ratings.outcomes import OutcomeTable

_CELLS_AT_ONCE = 4_000_000  # of the matrix resamples x questions: 32 MB

Sums: TypeAlias = tuple[FloatArray, FloatArray]
"""Points won and weight of every pair, both of shape [resamples, P]."""


def resample_questions(table: OutcomeTable, rounds: int, seed: int) -> Iterator[Sums]:
    """Draw Q questions out of Q with replacement, `rounds` times, in chunks that bound the memory."""
    pairs = len(table.pairs)
    both = np.concatenate([table.won, table.total], axis=1)
    for times in question_draws(len(table.won), rounds, seed):
        sums = times @ both
        yield sums[:, :pairs], sums[:, pairs:]


def question_draws(questions: int, rounds: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each of Q questions comes up in draws of Q with replacement, [R, Q], in chunks of the rounds."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS_AT_ONCE // max(1, questions))
    for begin in range(0, rounds, chunk):
        count = min(chunk, rounds - begin)
        drawn = rng.integers(0, questions, size=(count, questions))
        drawn += np.arange(count)[:, None] * questions
        times = np.bincount(drawn.ravel(), minlength=count * questions).reshape(count, questions)
        yield times.astype(np.float64)


def resample_rows(table: OutcomeTable, battles: Battles, weight: int, rounds: int, seed: int) -> Iterator[Sums]:
    """Draw N rows out of N with replacement, `rounds` times, as the original does; a strong label is `weight` rows.

    Rows of the same pair and outcome are alike, so drawing how often each kind comes up (multinomial) is the same as
    drawing the rows. Games of a model against itself are among the rows drawn, as in the original, but win no points.
    """
    rng = np.random.default_rng(seed)
    kept = battles.where(battles.labelled)
    kinds, kind = np.unique(np.stack([kept.model_a, kept.model_b, kept.points], axis=1), axis=0, return_inverse=True)
    size = np.bincount(kind.ravel(), weights=kept.weights(weight))
    rows = round(float(size.sum()))
    columns = {tuple(pair): column for column, pair in enumerate(table.pairs.tolist())}
    to_won = np.zeros((len(kinds), len(table.pairs)))
    to_total = np.zeros_like(to_won)
    for row, (model_a, model_b, points_of_b) in enumerate(kinds.tolist()):
        for pair, points in (((model_a, model_b), points_of_b), ((model_b, model_a), 1.0 - points_of_b)):
            if (column := columns.get(pair)) is not None:
                to_won[row, column], to_total[row, column] = points, 1.0
    chunk = max(1, _CELLS_AT_ONCE // len(kinds))
    for begin in range(0, rounds, chunk):
        times = rng.multinomial(rows, size / size.sum(), size=min(chunk, rounds - begin)).astype(np.float64)
        yield times @ to_won, times @ to_total


def interval(
    resampled: FloatArray, questions: int | None = None, alpha: float = ALPHA
) -> tuple[FloatArray, FloatArray]:
    """Return limits of each column of [R, M], over the resamples that determine it; NaN if none does.

    `questions` is how many of them were resampled (None: rows were); outside of the limits is `alpha`.
    """
    lower, upper = np.full(resampled.shape[1], np.nan), np.full(resampled.shape[1], np.nan)
    gaps = np.isnan(resampled)
    whole = ~gaps.any(axis=0)
    limits = list(percentiles(questions, alpha))
    lower[whole], upper[whole] = np.percentile(resampled[:, whole], limits, axis=0)
    for column in np.flatnonzero(~whole & ~gaps.all(axis=0)):
        lower[column], upper[column] = np.percentile(resampled[~gaps[:, column], column], limits)
    return lower, upper


@lru_cache(maxsize=64)
def percentiles(questions: int | None, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the percentiles of resamples that are limits; 2.5 and 97.5 where `questions` is None and alpha 5 %.

    Resamples of Q questions spread less than estimates do, by the root of (Q - 1) / Q, and have the tails of a normal
    distribution where Student's are due; the "expanded" percentiles make up for both (Hesterberg, What Teachers Should
    Know about the Bootstrap, Amer. Statistician 69, 2015, section 4.3).
    """
    if questions is None or questions < 2:
        return 50.0 * alpha, 100.0 - 50.0 * alpha
    reach = student_quantile(questions - 1, 1.0 - alpha / 2.0) * (questions / (questions - 1)) ** 0.5
    lower = 100.0 * NormalDist().cdf(-reach)
    return lower, 100.0 - lower


def open_limits(
    rate: FloatArray, lower: FloatArray, upper: FloatArray, trials: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Replace the lower limit of a rate of 1 and the upper one of a rate of 0 by the exact binomial limit.

    A model that won (or lost) everything looks certain to the bootstrap and to standard errors. The exact limit is that
    of Clopper and Pearson (Biometrika 26, 1934) for so many `trials` [M].
    """
    exact = (ALPHA / 2.0) ** (1.0 / np.maximum(trials, 1.0))
    return np.where(rate == 1.0, exact, lower), np.where(rate == 0.0, 1.0 - exact, upper)


def influence(table: OutcomeTable, rate: FloatArray) -> FloatArray:
    """Return influence values [Q, M] of the questions on the win rates against the baseline.

    Args:
        table: points of Q questions.
        rate: [M] the maximum-likelihood win rates of that table; the influence on a rate of 0, 1 or NaN is 0.

    The values of a model sum to 0. For a ratio S / T of sums over questions they are (S_q - S/T T_q) / (T / Q); for
    Bradley-Terry in general Q times the score of the question times the inverse information, by the delta method.
    """
    questions, models = len(table.won), len(table.models)
    values = np.zeros((questions, models))
    if table.against_baseline_only:
        model = table.pairs[:, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            linear = (table.won - rate[model] * table.total) / table.total.mean(axis=0)
        values[:, model] = np.nan_to_num(linear, nan=0.0, posinf=0.0, neginf=0.0)
        return values

    finite = (rate > 0.0) & (rate < 1.0)
    inside = finite[table.pairs].all(axis=1)
    opponent, model = table.pairs[inside].T
    logit = _logit(np.where(finite, rate, 0.5))
    expected = sigmoid(logit[model] - logit[opponent])
    free = finite.copy()
    free[table.baseline] = False
    design = table.signs[inside][:, free]
    total = table.total[:, inside]
    information = (design.T * (total.sum(axis=0) * expected * (1.0 - expected))) @ design
    score = (table.won[:, inside] - total * expected) @ design
    values[:, free] = questions * np.linalg.solve(information, score.T).T * (rate * (1.0 - rate))[free]
    return values


def sandwich_limits(rate: FloatArray, values: FloatArray, alpha: float = ALPHA) -> tuple[FloatArray, FloatArray]:
    """Return limits [M] of win rates from their influence values [Q, M], by Student's t with Q - 1 degrees.

    They are symmetric on the logit scale, where strengths live, so they stay between 0 and 1; the delta method takes
    the standard error there. The limits of rates of 0, 1 and NaN are the rates.
    """
    inner = (rate > 0.0) & (rate < 1.0)
    middle = np.where(inner, rate, 0.5)
    error = standard_error(values) / (middle * (1.0 - middle))
    half = student_quantile(max(1, len(values) - 1), 1.0 - alpha / 2.0) * np.where(error > 0.0, error, 0.0)
    lower, upper = (sigmoid(_logit(middle) + sign * half) for sign in (-1.0, 1.0))
    return np.where(inner, lower, rate), np.where(inner, upper, rate)


def standard_error(values: FloatArray) -> FloatArray:
    """Return standard errors of means of influence values, along the first axis; NaN for fewer than two questions."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    errors: FloatArray = values.std(axis=0, ddof=1) / np.sqrt(count)
    return errors


def student_quantile(freedom: int, probability: float = 1.0 - ALPHA / 2.0) -> float:
    """Return a quantile of Student's t by Cornish and Fisher's expansion; 97.5 % within 0.2 % from 5 degrees on."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def two_sided_p(t: float, freedom: float) -> float:
    """Return the p-value of a Student's t statistic: an incomplete beta function, by its continued fraction.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.5.8 and 26.7.1, evaluated as by Lentz; the small
    tail keeps its relative precision.
    """
    share = freedom / (freedom + t * t)
    if share > (freedom + 2.0) / (freedom + 5.0):
        return 1.0 - _incomplete_beta(0.5, freedom / 2.0, 1.0 - share)
    return _incomplete_beta(freedom / 2.0, 0.5, share)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, for x below (a + 1) / (a + b + 2)."""
    if x <= 0.0:
        return 0.0
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1.0 / (1.0 + term * d), 1.0 + term / c
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * fraction / a


def sign_test_p(questions: int) -> float:
    """Return the exact two-sided p-value of winning every one of so many questions."""
    return min(1.0, 2.0 * 0.5**questions)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that all below alpha are right together with probability 1 - alpha.

    The step-down method of Holm (Scandinavian Journal of Statistics 6, 1979); it needs no independence.
    """
    count = len(p_values)
    adjusted = [1.0] * count
    highest = 0.0
    for done, index in enumerate(sorted(range(count), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (count - done) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def rank_ranges(better: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the best and the worst rank [M] that each model can have, 1 being the top.

    `better[i, j]` [M, M]: i is surely better than j. If all of it holds together with 95 % probability (as after
    `holm`), so do all ranges (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91, 2024).
    """
    best: IntArray = 1 + better.sum(axis=0)
    worst: IntArray = len(better) - better.sum(axis=1)
    return best, worst


def _logit(rate: FloatArray) -> FloatArray:
    logit: FloatArray = np.log(rate / (1.0 - rate))
    return logit
