"""Do judges agree with each other beyond chance, and with people? Cohen's kappa with limits from resampled questions.

Kappa: (p - c) / (1 - c) for the agreement p and the agreement c that the raters' own frequencies give by chance (Cohen,
Educ. Psychol. Meas. 20, 1960); weighted by the squared distance of the categories (Cohen, Psychol. Bull. 70, 1968) for
verdicts with their strength.
"""

from __future__ import annotations

import msgspec
import numpy as np

from engine.audit.intervals import NOTHING, Estimate, QuestionResampler
from engine.ratings.battles import Battles, FloatArray, IntArray, label_strength

WINNERS, STRENGTHS = 3, 5
_NO_CHANCE = 1e-12


class Agreement(msgspec.Struct, frozen=True):
    """Of one rater with another on `games` that both gave a verdict on.

    `same_winner` in percent. `kappa` is of the winner (baseline, tie, model), `weighted_kappa` of the five labels, None
    where strengths are not known. 0 is chance, 1 is perfect.
    """

    games: int
    same_winner: Estimate
    kappa: Estimate
    weighted_kappa: Estimate | None


class JudgeAgreement(msgspec.Struct, frozen=True):
    """Of two judges on the same games."""

    judge: str
    other: str
    agreement: Agreement


def judge_agreements(battles: Battles, resampler: QuestionResampler) -> list[JudgeAgreement]:
    """Every pair of judges that judged some of the same games."""
    found = []
    for one, name in enumerate(battles.judges):
        for two in range(one + 1, len(battles.judges)):
            result = _of_judges(battles, one, two, resampler)
            if result is not None:
                found.append(JudgeAgreement(name, battles.judges[two], result))
    return found


def agreement(
    question: IntArray, first: FloatArray, second: FloatArray, resampler: QuestionResampler
) -> Agreement | None:
    """Of two raters of K games; None without any.

    Args:
        question: [K] index of each game's question.
        first, second: [K] what each rater said: from -2 (the baseline is much better) over 0 (a tie) to 2 (the model
            is); halves (-1.5, 1.5) stand for a verdict of unknown strength.
        resampler: of the questions.
    """
    if not len(question):
        return None
    winners = _tables(question, np.sign(first) + 1, np.sign(second) + 1, WINNERS, resampler)
    strengths = None
    if np.all(first == np.round(first)) and np.all(second == np.round(second)):
        strengths = _tables(question, first + 2, second + 2, STRENGTHS, resampler)
    same = np.diagonal(winners, axis1=1, axis2=2).sum(axis=1)
    return Agreement(
        games=len(question),
        same_winner=resampler.share(same, winners.sum(axis=(1, 2))),
        kappa=_kappa(winners, resampler, squared=False),
        weighted_kappa=None if strengths is None else _kappa(strengths, resampler, squared=True),
    )


def _of_judges(battles: Battles, one: int, two: int, resampler: QuestionResampler) -> Agreement | None:
    size = len(battles.models)
    code = ((battles.question * size + battles.model_a) * size + battles.model_b) * 3 + battles.game
    told = battles.labelled & (battles.game > 0) & (battles.model_a != battles.model_b)
    at_one = np.flatnonzero(told & (battles.judge == one))
    at_two = np.flatnonzero(told & (battles.judge == two))
    _, first, second = np.intersect1d(code[at_one], code[at_two], return_indices=True)
    at_one, at_two = at_one[first], at_two[second]
    said = label_strength(battles.points, battles.strong)
    return agreement(battles.question[at_one], said[at_one], said[at_two], resampler)


def _tables(
    question: IntArray, first: FloatArray, second: FloatArray, size: int, resampler: QuestionResampler
) -> FloatArray:
    """How often each pair of categories came up on each question, [Q, size, size]."""
    cell = (question * size + first.astype(np.int64)) * size + second.astype(np.int64)
    counts = np.bincount(cell, minlength=resampler.questions * size * size).astype(np.float64)
    return counts.reshape(resampler.questions, size, size)


def _kappa(tables: FloatArray, resampler: QuestionResampler, *, squared: bool) -> Estimate:
    size = tables.shape[1]
    flat = tables.reshape(len(tables), size * size)
    value = _kappas(flat.sum(axis=0)[None], size, squared=squared)[0]
    if np.isnan(value):
        return NOTHING
    resampled = _kappas(resampler.draws @ flat, size, squared=squared)
    return resampler.estimate(float(value), resampled, int(np.count_nonzero(flat.sum(axis=1))))


def _kappas(sums: FloatArray, size: int, *, squared: bool) -> FloatArray:
    """Kappa of each of R tables [R, size * size]; NaN where chance alone agrees always."""
    tables = sums.reshape(-1, size, size)
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    cost = np.square(apart) if squared else (apart != 0).astype(np.float64)
    total = tables.sum(axis=(1, 2))
    by_chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = (tables * cost).sum(axis=(1, 2)) / total
        expected = (by_chance * cost).sum(axis=(1, 2)) / np.square(total)
        kappas: FloatArray = np.where(expected > _NO_CHANCE, 1.0 - seen / expected, np.nan)
    return kappas
