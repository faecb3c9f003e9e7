"""Bootstrap: the points of each pair of models in resamples of the battles, and intervals from the resamples.

The games of one question are not independent of each other (two games with places swapped, a strong verdict that
counts three times), so the honest resample draws whole questions: the cluster bootstrap of Field and Welsh
(J. R. Stat. Soc. B 69, 2007). Drawing single rows, as arena tools do, gives intervals about half as wide as they
should be; it is kept to compare with published numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from engine.ratings.battles import Battles, FloatArray, IntArray
from engine.ratings.outcomes import OutcomeTable
from engine.ratings.student import student_quantile

LOWER_PERCENTILE, UPPER_PERCENTILE = 2.5, 97.5
_CELLS_AT_ONCE = 4_000_000  # of the matrix resamples x questions: 32 MB

Sums: TypeAlias = tuple[FloatArray, FloatArray]
"""Points won and weight of every pair, both of shape [resamples, P]."""


def resample_questions(table: OutcomeTable, rounds: int, seed: int) -> Iterator[Sums]:
    """Draws Q questions out of Q with replacement, `rounds` times, in chunks that bound the memory."""
    pairs = len(table.pairs)
    both = np.concatenate([table.won, table.total], axis=1)
    for times in question_draws(len(table.won), rounds, seed):
        sums = times @ both
        yield sums[:, :pairs], sums[:, pairs:]


def question_draws(questions: int, rounds: int, seed: int) -> Iterator[FloatArray]:
    """How often each question comes up, [R, Q], when as many as there are get drawn with replacement; in chunks."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS_AT_ONCE // max(1, questions))
    for begin in range(0, rounds, chunk):
        count = min(chunk, rounds - begin)
        drawn = rng.integers(0, questions, size=(count, questions))
        drawn += np.arange(count)[:, None] * questions
        times = np.bincount(drawn.ravel(), minlength=count * questions).reshape(count, questions)
        yield times.astype(np.float64)


def resample_rows(table: OutcomeTable, battles: Battles, weight: int, rounds: int, seed: int) -> Iterator[Sums]:
    """Draws N rows out of N with replacement, `rounds` times; a strong verdict is `weight` rows. The original's way.

    Rows of the same pair and outcome are alike, so drawing how often each kind comes up (multinomial) is the same as
    drawing the rows. Games of a model against itself are among the rows drawn, as in the original, though they
    tell nothing.
    """
    rng = np.random.default_rng(seed)
    kept = battles.where(battles.labelled)
    row_weight = kept.weights(weight)
    kinds, kind = np.unique(np.stack([kept.model_a, kept.model_b, kept.points], axis=1), axis=0, return_inverse=True)
    size = np.bincount(kind.ravel(), weights=row_weight)
    rows = round(float(size.sum()))
    column, points = _columns_of_kinds(table, kinds)
    known = column >= 0
    to_won = np.zeros((len(kinds), len(table.pairs)))
    to_total = np.zeros_like(to_won)
    to_won[known, column[known]] = points[known]
    to_total[known, column[known]] = 1.0
    chunk = max(1, _CELLS_AT_ONCE // len(kinds))
    for begin in range(0, rounds, chunk):
        times = rng.multinomial(rows, size / size.sum(), size=min(chunk, rounds - begin)).astype(np.float64)
        yield times @ to_won, times @ to_total


def percentiles(questions: int | None) -> tuple[float, float]:
    """Which percentiles of resamples are 95 % limits; 2.5 and 97.5 for many questions, or where `questions` is None.

    Resamples of Q questions spread less than estimates do, by the root of (Q - 1) / Q, and have the tails of a normal
    distribution where Student's are due; the "expanded" percentiles make up for both (Hesterberg, What Teachers Should
    Know about the Bootstrap, Amer. Statistician 69, 2015, section 4.3).
    """
    if questions is None or questions < 2:
        return LOWER_PERCENTILE, UPPER_PERCENTILE
    reach = student_quantile(questions - 1) * (questions / (questions - 1)) ** 0.5
    lower = 100.0 * NormalDist().cdf(-reach)
    return lower, 100.0 - lower


def interval(resampled: FloatArray, questions: int | None = None) -> tuple[FloatArray, FloatArray]:
    """95 % limits of each column of [R, M], over the resamples that say something about it.

    `questions` is how many of them were resampled (None: rows were). NaN for a column about which no resample says
    anything.
    """
    lower, upper = np.full(resampled.shape[1], np.nan), np.full(resampled.shape[1], np.nan)
    gaps = np.isnan(resampled)
    whole = ~gaps.any(axis=0)
    limits = list(percentiles(questions))
    lower[whole], upper[whole] = np.percentile(resampled[:, whole], limits, axis=0)
    for column in np.flatnonzero(~whole & ~gaps.all(axis=0)):
        lower[column], upper[column] = np.percentile(resampled[~gaps[:, column], column], limits)
    return lower, upper


def _columns_of_kinds(table: OutcomeTable, kinds: FloatArray) -> tuple[IntArray, FloatArray]:
    """For kinds of rows [K, (model_a, model_b, points of b)]: the pair's column (-1: none) and its model's points."""
    columns = {(int(opponent), int(model)): index for index, (opponent, model) in enumerate(table.pairs)}
    column, points = np.full(len(kinds), -1, dtype=np.int64), np.zeros(len(kinds))
    for index, (model_a, model_b, points_of_b) in enumerate(kinds):
        pair = (int(model_a), int(model_b))
        if pair in columns:
            column[index], points[index] = columns[pair], points_of_b
        elif pair[::-1] in columns:
            column[index], points[index] = columns[pair[::-1]], 1.0 - points_of_b
    return column, points
