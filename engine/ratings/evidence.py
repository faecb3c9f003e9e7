"""What a result rests on, question by question, small enough to be stored with it: another result can be paired with it
later, and be told apart from one that it must not be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions, require_rateable
from engine.ratings.outcomes import outcomes_by_label
from engine.ratings.soft import expected_outcomes


class ModelEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One model's points against the baseline, in the order of the questions.

    Attributes:
        won, total: weighted points won of those played for; None on questions that were not judged, 0 of 0 on those
            that got no verdict.
        settings: by judge, the digests of the settings that its judgments were made with (None: not told).
        sampling: the digests of what its answers were made with, the model's name aside (None: not told).
    """

    won: list[float | None]
    total: list[float | None]
    settings: dict[str, list[str | None]] = {}
    sampling: list[str | None] = []


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Points of all models, by label or (`soft`) as expected. `compared_with` has, for each question, the digest of its
    text and of the baseline's answer (None where these are not known)."""

    soft: bool
    questions: list[str]
    compared_with: list[str | None]
    models: dict[str, ModelEvidence]

    def problem(self) -> str:
        """What is wrong with evidence that was read from a file; empty where all of it fits together."""
        count = len(self.questions)
        if len(set(self.questions)) != count or len(self.compared_with) != count:
            return "its questions and their digests do not match"
        for model, mine in self.models.items():
            if len(mine.won) != count or len(mine.total) != count:
                return f"{model} has points for another number of questions"
            for won, total in zip(mine.won, mine.total, strict=True):
                if (won is None) != (total is None) or not 0.0 <= (won or 0.0) <= (total or 0.0):
                    return f"{model} has points that cannot be"
        return ""


class Origin(msgspec.Struct, frozen=True):
    """Where the judgments of a bench come from: digests by question, by model and judge, and by model."""

    compared_with: Mapping[str, str] = {}
    settings: Mapping[str, Mapping[str, Sequence[str | None]]] = {}
    sampling: Mapping[str, Sequence[str | None]] = {}


def evidence(battles: Battles, options: RatingOptions, origin: Origin) -> Evidence:
    """The points of every model against the baseline, on all questions that any of them was judged on.

    Raises RatingError where they cannot be rated.
    """
    used = battles.first_games() if options.first_game_only else battles
    require_rateable(used, options)
    anchor = battles.models.index(options.baseline)
    used = used.where(((used.model_a == anchor) | (used.model_b == anchor)) & (used.model_a != used.model_b))
    swapped = used.model_b == anchor
    model = np.where(swapped, used.model_a, used.model_b)
    shape = len(battles.questions), len(battles.models)
    cell = used.question * shape[1] + model

    def summed(values: FloatArray) -> FloatArray:
        told = np.where(used.labelled, values, 0.0)
        return np.bincount(cell, weights=told, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    won_by_b, weight = (expected_outcomes if options.soft else outcomes_by_label)(used, options.weight)
    won, total = summed(np.where(swapped, weight - won_by_b, won_by_b)), summed(weight)
    played = (np.bincount(cell, minlength=shape[0] * shape[1]) > 0).reshape(shape)
    asked = np.flatnonzero(played.any(axis=1))
    questions = [battles.questions[index] for index in asked]
    return Evidence(
        soft=options.soft,
        questions=questions,
        compared_with=[origin.compared_with.get(question) for question in questions],
        models={
            battles.models[index]: ModelEvidence(
                won=_listed(won[asked, index], played[asked, index]),
                total=_listed(total[asked, index], played[asked, index]),
                settings={
                    judge: list(known) for judge, known in origin.settings.get(battles.models[index], {}).items()
                },
                sampling=list(origin.sampling.get(battles.models[index], ())),
            )
            for index in np.flatnonzero(played.any(axis=0))
        },
    )


def _listed(values: FloatArray, played: BoolArray) -> list[float | None]:
    return [value if was_played else None for value, was_played in zip(values.tolist(), played.tolist(), strict=True)]
