"""What a rating rests on: questions, games, games without a verdict, questions that were never judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import numpy as np

from engine.ratings.battles import Battles, BoolArray


class Coverage(msgspec.Struct, frozen=True):
    """Counts of one model. `questions` have at least one verdict, `games` have one, `unparsed` were played without.

    `missing` are the questions of the set on which the model was not judged at all.
    """

    questions: int = 0
    games: int = 0
    unparsed: int = 0
    missing: int = 0


def games_of(battles: Battles, model: int) -> BoolArray:
    """Shape [N]: the games that the model (an index) played against another one."""
    takes_part: BoolArray = (battles.model_a == model) | (battles.model_b == model)
    against_another: BoolArray = battles.model_a != battles.model_b
    return np.logical_and(takes_part, against_another)


def coverage(battles: Battles, model: int, question_ids: Collection[str]) -> Coverage:
    """The counts of one model (an index); `question_ids` is the whole question set."""
    mine = games_of(battles, model)
    told = mine & battles.labelled
    judged = {battles.questions[index] for index in np.unique(battles.question[mine])}
    return Coverage(
        questions=len(np.unique(battles.question[told])),
        games=int(np.count_nonzero(told)),
        unparsed=int(np.count_nonzero(mine & ~told)),
        missing=sum(question not in judged for question in question_ids),
    )


def questions_by_judge(battles: Battles, model: int) -> dict[str, int]:
    """On how many questions each judge gave at least one verdict on the model (an index)."""
    told = games_of(battles, model) & battles.labelled
    return {
        name: len(np.unique(battles.question[told & (battles.judge == judge)]))
        for judge, name in enumerate(battles.judges)
    }


def average_tokens(lengths: Mapping[str, int | None], question_ids: Collection[str] | None = None) -> int | None:
    """The mean length of a model's answers, cut to a whole number as published tables have it; None if none is known.

    `lengths` maps question ids to tokens; `question_ids`, when given, limits the answers that count.
    """
    chosen = lengths.items() if question_ids is None else ((key, lengths.get(key)) for key in question_ids)
    known = [length for _, length in chosen if length is not None]
    return int(sum(known) / len(known)) if known else None
