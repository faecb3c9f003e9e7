"""What else may sway a judge: length and Markdown, answers in another language than their question, its own family."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from engine.auditing.intervals import NOTHING, IntervalEstimate, QuestionResampler
from engine.errors import RatingError, as_line
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions, Ratings, StyleCovariate, rate_battles
from engine.ratings.style import STYLE_WORDS, StyleCounts, rate_with_style

_TWICE_AS_LONG = (2.0 - 1.0) / (2.0 + 1.0)  # the length covariate of an answer twice as long


class StyleGain(msgspec.Struct, frozen=True):
    """Points that an answer gains in an even match: by twice the length, or by one standard deviation more Markdown."""

    name: str
    points: IntervalEstimate


class PreferenceReport(msgspec.Struct, frozen=True):
    """`longer_wins` is the percentage of points that the longer answer won, whatever its quality; `gains` are what the
    style itself is worth, with the strength of each model taken out. `note` says why there are none."""

    longer_wins: IntervalEstimate
    gains: list[StyleGain]
    note: str = ""


class ModelLanguage(msgspec.Struct, frozen=True):
    """Answers of one model. Of `answers` with a decided language check, `mismatched` are in another language.

    `other` is the language most of these are in. `score` is the win rate by the judge, `score_if_lost` the same with
    every game of a mismatched answer lost; `score_matched` and `score_mismatched` are over the games of either kind.
    """

    model: str
    answers: int
    mismatched: int
    other: str | None
    score: IntervalEstimate
    score_if_lost: IntervalEstimate
    score_matched: IntervalEstimate
    score_mismatched: IntervalEstimate


class LanguageReport(msgspec.Struct, frozen=True):
    """`baseline_mismatched` of the baseline's `baseline_answers` are in another language; these are left as judged.

    `undecided` answers have too little prose, or their question has.
    """

    models: list[ModelLanguage]
    baseline_answers: int
    baseline_mismatched: int
    undecided: int


class FamilyReport(msgspec.Struct, frozen=True):
    """`itself`: the judge is among the judged models. `relatives` are the other models of its family.

    `baseline_is_relative` if the baseline is one: then all others are scored against a favourite. `advantage` is by how
    many points more the judge lifts its relatives (and itself) above what the other judges give them, than it lifts the
    others; None without another judge, without relatives, or without others.
    """

    family: str
    itself: bool
    relatives: list[str]
    baseline_is_relative: bool
    advantage: IntervalEstimate | None


def preference_report(
    battles: Battles, options: RatingOptions, style: StyleCounts, resampler: QuestionResampler
) -> PreferenceReport:
    """Estimate what style is worth to one judge.

    Answers of better models are often longer too, so only `gains` show a preference. Even they are of what goes with
    length within a model: a longer answer may contain more.
    """
    longer = _longer_wins(battles, style, resampler)
    try:
        ratings = rate_with_style(battles, options, STYLE_WORDS, style)
    except RatingError as error:
        return PreferenceReport(longer, [], f"{as_line(error.title)}.")
    assert ratings.style is not None
    if ratings.style.weak:
        return PreferenceReport(longer, [], "Style hardly varies within the models.")
    questions = int(np.count_nonzero(ratings.table.total.sum(axis=1)))
    gains = [StyleGain(covariate.name, _gain(covariate, questions)) for covariate in ratings.style.covariates]
    return PreferenceReport(longer, gains)


def language_report(
    battles: Battles,
    options: RatingOptions,
    mismatch: FloatArray,
    other: Mapping[str, str],
    resampler: QuestionResampler,
) -> LanguageReport:
    """Score answers in another language, one row for each model judged against the baseline.

    Args:
        battles: the games of one judge.
        options: the baseline, and the weight of a strong label.
        mismatch: [Q, M] in the order of the names of `battles`: 1 for another language, 0 for the same, NaN undecided.
        other: by model, the other language it uses most often.
        resampler: of the questions of `battles`.

    A game counted as lost keeps its weight. Raises RatingError where `rate_battles` does.
    """
    baseline = battles.models.index(options.baseline)
    wrong: BoolArray = mismatch == 1.0
    in_other = wrong[battles.question, battles.model_b] & (battles.model_b != baseline)
    as_judged = rate_battles(battles, options)
    points = np.where(in_other & battles.labelled, 0.0, battles.points)
    if_lost = rate_battles(replace(battles, points=points), options)

    def score_of(chosen: BoolArray) -> IntervalEstimate:
        games = battles.where(chosen)
        weights = games.weights(options.weight)
        return resampler.share(games.question, weights * games.points, weights)

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
                score_matched=score_of(known & ~in_other),
                score_mismatched=score_of(known & in_other),
            )
        )
    return LanguageReport(
        models=rows,
        baseline_answers=int(np.count_nonzero(~np.isnan(mismatch[:, baseline]))),
        baseline_mismatched=int(np.count_nonzero(wrong[:, baseline])),
        undecided=int(np.count_nonzero(np.isnan(mismatch[:, [*judged.tolist(), baseline]]))),
    )


def family_report(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    families: Mapping[str, str],
    resampler: QuestionResampler,
) -> FamilyReport | None:
    """Estimate how far a judge favours its own family; only other judges of the same answers can show it.

    A difference of differences: (own family - others) by this judge, less the same by the other judges.

    Args:
        judge: one of the judges of `battles`.
        battles: the games of all judges; those on what several judges judged are compared.
        options: the baseline, and the weight of a strong label.
        families: the family of the judges and of every model.
        resampler: of the questions of `battles`.

    None when the family of the judge is unknown.
    """
    own = families.get(judge)
    if own is None:
        return None
    judged = [name for name in battles.models if name != options.baseline]
    relatives = [name for name in judged if name != judge and families.get(name) == own]
    kin = [name for name in judged if name == judge or name in relatives]
    others = [name for name in judged if name not in kin]
    return FamilyReport(
        family=own,
        itself=judge in judged,
        relatives=relatives,
        baseline_is_relative=families.get(options.baseline) == own,
        advantage=_advantage(judge, battles, options, kin, others, resampler) if kin and others else None,
    )


def _longer_wins(battles: Battles, style: StyleCounts, resampler: QuestionResampler) -> IntervalEstimate:
    tokens = style.of(battles)[:, :, 0]
    difference = tokens[battles.question, battles.model_b] - tokens[battles.question, battles.model_a]
    labelled = battles.labelled & ~np.isnan(difference) & (difference != 0.0)
    if not labelled.any():
        return NOTHING
    points = np.where(difference > 0, battles.points, 1.0 - battles.points)
    return resampler.share(battles.question[labelled], points[labelled])


def _gain(covariate: StyleCovariate, questions: int) -> IntervalEstimate:
    more = _TWICE_AS_LONG / covariate.deviation if covariate.name == "length" else 1.0
    value, lower, upper = (
        50.0 * math.tanh(0.5 * more * weight) for weight in (covariate.weight, covariate.lower, covariate.upper)
    )
    return IntervalEstimate(value, lower, upper, questions)


def _rated(ratings: Ratings, index: int) -> IntervalEstimate:
    column = (ratings.table.pairs == index).any(axis=1)
    questions = int(np.count_nonzero(ratings.table.total[:, column].any(axis=1)))
    value, lower, upper = (100.0 * float(values[index]) for values in (ratings.rate, ratings.lower, ratings.upper))
    return IntervalEstimate(value, lower, upper, questions)


def _advantage(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    kin: Sequence[str],
    others: Sequence[str],
    resampler: QuestionResampler,
) -> IntervalEstimate | None:
    """Percent points; a model that one of the judges has not judged does not count."""
    if len(battles.judges) < 2:
        return None
    index = [battles.models.index(name) for name in (*kin, *others)]
    is_kin = np.arange(len(index)) < len(kin)
    tables = {
        name: tuple(table[:, index] for table in _weighted_points(battles, name, options)) for name in battles.judges
    }

    def difference(draws: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = {name: (draws @ won) / (draws @ total) for name, (won, total) in tables.items()}
            rest = np.mean([score for name, score in scores.items() if name != judge], axis=0)
            lift = 100.0 * (scores[judge] - rest)
            lifted: FloatArray = _mean_of_known(lift[:, is_kin]) - _mean_of_known(lift[:, ~is_kin])
        return lifted

    played = np.logical_and.reduce([total.sum(axis=1) > 0 for _, total in tables.values()])
    value = difference(np.ones((1, resampler.questions)))
    return resampler.estimate(float(value[0]), difference(resampler.draws), int(played.sum()))


def _mean_of_known(values: FloatArray) -> FloatArray:
    """The mean of each row, NaN values left out; NaN for a row without any."""
    known = ~np.isnan(values)
    means: FloatArray = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), means, np.nan)


def _weighted_points(battles: Battles, judge: str, options: RatingOptions) -> tuple[FloatArray, FloatArray]:
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
