"""What kind of verdicts a judge gives: how many, how many are ties, and how often it gives none."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np

from engine.ratings.audit.shares import Estimate, QuestionResampler, by_question
from engine.ratings.battles import Battles, BoolArray, FloatArray


class ReplyCounts(msgspec.Struct, frozen=True):
    """What reading `texts` stored replies again brings; all are counts of games.

    Of the games without a verdict `conflict` replies have different labels, `unknown` something like a label that is
    none, `none` nothing. `readable` of the games without a verdict have one for the lenient rule, `changed` verdicts
    are read in another way by today's rule than they were stored.
    """

    texts: int = 0
    none: int = 0
    conflict: int = 0
    unknown: int = 0
    readable: int = 0
    changed: int = 0


class VerdictReport(msgspec.Struct, frozen=True):
    """Of `games` that were played on `questions`: percent without a verdict, and of the verdicts percent of ties and
    of strong ones. `replies` is None where the judge's replies are not stored."""

    games: int
    questions: int
    unparsed: Estimate
    ties: Estimate
    strong: Estimate
    replies: ReplyCounts | None


class FakeVerdicts(msgspec.Struct, frozen=True):
    """Answers of a model that hold a verdict of their own, such as `[[A>B]]`, and percent of the points these took;
    `others` is the same for the model's other answers."""

    model: str
    answers: int
    score: Estimate
    others: Estimate


def verdict_report(battles: Battles, resampler: QuestionResampler, replies: ReplyCounts | None) -> VerdictReport:
    """Of the games of one judge between two different models."""
    games = battles.where(battles.model_a != battles.model_b)
    told = games.labelled

    def share(part: BoolArray | FloatArray, whole: BoolArray) -> Estimate:
        return resampler.share(
            by_question(games.question, part.astype(np.float64), resampler.questions),
            by_question(games.question, whole.astype(np.float64), resampler.questions),
        )

    return VerdictReport(
        games=len(games),
        questions=len(np.unique(games.question)),
        unparsed=share(~told, np.ones(len(games), dtype=np.bool_)),
        ties=share(told & (games.points == 0.5), told),
        strong=share(np.where(told, games.strong, 0.0), told),
        replies=replies,
    )


def fake_verdicts(
    battles: Battles, flagged: Collection[tuple[str, str]], resampler: QuestionResampler
) -> list[FakeVerdicts]:
    """How answers with a verdict in them fared; `flagged` holds their question ids and models."""
    names = zip(battles.question.tolist(), battles.model_b.tolist(), strict=True)
    is_fake = np.array([(battles.questions[question], battles.models[model]) in flagged for question, model in names])
    against_another = battles.labelled & (battles.model_a != battles.model_b)
    found = []
    for index in np.unique(battles.model_b[is_fake & against_another]) if len(is_fake) else ():
        mine = against_another & (battles.model_b == index)
        found.append(
            FakeVerdicts(
                battles.models[index],
                len(np.unique(battles.question[mine & is_fake])),
                _points(battles.where(mine & is_fake), resampler),
                _points(battles.where(mine & ~is_fake), resampler),
            )
        )
    return found


def _points(games: Battles, resampler: QuestionResampler) -> Estimate:
    return resampler.share(
        by_question(games.question, games.points, resampler.questions),
        by_question(games.question, np.ones(len(games)), resampler.questions),
    )
