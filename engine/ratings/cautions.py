"""Warnings about a leaderboard: what limits the conclusions that its scores allow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from engine.errors import Advice, AdviceKind, listed
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.estimate import LimitsKind, RatingOptions, Ratings, limits_by
from engine.ratings.model_stats import Coverage, questions_by_judge
from engine.ratings.outcomes import soft_report
from engine.ratings.sensitivity import KnownBad, sensitivity_cautions

_MANY_UNPARSED = 0.05
_FAR_FROM_SAME_STYLE = 1.0  # points


def cautions(
    ratings: Ratings,
    counts: Mapping[str, Coverage],
    judges: Sequence[str],
    question_ids: Collection[str],
    options: RatingOptions,
    known_bad: Sequence[KnownBad] = (),
) -> list[str]:
    """Return all warnings about one leaderboard. `counts` holds the models that have a row, without the baseline.

    `known_bad` are the scores of answers that must lose.
    """
    return [
        *_unrated(ratings),
        *_unbounded(ratings),
        *_few_questions(ratings, options),
        *sensitivity_cautions(ratings.battles, [ratings.models.index(name) for name in counts], known_bad),
        *_missing(counts, len(question_ids)),
        *_unparsed(counts),
        *_uneven_judges(ratings, counts),
        *_judges_that_compete(ratings, judges),
        *_foreign_questions(ratings, question_ids),
        *_style(ratings),
        *_soft(ratings, options),
    ]


def _unrated(ratings: Ratings) -> Iterator[str]:
    names = [name for name, rate in zip(ratings.models, ratings.rate, strict=True) if np.isnan(rate)]
    if names:
        yield f"not ranked, no game has a label: {listed(names)}"


def _unbounded(ratings: Ratings) -> Iterator[str]:
    """Models whose maximum-likelihood strength is infinite."""
    games = "every game" if ratings.table.against_baseline_only else "every chain of games to the baseline"
    for rate, how in ((1.0, "won"), (0.0, "lost")):
        names = [name for name, its in zip(ratings.models, ratings.rate, strict=True) if its == rate]
        order = "; their relative order is undetermined" if len(names) > 1 else ""
        if names:
            yield f"{how} {games}, so {100 * rate:.0f} is a limit, not an estimate: {listed(names)}{order}"


def _few_questions(ratings: Ratings, options: RatingOptions) -> Iterator[str]:
    count = len(ratings.table.won)
    if count < MINIMUM_QUESTIONS:
        yield f"{count} question{_s(count)}; {few_questions(limits_by(ratings, options.ci))}"


def few_questions(limits: LimitsKind) -> str:
    """Return what less than the usual number of questions means for limits of a kind."""
    if limits == "likelihood":
        return f"below {MINIMUM_QUESTIONS} intervals hold the truth but are wide"
    return f"intervals are too narrow below {MINIMUM_QUESTIONS}"


def _missing(counts: Mapping[str, Coverage], questions: int) -> Iterator[str]:
    gaps = [f"{name} ({count.missing} of {questions})" for name, count in counts.items() if count.missing]
    if gaps:
        yield f"questions without a judgment, so scores rest on different questions: {listed(gaps)}"


def _unparsed(counts: Mapping[str, Coverage]) -> Iterator[str]:
    many = [
        f"{name} ({count.unparsed} of {count.unparsed + count.games} games)"
        for name, count in counts.items()
        if count.unparsed > _MANY_UNPARSED * (count.unparsed + count.games)
    ]
    if many:
        yield Advice(f"many games are unparsed: {listed(many)}; judge them again", AdviceKind.REFRESH_UNPARSED)


def _uneven_judges(ratings: Ratings, counts: Mapping[str, Coverage]) -> Iterator[str]:
    names = ratings.battles.judges
    if len(names) < 2:
        return
    judged = dict(zip(ratings.models, questions_by_judge(ratings.battles).T.tolist(), strict=True))
    uneven = [
        f"{model} ({', '.join(f'{judge}: {number}' for judge, number in zip(names, judged[model], strict=True))})"
        for model in counts
        if len(set(judged[model])) > 1
    ]
    if uneven:
        yield f"judges labelled different numbers of questions: {listed(uneven)}"


def _judges_that_compete(ratings: Ratings, judges: Sequence[str]) -> Iterator[str]:
    both = [judge for judge in judges if judge in ratings.models]
    if both:
        yield f"a judge that is also a contestant may favour its own answers: {listed(both)}"


def _foreign_questions(ratings: Ratings, question_ids: Collection[str]) -> Iterator[str]:
    known = frozenset(question_ids)
    foreign = sum(question not in known for question in ratings.battles.questions)
    if foreign:
        yield f"{foreign} judged question{_s(foreign)} not in the question set"


def _style(ratings: Ratings) -> Iterator[str]:
    style = ratings.style
    if style is None:
        return
    if style.unknown:
        yield f"{style.unknown} games left out of style control: the length of an answer is unknown"
    if style.weak:
        yield (
            "answer style hardly varies within the models, so its effect cannot be separated from their strength; "
            "do not rely on scores with style control"
        )
    apart = np.nanmax(np.abs(100.0 * (ratings.rate - style.same_style)))
    if apart > _FAR_FROM_SAME_STYLE:
        yield (
            "scores are for the mean style difference between models and baseline, as in arena-hard-auto v2; for the "
            f"baseline's own style (same_style) they differ by up to {apart:.1f} points"
        )


def _soft(ratings: Ratings, options: RatingOptions) -> Iterator[str]:
    if not options.soft:
        return
    report = soft_report(ratings.battles, None)
    if report.by_label:
        games = report.games + report.by_label
        yield f"{report.by_label} of {games} games have no probabilities from the judge, so they count by label"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
