"""Do length and Markdown decide? What they are worth to the judge at equal strength of the models."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from engine.errors import RatingError
from engine.ratings.audit.shares import NOTHING, Estimate, QuestionResampler, by_question
from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions
from engine.ratings.style import STYLE_WORDS, StyleCounts, StyleCovariate, rate_with_style

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
