"""Are answers in another language than their question punished, and what would the scores be if they lost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import numpy as np

from engine.ratings.audit.shares import Estimate, QuestionResampler, by_question
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles


class ModelLanguage(msgspec.Struct, frozen=True):
    """Answers of one model. Of `answers` whose language and question's can be told, `mismatched` are in another one.

    `other` is the language most of these are in. `score` is the win rate as the judge has it, `score_if_lost` if every
    game of a mismatched answer were lost; `score_matched` and `score_mismatched` are over the games of either kind.
    """

    model: str
    answers: int
    mismatched: int
    other: str | None
    score: Estimate
    score_if_lost: Estimate
    score_matched: Estimate
    score_mismatched: Estimate


class LanguageReport(msgspec.Struct, frozen=True):
    """`baseline_mismatched` of the baseline's answers are in another language (of `baseline_answers` that can be told);
    these are left as judged. `undecided` answers have too little prose, or their question has."""

    models: list[ModelLanguage]
    baseline_answers: int
    baseline_mismatched: int
    undecided: int


def language_report(
    battles: Battles,
    options: RatingOptions,
    mismatch: FloatArray,
    other: Mapping[str, str],
    resampler: QuestionResampler,
) -> LanguageReport:
    """One row for each model that was judged against the baseline.

    Args:
        battles: the games of one judge.
        options: the baseline, and what a strong verdict counts.
        mismatch: [Q, M] in the order of the names of `battles`: 1 for another language, 0 for the same, NaN undecided.
        other: the language that a model falls into most often.
        resampler: of the questions of `battles`.

    A game that is lost keeps the weight that the judge gave it. Raises RatingError where `rate_battles` does.
    """
    baseline = battles.models.index(options.baseline)
    wrong: BoolArray = mismatch == 1.0
    in_other = wrong[battles.question, battles.model_b] & (battles.model_b != baseline)
    as_judged = rate_battles(battles, options)
    points = np.where(in_other & battles.labelled, 0.0, battles.points)
    if_lost = rate_battles(replace(battles, points=points), options)
    judged = np.unique(battles.model_b[battles.model_b != battles.model_a])
    rows = []
    for index in judged.tolist():
        mine = (battles.model_b == index) & (battles.model_a == baseline) & battles.labelled
        known = mine & ~np.isnan(mismatch[battles.question, index])
        name = battles.models[index]
        rows.append(
            ModelLanguage(
                model=name,
                answers=int(np.count_nonzero(~np.isnan(mismatch[:, index]))),
                mismatched=int(np.count_nonzero(wrong[:, index])),
                other=other.get(name),
                score=_rated(as_judged, index),
                score_if_lost=_rated(if_lost, index),
                score_matched=_score(battles, options, known & ~in_other, resampler),
                score_mismatched=_score(battles, options, known & in_other, resampler),
            )
        )
    taking_part = [*judged.tolist(), baseline]
    return LanguageReport(
        models=rows,
        baseline_answers=int(np.count_nonzero(~np.isnan(mismatch[:, baseline]))),
        baseline_mismatched=int(np.count_nonzero(wrong[:, baseline])),
        undecided=int(np.count_nonzero(np.isnan(mismatch[:, taking_part]))),
    )


def _rated(ratings: Ratings, index: int) -> Estimate:
    column = (ratings.table.pairs == index).any(axis=1)
    questions = int(np.count_nonzero(ratings.table.total[:, column].any(axis=1)))
    value, lower, upper = (100.0 * float(values[index]) for values in (ratings.rate, ratings.lower, ratings.upper))
    return Estimate(value, lower, upper, questions)


def _score(battles: Battles, options: RatingOptions, chosen: BoolArray, resampler: QuestionResampler) -> Estimate:
    games = battles.where(chosen)
    weights = games.weights(options.weight)
    return resampler.share(
        by_question(games.question, weights * games.points, resampler.questions),
        by_question(games.question, weights, resampler.questions),
    )
