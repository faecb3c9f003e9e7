"""Cautions: what a reader of a leaderboard must know before believing it, in plain sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from engine.errors import listed
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.estimate import RatingOptions, Ratings
from engine.ratings.model_stats import Coverage, questions_by_judge
from engine.ratings.outcomes import soft_report

_MANY_UNPARSED = 0.05
_FAR_FROM_SAME_STYLE = 1.0  # points


def cautions(
    ratings: Ratings,
    counts: dict[str, Coverage],
    judges: Sequence[str],
    question_ids: Collection[str],
    options: RatingOptions,
) -> list[str]:
    """All cautions about one leaderboard. `counts` holds the models that have a row, the baseline aside."""
    return [
        *_unrated(ratings),
        *_unbounded(ratings),
        *_few_questions(ratings),
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
        yield f"Not ranked, because no game has a verdict: {listed(names)}."


def _unbounded(ratings: Ratings) -> Iterator[str]:
    """Models whose maximum-likelihood strength is infinite."""
    for rate, what in ((1.0, "won"), (0.0, "lost")):
        names = [name for name, its in zip(ratings.models, ratings.rate, strict=True) if its == rate]
        if not names:
            continue
        every = "every game" if ratings.table.against_baseline_only else "every chain of games to the baseline"
        text = f"No finite strength fits who {what} {every}, so {100 * rate:.0f} is a limit: {listed(names)}."
        yield f"{text} Their order among each other is not told." if len(names) > 1 else text


def _few_questions(ratings: Ratings) -> Iterator[str]:
    count = len(ratings.table.won)
    if count < MINIMUM_QUESTIONS:
        questions = f"Only {count} question{'s' if count != 1 else ''}"
        yield f"{questions}: below {MINIMUM_QUESTIONS} the intervals are too narrow."


def _missing(counts: dict[str, Coverage], questions: int) -> Iterator[str]:
    gaps = [f"{name} ({count.missing} of {questions})" for name, count in counts.items() if count.missing]
    if gaps:
        yield f"Questions without a judgment, so scores do not rest on the same questions: {listed(gaps)}."


def _unparsed(counts: dict[str, Coverage]) -> Iterator[str]:
    many = [
        f"{name} ({count.unparsed} of {count.unparsed + count.games} games)"
        for name, count in counts.items()
        if count.unparsed > _MANY_UNPARSED * (count.unparsed + count.games)
    ]
    if many:
        yield f"Many games without a verdict: {listed(many)}."


def _uneven_judges(ratings: Ratings, counts: dict[str, Coverage]) -> Iterator[str]:
    if len(ratings.battles.judges) < 2:
        return
    uneven = []
    for name in counts:
        judged = questions_by_judge(ratings.battles, ratings.models.index(name))
        if len(set(judged.values())) > 1:
            uneven.append(f"{name} ({', '.join(f'{judge}: {number}' for judge, number in judged.items())})")
    if uneven:
        yield f"The judges gave verdicts on different numbers of questions: {listed(uneven)}."


def _judges_that_compete(ratings: Ratings, judges: Sequence[str]) -> Iterator[str]:
    both = [judge for judge in judges if judge in ratings.models]
    if both:
        yield f"A judge that is also a contestant may favour its own answers: {listed(both)}."


def _foreign_questions(ratings: Ratings, question_ids: Collection[str]) -> Iterator[str]:
    known = frozenset(question_ids)
    foreign = sum(question not in known for question in ratings.battles.questions)
    if foreign:
        yield f"{foreign} judged question{'s are' if foreign != 1 else ' is'} not in the question set."


def _style(ratings: Ratings) -> Iterator[str]:
    style = ratings.style
    if style is None:
        return
    if style.unknown:
        yield f"{style.unknown} games are left out of the style control: not both of their answers are here."
    if style.weak:
        yield (
            "The style of the answers hardly varies within the models, so it cannot be told apart from their strength: "
            "do not rely on the scores that control for it."
        )
    apart = np.abs(100.0 * (ratings.rate - style.same_style))
    if np.nanmax(apart) > _FAR_FROM_SAME_STYLE:
        yield (
            "As in arena-hard-auto v2, scores are for the mean difference in style between models and baseline; for "
            f"the baseline's own style (same_style) they differ by up to {np.nanmax(apart):.1f} points."
        )


def _soft(ratings: Ratings, options: RatingOptions) -> Iterator[str]:
    if not options.soft:
        return
    report = soft_report(ratings.battles, None)
    if report.by_label:
        games = report.games + report.by_label
        yield f"{report.by_label} of {games} games come without the judge's probabilities: there its label counts."
