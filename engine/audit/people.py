"""The labels of the reviewers of a bench, as arrays over the names of some battles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from engine.labels import is_strong, points_of_model, strength
from engine.ratings.audit.agreement import Agreement, agreement
from engine.ratings.audit.people import PeopleLabels
from engine.ratings.audit.shares import QuestionResampler
from engine.ratings.battles import Battles
from engine.review.labels import HumanLabel, Pair

Reviews = Mapping[str, Mapping[Pair, HumanLabel]]
"""What every reviewer says of every pair that they looked at."""


def people_labels(reviews: Reviews, battles: Battles, baseline: str) -> PeopleLabels:
    """All labels against `baseline` on questions and models of `battles`; skipped pairs are left out."""
    questions = {name: index for index, name in enumerate(battles.questions)}
    models = {name: index for index, name in enumerate(battles.models)}
    found = [
        (
            questions[each.question_id],
            models[each.model],
            each.game,
            points_of_model(each.label, each.game),
            is_strong(each.label),
        )
        for said in reviews.values()
        for each in _labels(said.values(), baseline)
        if each.question_id in questions and each.model in models
    ]
    columns = np.array(found, dtype=np.float64).reshape(-1, 5).T
    question, model, game = (column.astype(np.int64) for column in columns[:3])
    return PeopleLabels(question, model, game, columns[3], columns[4])


def between_people(reviews: Reviews, battles: Battles, baseline: str, resampler: QuestionResampler) -> Agreement | None:
    """How far reviewers agree who labelled the same pair; None if no two did.

    It is the model's side that is compared: they may have seen the answers in different orders.
    """
    questions = {name: index for index, name in enumerate(battles.questions)}
    said_of: dict[Pair, list[HumanLabel]] = defaultdict(list)
    for said in reviews.values():
        for each in _labels(said.values(), baseline):
            if each.question_id in questions:
                said_of[each.pair].append(each)
    question, first, second = [], [], []
    for (question_id, _), labels in said_of.items():
        for at, one in enumerate(labels):
            for other in labels[at + 1 :]:
                question.append(questions[question_id])
                first.append(_strength(one))
                second.append(_strength(other))
    return agreement(np.array(question, dtype=np.int64), np.array(first), np.array(second), resampler)


def _labels(said: Iterable[HumanLabel], baseline: str) -> Iterable[HumanLabel]:
    return (each for each in said if each.label is not None and each.baseline in ("", baseline))


def _strength(label: HumanLabel) -> float:
    assert label.label is not None
    return float(strength(label.label, label.game))
