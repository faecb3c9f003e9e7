"""A board: the judgments of a bench rated as the choices say. Rated again only when one or the other has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from arena_tui.board.choices import BoardChoices, Group
from engine.answer_style import read_style
from engine.bench import Bench
from engine.errors import RatingError
from engine.ratings.battles import Battles
from engine.ratings.compare import compare
from engine.ratings.estimate import rate_battles
from engine.ratings.leaderboard import UNNAMED_GROUP, Leaderboard, LeaderboardOptions, Rater
from engine.ratings.style import rate_with_style
from engine.results import JudgedBench, rate

KEPT = 8  # boards of the same judgments, for going back and forth between choices


@dataclass(frozen=True)
class Board:
    """What is shown, and what it rests on. `ranges` are the ranks that a model can have, where they are known.

    Attributes:
        leaderboard: rows and warnings.
        judged: the judgments that count, after the choice of judge and group.
        options: how they were rated.
        groups: what the bench's questions can be narrowed to.
    """

    leaderboard: Leaderboard
    judged: JudgedBench
    options: LeaderboardOptions
    ranges: Mapping[str, tuple[int, int]]
    groups: Sequence[Group]


class BoardRater:
    """Keeps the boards of the judgments that it was shown last. Rating takes a while: call it in a thread."""

    def __init__(self) -> None:
        self._judged: JudgedBench | None = None
        self._boards: dict[BoardChoices, Board] = {}

    def rate(self, bench: Bench, judged: JudgedBench, choices: BoardChoices, baseline: str) -> Board:
        """The board of `judged` by `choices`. Raises ArenaError where that cannot be rated."""
        if judged is not self._judged:
            self._judged, self._boards = judged, {}
        board = self._boards.get(choices)
        if board is None:
            board = _rated(bench, judged, choices, baseline)
            while len(self._boards) >= KEPT:
                del self._boards[next(iter(self._boards))]
            self._boards[choices] = board
        return board


def groups_of(judged: JudgedBench) -> list[Group]:
    """Categories, then clusters, with how many questions they have; none where all questions are in one."""
    found = []
    for kind in ("category", "cluster"):
        counts = Counter(getattr(question, kind) or UNNAMED_GROUP for question in judged.facts.questions)
        if len(counts) > 1:
            found += [Group(kind, name, counts[name]) for name in sorted(counts)]
    return found


def narrowed(judged: JudgedBench, group: Group) -> JudgedBench:
    """The judgments on the questions of one group, as if there were no others."""
    facts = judged.facts
    questions = tuple(
        question for question in facts.questions if (getattr(question, group.kind) or UNNAMED_GROUP) == group.name
    )
    wanted = {question.id for question in questions}
    lengths = {
        model: {key: length for key, length in known.items() if key in wanted}
        for model, known in facts.token_lengths.items()
    }
    facts = msgspec.structs.replace(facts, questions=questions, token_lengths=lengths)
    return replace(judged, battles=_without_other_names(judged.battles.of_questions(wanted)), facts=facts)


def _without_other_names(battles: Battles) -> Battles:
    """The same games, with the names of their questions alone."""
    kept, question = np.unique(battles.question, return_inverse=True)
    return replace(battles, questions=tuple(battles.questions[index] for index in kept), question=question)


def _rated(bench: Bench, judged: JudgedBench, choices: BoardChoices, baseline: str) -> Board:
    groups = groups_of(judged)
    used = narrowed(judged, choices.group) if choices.group else judged
    options = choices.options(baseline)
    rater, notes = _rater(bench, used, choices)
    leaderboard, _ = rate(used, options, rater)
    leaderboard.warnings.extend(notes)
    ranges = {} if choices.style or choices.ci == "battle" else _rank_ranges(used, options)
    return Board(leaderboard, used, options, ranges, groups)


def _rater(bench: Bench, judged: JudgedBench, choices: BoardChoices) -> tuple[Rater, Sequence[str]]:
    if not choices.style:
        return rate_battles, ()
    counts, notes = read_style(bench, judged.battles.models)
    return partial(rate_with_style, words=choices.style, style=counts), notes


def _rank_ranges(judged: JudgedBench, options: LeaderboardOptions) -> dict[str, tuple[int, int]]:
    """The best and the worst rank of each model. They rest on standard errors, so no resampling is needed."""
    try:
        found = compare(judged.battles, msgspec.structs.replace(options, rounds=1), judged.facts)
    except RatingError:  # fewer than two models
        return {}
    return {model.model: (model.best_rank, model.worst_rank) for model in found.models}
