"""Style control: win rates with the effect of length and Markdown on the judge taken out.

The method of arena-hard-auto v2 (`show_result.py`, after "Does style matter?" of the Chatbot Arena, 2024): four
covariates a comparison, standardised over all battles, in one logistic regression with the strengths of the models.

- length: (t - t0) / (t + t0) for the tokens of the model's answer and of the baseline's;
- headers, lists, bold: (d - d0) / (d + d0 + 1) for their number per token.

Two mistakes of v2 are not repeated: `length` alone and `markdown` alone use their own columns, and intervals come from
resampled questions, not from single rows. A third one is made visible: v2 centres the covariates on the mean of all
battles, so its scores are those of answers whose style differs from the baseline's by that mean, and a single model
that only writes longer than the baseline keeps its advantage. `same_style` holds the win rates for the baseline's own
style.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import Advice, AdviceKind, RatingError
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.bradley_terry import resampled_win_rates, sigmoid, win_rates
from engine.ratings.estimate import RatingOptions, Ratings, StyleControl, StyleCovariate, require_rateable
from engine.ratings.limits import interval, question_draws
from engine.ratings.outcomes import OutcomeTable, outcome_table
from engine.ratings.score_limits import no_narrower
from engine.ratings.style_fit import PRECISION, StyleDesign, fit_once, fit_resamples, least_information

STYLE_WORDS = ("length", "markdown")
COVARIATES = ("length", "headers", "lists", "bold")
_OF_WORD = {"length": (0,), "markdown": (1, 2, 3)}
_NO_SPREAD = 1e-9
_WEAK = 10.0  # times the information of the prior: below that the prior shapes the weights


@dataclass(frozen=True)
class StyleCounts:
    """The style of the answers of M models to Q questions.

    Attributes:
        questions, models: names.
        counts: [Q, M, 4] tokens, headers, list items and bold spans of each answer; NaN where there is no answer.
    """

    questions: tuple[str, ...]
    models: tuple[str, ...]
    counts: FloatArray

    def of(self, battles: Battles) -> FloatArray:
        """Return the counts [Q, M, 4] in the order of the names of `battles`; NaN where unknown."""
        rows = {name: index for index, name in enumerate(self.questions)}
        columns = {name: index for index, name in enumerate(self.models)}
        padded = np.full((len(self.questions) + 1, len(self.models) + 1, len(COVARIATES)), np.nan)
        padded[:-1, :-1] = self.counts
        row = [rows.get(name, -1) for name in battles.questions]
        column = [columns.get(name, -1) for name in battles.models]
        return padded[np.ix_(row, column)]


def style_differences(mine: FloatArray, theirs: FloatArray) -> FloatArray:
    """Return the four covariates of answers with counts `mine` against `theirs`, both [..., 4]; NaN stays NaN.

    Two answers without tokens do not differ in length, and an answer without tokens has no Markdown.
    """
    tokens, their_tokens = mine[..., :1], theirs[..., :1]
    density = mine[..., 1:] / np.maximum(tokens, 1.0)
    their_density = theirs[..., 1:] / np.maximum(their_tokens, 1.0)
    longer = (tokens - their_tokens) / np.maximum(tokens + their_tokens, 1.0)
    return np.concatenate([longer, (density - their_density) / (density + their_density + 1.0)], axis=-1)


def rate_with_style(battles: Battles, options: RatingOptions, words: Collection[str], style: StyleCounts) -> Ratings:
    """Rate every model of `battles` against the baseline, with the style named by `words` controlled for.

    As in v2, the score is the win rate at the mean style difference; where there are games between other pairs than
    model and baseline that mean has no direction, and the score is the win rate at equal style.

    Raises RatingError where `rate_battles` does, and when no style is known or none of it varies.
    """
    chosen = [column for word in STYLE_WORDS if word in words for column in _OF_WORD[word]]
    if options.ci != "question":
        raise RatingError(
            f"style control has no intervals of the kind {options.ci}",
            Advice("resample questions, which is the default", AdviceKind.CI),
        )
    used = require_rateable(battles, options)
    counts = style.of(used)
    known = ~np.isnan(counts[used.question, used.model_a, 0]) & ~np.isnan(counts[used.question, used.model_b, 0])
    design, mean, deviation, names = _design(used.where(known), options, counts, chosen)
    table = design.table
    questions = len(table.won)
    plain = win_rates(table)
    finite = (plain > 0.0) & (plain < 1.0)
    theta, gamma = fit_once(design, finite)

    times = np.concatenate([*question_draws(questions, options.rounds, options.seed)])
    resampled_plain = resampled_win_rates(table, times @ table.won, times @ table.total, plain)
    inside = (resampled_plain > 0.0) & (resampled_plain < 1.0)
    thetas, gammas = fit_resamples(design, times, inside, (theta, gamma))

    def rates(centre: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return rates, lower and upper limits, and resampled rates, at a style difference."""
        resampled = _rates(thetas, gammas @ centre, resampled_plain, table)
        return _rates(theta, gamma @ centre, plain, table), *interval(resampled, questions), resampled

    rate, lower, upper, resampled = rates(mean / deviation if table.against_baseline_only else np.zeros(len(gamma)))
    same, same_lower, same_upper, _ = rates(np.zeros(len(gamma)))
    lower, upper = no_narrower((lower, upper), rate, table)
    same_lower, same_upper = no_narrower((same_lower, same_upper), same, table)
    columns = (gamma, *interval(gammas, questions), mean, deviation)
    control = StyleControl(
        words=tuple(word for word in STYLE_WORDS if word in words),
        covariates=tuple(
            StyleCovariate(*row) for row in zip(names, *(column.tolist() for column in columns), strict=True)
        ),
        same_style=same,
        lower=same_lower,
        upper=same_upper,
        unknown=int(np.sum(~known)),
        weak=least_information(design, finite, theta, gamma) < _WEAK * PRECISION,
    )
    return Ratings(used.models, rate, lower, upper, resampled, used, table, control)


def _design(
    kept: Battles, options: RatingOptions, counts: FloatArray, chosen: Sequence[int]
) -> tuple[StyleDesign, FloatArray, FloatArray, list[str]]:
    """Return points and scaled covariates; mean and deviation of the raw ones over all battles; and their names."""
    if not len(kept):
        raise RatingError(
            "the style of the answers is unknown",
            "put the answers of the judged models and of the baseline into model_answer/",
        )
    table = outcome_table(kept, options.baseline, options.weight, soft=options.soft)
    questions = np.unique(kept.question[kept.labelled & (kept.model_a != kept.model_b)])
    opponent, model = table.pairs.T
    counts = counts[questions]
    raw = style_differences(counts[:, model], counts[:, opponent])[:, :, chosen]
    raw = np.where((table.total > 0)[:, :, None], raw, 0.0)
    weight = table.total[:, :, None]
    mean = (weight * raw).sum(axis=(0, 1)) / weight.sum()
    deviation = np.sqrt((weight * (raw - mean) ** 2).sum(axis=(0, 1)) / max(weight.sum() - 1.0, 1.0))
    varies = deviation > _NO_SPREAD
    if not varies.any():
        raise RatingError("all answers have the same style", Advice("rate without style control", AdviceKind.STYLE))
    names = [COVARIATES[column] for column, kept_one in zip(chosen, varies, strict=True) if kept_one]
    return StyleDesign(table, raw[:, :, varies] / deviation[varies]), mean[varies], deviation[varies], names


def _rates(theta: FloatArray, shift: FloatArray | float, plain: FloatArray, table: OutcomeTable) -> FloatArray:
    """Return win rates from strengths [.., M] and a common shift [..]; 0, 1 and NaN are those of the plain fit."""
    logits = theta + np.asarray(shift)[..., None]
    rates = np.where((plain > 0.0) & (plain < 1.0), sigmoid(logits), plain)
    rates[..., table.baseline] = 0.5
    return rates
