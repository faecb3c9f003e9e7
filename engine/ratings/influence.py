"""Influence of each question on each score: what clustered ("sandwich") errors and paired differences rest on.

A score is, up to terms that vanish, its expectation plus the mean of one number a question (the linearisation of
Taylor, or infinitesimal jackknife). The standard error is that of the mean of these numbers, whatever the games within
a question have to do with each other (Huber, Proc. 5th Berkeley Symposium, 1967; Liang and Zeger, Biometrika 73, 1986;
for evals: Miller, arXiv 2411.00640, 2024). The difference of two scores has the difference of their numbers, which is
how it gains from both models having answered the same questions.
"""

from __future__ import annotations

import numpy as np

from engine.ratings.battles import FloatArray
from engine.ratings.outcomes import OutcomeTable
from engine.ratings.student import student_quantile


def influence(table: OutcomeTable, rate: FloatArray) -> FloatArray:
    """Influence values [Q, M] of the questions on the win rates against the baseline.

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
    inner = np.where(finite, rate, 0.5)
    logit = np.log(inner / (1.0 - inner))
    expected = 0.5 * (1.0 + np.tanh(0.5 * (logit[model] - logit[opponent])))
    design = np.zeros((len(model), models))
    design[np.arange(len(model)), model] = 1.0
    design[np.arange(len(model)), opponent] = -1.0
    free = finite.copy()
    free[table.baseline] = False
    design = design[:, free]
    total = table.total[:, inside]
    information = (design.T * (total.sum(axis=0) * expected * (1.0 - expected))) @ design
    score = (table.won[:, inside] - total * expected) @ design
    values[:, free] = questions * np.linalg.solve(information, score.T).T * (rate * (1.0 - rate))[free]
    return values


def sandwich_limits(rate: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """95 % limits [M] of win rates from their influence values [Q, M], each Q - 1 degrees of freedom.

    They are symmetric on the logit scale, where strengths live, so they stay between 0 and 1; the delta method takes
    the standard error there. Rates of 0 and 1 get themselves, NaN stays NaN.
    """
    inner = (rate > 0.0) & (rate < 1.0)
    middle = np.where(inner, rate, 0.5)
    error = standard_error(values) / (middle * (1.0 - middle))
    half = student_quantile(max(1, len(values) - 1)) * np.where(error > 0.0, error, 0.0)
    logit = np.log(middle / (1.0 - middle))
    lower, upper = (0.5 * (1.0 + np.tanh(0.5 * (logit + sign * half))) for sign in (-1.0, 1.0))
    return np.where(inner, lower, rate), np.where(inner, upper, rate)


def standard_error(values: FloatArray) -> FloatArray:
    """Standard errors of means of influence values, along the first axis; NaN for fewer than two questions."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    errors: FloatArray = values.std(axis=0, ddof=1) / np.sqrt(count)
    return errors
