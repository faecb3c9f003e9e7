"""Agreement beyond chance of two raters, judges or people: Cohen's kappa with limits from resampled questions.

Kappa: (p - c) / (1 - c) for the agreement p and the agreement c that the raters' own frequencies give by chance (Cohen,
Educ. Psychol. Meas. 20, 1960); weighted by the squared distance of the categories (Cohen, Psychol. Bull. 70, 1968) for
verdicts with their strength.

Raters that always agree, or differ alike on every question, leave resamples nothing to vary. Their limits are those of
the share of equal verdicts, put through the same formula with c as found: on 15 questions without a difference kappa
may still be 0.6.

scikit-learn's `cohen_kappa_score` is the oracle of the tests; 1000 resamples of 1000 games take it 1.9 s, this 7 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.auditing.intervals import NOTHING, IntervalEstimate, QuestionResampler, resampler_of
from engine.ratings.battles import Battles, FloatArray, IntArray, label_strength

_WINNERS, _STRENGTHS = 3, 5  # categories
_NO_CHANCE = 1e-12


class Agreement(msgspec.Struct, frozen=True):
    """Agreement of two raters on `games` that both gave a verdict on.

    `same_winner` in percent. `kappa` is of the winner (baseline, tie, model), `weighted_kappa` of the five labels, None
    where strengths are unknown. 0 is chance, 1 is perfect.
    """

    games: int
    same_winner: IntervalEstimate
    kappa: IntervalEstimate
    weighted_kappa: IntervalEstimate | None


class JudgeAgreement(msgspec.Struct, frozen=True):
    """Agreement of two judges on the same games."""

    judge: str
    other: str
    agreement: Agreement


def agreement(
    question: IntArray, first: FloatArray, second: FloatArray, resampler: QuestionResampler
) -> Agreement | None:
    """Compare two raters of K games; None without any.

    Args:
        question: [K] index of each game's question.
        first, second: [K] verdict of each rater: from -2 (the baseline is much better) over 0 (a tie) to 2 (the model
            is); halves (-1.5, 1.5) stand for a verdict of unknown strength.
        resampler: of the questions.
    """
    if not len(question):
        return None
    winners = _tables(question, np.sign(first) + 1, np.sign(second) + 1, _WINNERS, resampler)
    strengths = None
    if np.all(first == np.round(first)) and np.all(second == np.round(second)):
        strengths = _tables(question, first + 2, second + 2, _STRENGTHS, resampler)
    return Agreement(
        games=len(question),
        same_winner=_same(winners, resampler),
        kappa=_kappa(winners, resampler, squared=False),
        weighted_kappa=None if strengths is None else _kappa(strengths, resampler, squared=True),
    )


def agreement_on(questions: Sequence[str], first: Sequence[float], second: Sequence[float]) -> Agreement | None:
    """The same for K verdicts on questions given by their ids. Raises ValueError for unequal lengths."""
    if not len(questions) == len(first) == len(second):
        raise ValueError(f"{len(first)} and {len(second)} verdicts cannot be compared item by item")
    question, resampler = resampler_of(questions)
    return agreement(question, np.array(first, dtype=np.float64), np.array(second, dtype=np.float64), resampler)


def judge_agreements(battles: Battles, resampler: QuestionResampler) -> list[JudgeAgreement]:
    """Compare every pair of judges that judged some of the same games."""
    size = len(battles.models)
    code = ((battles.question * size + battles.model_a) * size + battles.model_b) * 3 + battles.game
    strength = label_strength(battles.points, battles.strong)
    comparable = battles.labelled & (battles.game > 0) & (battles.model_a != battles.model_b)
    games_of = [np.flatnonzero(comparable & (battles.judge == judge)) for judge in range(len(battles.judges))]
    found = []
    for one, name in enumerate(battles.judges):
        for two in range(one + 1, len(battles.judges)):
            _, first, second = np.intersect1d(code[games_of[one]], code[games_of[two]], return_indices=True)
            by_one, by_two = games_of[one][first], games_of[two][second]
            result = agreement(battles.question[by_one], strength[by_one], strength[by_two], resampler)
            if result is not None:
                found.append(JudgeAgreement(name, battles.judges[two], result))
    return found


def _tables(
    question: IntArray, first: FloatArray, second: FloatArray, size: int, resampler: QuestionResampler
) -> FloatArray:
    """Count each pair of categories on each question, [Q, size, size]."""
    cell = (question * size + first.astype(np.int64)) * size + second.astype(np.int64)
    counts = np.bincount(cell, minlength=resampler.questions * size * size).astype(np.float64)
    return counts.reshape(resampler.questions, size, size)


def _same(tables: FloatArray, resampler: QuestionResampler) -> IntervalEstimate:
    """Percent of equal categories."""
    return resampler.share_of_sums(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2)))


def _kappa(tables: FloatArray, resampler: QuestionResampler, *, squared: bool) -> IntervalEstimate:
    whole = tables.sum(axis=0)[None]
    value = float(_kappas(whole, squared=squared)[0])
    if np.isnan(value):
        return NOTHING
    size = tables.shape[1]
    flat = tables.reshape(len(tables), size * size)
    resampled = _kappas((resampler.draws @ flat).reshape(-1, size, size), squared=squared)
    found = resampler.estimate(value, resampled, int(np.count_nonzero(flat.sum(axis=1))))
    same = _same(tables, resampler)
    if (same.value == 100.0 or found.lower is None) and same.lower is not None and same.upper is not None:
        differ_by_chance = float(_expected(whole, _costs(size, squared=False))[0])
        lower, upper = (1.0 - (1.0 - share / 100.0) / differ_by_chance for share in (same.lower, same.upper))
        return msgspec.structs.replace(found, lower=max(-1.0, min(value, lower)), upper=min(1.0, max(value, upper)))
    return found


def _kappas(tables: FloatArray, *, squared: bool) -> FloatArray:
    """Kappa of each of R tables [R, size, size]; NaN where chance alone agrees always."""
    costs = _costs(tables.shape[1], squared=squared)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = (tables * costs).sum(axis=(1, 2)) / tables.sum(axis=(1, 2))
        expected = _expected(tables, costs)
        kappas: FloatArray = np.where(expected > _NO_CHANCE, 1.0 - seen / expected, np.nan)
    return kappas


def _expected(tables: FloatArray, costs: FloatArray) -> FloatArray:
    """The mean cost that the raters' own frequencies give by chance, [R]."""
    by_chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    expected: FloatArray = (by_chance * costs).sum(axis=(1, 2)) / np.square(tables.sum(axis=(1, 2)))
    return expected


def _costs(size: int, *, squared: bool) -> FloatArray:
    """[size, size]: the squared distance of two categories, or 1 for any two that differ."""
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    return np.square(apart).astype(np.float64) if squared else (apart != 0).astype(np.float64)
