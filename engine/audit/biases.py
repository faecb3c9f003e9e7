"""Do length and Markdown decide? What they are worth to the judge at equal strength of the models.

Are answers in another language than their question punished, and what would the scores be if they lost?

Does the judge favour its own kind? Only another judge of the same answers can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from engine.audit.intervals import NOTHING, Estimate, QuestionResampler, by_question
from engine.errors import RatingError
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions, Ratings, StyleCovariate, rate_battles
from engine.ratings.style import STYLE_WORDS, StyleCounts, rate_with_style

_TWICE_AS_LONG = (2.0 - 1.0) / (2.0 + 1.0)  # the length covariate of an answer twice as long


class StyleGain(msgspec.Struct, frozen=True):
    """Points that an answer gains in an even match: by twice the length, or by one standard deviation more Markdown."""

    name: str
    points: Estimate


class PreferenceReport(msgspec.Struct, frozen=True):
    """`longer_wins` is the percentage of points that the longer answer took, whatever its quality; `gains` are what
    the style itself is worth, with the strength of each model taken out. `note` says why there are none."""

    longer_wins: Estimate
    gains: list[StyleGain]
    note: str = ""


def preference_report(
    battles: Battles, options: RatingOptions, style: StyleCounts, resampler: QuestionResampler
) -> PreferenceReport:
    """What one judge makes of style. Answers of better models are often longer too, so only `gains` tell a taste.

    Even they are of what goes with length within a model: a longer answer may really say more.
    """
    longer = _longer_wins(battles, style, resampler)
    try:
        ratings = rate_with_style(battles, options, STYLE_WORDS, style)
    except RatingError as error:
        return PreferenceReport(longer, [], f"{error.title}.")
    assert ratings.style is not None
    if ratings.style.weak:
        return PreferenceReport(longer, [], "Style hardly varies within the models.")
    questions = int(np.count_nonzero(ratings.table.total.sum(axis=1)))
    gains = [StyleGain(covariate.name, _gain(covariate, questions)) for covariate in ratings.style.covariates]
    return PreferenceReport(longer, gains)


def _gain(covariate: StyleCovariate, questions: int) -> Estimate:
    more = _TWICE_AS_LONG / covariate.deviation if covariate.name == "length" else 1.0
    value, lower, upper = (
        50.0 * math.tanh(0.5 * more * weight) for weight in (covariate.weight, covariate.lower, covariate.upper)
    )
    return Estimate(value, lower, upper, questions)


def _longer_wins(battles: Battles, style: StyleCounts, resampler: QuestionResampler) -> Estimate:
    tokens = style.of(battles)[:, :, 0]
    difference = tokens[battles.question, battles.model_b] - tokens[battles.question, battles.model_a]
    told = battles.labelled & ~np.isnan(difference) & (difference != 0.0)
    if not told.any():
        return NOTHING
    points = np.where(difference > 0, battles.points, 1.0 - battles.points)[told]
    question = battles.question[told]
    return resampler.share(
        by_question(question, points, resampler.questions),
        by_question(question, np.ones(len(question)), resampler.questions),
    )


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


class FamilyReport(msgspec.Struct, frozen=True):
    """`itself`: the judge is among the judged. `relatives` are the other models of its family, `baseline_is_relative`
    if the baseline is one: then everybody else is scored against a favourite.

    `advantage` is by how many points more the judge lifts its relatives (and itself) above what the other judges give
    them, than it lifts the others; None without another judge, without relatives, or without others.
    """

    family: str
    itself: bool
    relatives: list[str]
    baseline_is_relative: bool
    advantage: Estimate | None


def family_report(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    families: Mapping[str, str],
    resampler: QuestionResampler,
) -> FamilyReport | None:
    """A difference of differences: (own kind - others) by this judge, less the same by the other judges.

    Args:
        judge: the judge that is looked at, among those of `battles`.
        battles: the games of all judges; those on what several judges judged are compared.
        options: the baseline, and what a strong verdict counts.
        families: the family of the judges and of every model.
        resampler: of the questions of `battles`.

    None when the family of the judge is not known.
    """
    own = families.get(judge)
    if own is None:
        return None
    judged = [name for name in battles.models if name != options.baseline]
    relatives = [name for name in judged if name != judge and families.get(name) == own]
    kin = [name for name in judged if name == judge or name in relatives]
    return FamilyReport(
        family=own,
        itself=judge in judged,
        relatives=relatives,
        baseline_is_relative=families.get(options.baseline) == own,
        advantage=_advantage(judge, battles, options, kin, [name for name in judged if name not in kin], resampler),
    )


def _advantage(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    kin: Sequence[str],
    others: Sequence[str],
    resampler: QuestionResampler,
) -> Estimate | None:
    judges = [name for name in battles.judges if name != judge]
    if not judges or not kin or not others:
        return None
    tables = {name: _sums(battles, name, options) for name in (judge, *judges)}
    names = [*kin, *others]
    index = [battles.models.index(name) for name in names]
    is_kin = np.arange(len(names)) < len(kin)
    every = np.ones((1, resampler.questions))
    value = _difference(judge, tables, index, is_kin, every)
    resampled = _difference(judge, tables, index, is_kin, resampler.draws)
    played = np.logical_and.reduce([total[:, index].sum(axis=1) > 0 for _, total in tables.values()])
    return resampler.estimate(float(value[0]), resampled, int(played.sum()))


def _difference(
    judge: str,
    tables: Mapping[str, tuple[FloatArray, FloatArray]],
    index: Sequence[int],
    is_kin: BoolArray,
    draws: FloatArray,
) -> FloatArray:
    """Percent, [R]. A model that one of the judges has not judged says nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = {name: (draws @ won[:, index]) / (draws @ total[:, index]) for name, (won, total) in tables.items()}
    rest = np.mean([score for name, score in scores.items() if name != judge], axis=0)
    lift = 100.0 * (scores[judge] - rest)
    with np.errstate(invalid="ignore"):
        difference: FloatArray = _mean(lift[:, is_kin]) - _mean(lift[:, ~is_kin])
    return difference


def _mean(values: FloatArray) -> FloatArray:
    told = ~np.isnan(values)
    sums: FloatArray = np.where(told, values, 0.0).sum(axis=1) / np.maximum(told.sum(axis=1), 1)
    return np.where(told.any(axis=1), sums, np.nan)


def _sums(battles: Battles, judge: str, options: RatingOptions) -> tuple[FloatArray, FloatArray]:
    """Weighted points and weights against the baseline by one judge, [Q, M] in the order of the names of `battles`."""
    baseline = battles.models.index(options.baseline)
    mine = battles.where(
        (battles.judge == battles.judges.index(judge)) & battles.labelled & (battles.model_a == baseline)
    )
    won = np.zeros((len(battles.questions), len(battles.models)))
    total = np.zeros_like(won)
    weights = mine.weights(options.weight)
    np.add.at(won, (mine.question, mine.model_b), weights * mine.points)
    np.add.at(total, (mine.question, mine.model_b), weights)
    return won, total
