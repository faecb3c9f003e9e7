"""Boards and model pages, computed from judgments and choices. Imports no Textual; call it in a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET

from arena_tui.board.choices import BoardChoices, Group
from engine.bench import Bench
from engine.errors import RatingError
from engine.labels import strength
from engine.ratings.battles import Battles
from engine.ratings.compare import possible_ranks
from engine.ratings.estimate import Ratings, rate_battles
from engine.ratings.leaderboard import UNNAMED_GROUP, GroupKind, Leaderboard, LeaderboardOptions, Rater, Row
from engine.ratings.model_stats import ModelStats, games_of
from engine.ratings.style import rate_with_style
from engine.ratings.verdict import PairVerdict, leading_verdict
from engine.results import JudgedBench, rate, read_style
from engine.review.listing import Listed

KEPT = 8  # boards of the same judgments, for going back and forth between choices


@dataclass(frozen=True)
class Board:
    """A leaderboard and what it rests on. `ranges` are the possible ranks of each model, once they are known.

    Attributes:
        leaderboard: rows and warnings.
        judged: the judgments rated, after the choice of judge and group.
        options: how they were rated.
        groups: the categories and clusters of the bench.
        ratings: what the leaderboard is made of.
    """

    leaderboard: Leaderboard
    judged: JudgedBench
    options: LeaderboardOptions
    ranges: Mapping[str, tuple[int, int]]
    groups: Sequence[Group]
    ratings: Ratings

    def verdict(self, pair: Sequence[str]) -> PairVerdict | None:
        """Return the verdict on two models; None with style control, which has no paired test."""
        facts = self.judged.facts
        unranked = frozenset(facts.by_category.values())
        return leading_verdict(self.ratings, self.options, pair, known_bad=facts.known_bad, unranked=unranked)


class BoardRater:
    """Rates, and keeps the boards of the latest judgments. Rating is slow: call it in a thread."""

    def __init__(self) -> None:
        self._judged: JudgedBench | None = None
        self._boards: dict[BoardChoices, Board] = {}

    def rate(self, bench: Bench, judged: JudgedBench, choices: BoardChoices) -> Board:
        """Return the board of `judged` by `choices`, maybe without possible ranks. Raises ArenaError."""
        if judged is not self._judged:
            self._judged, self._boards = judged, {}
        board = self._boards.get(choices)
        if board is None:
            board = _rated(bench, judged, choices)
            while len(self._boards) >= KEPT:
                del self._boards[next(iter(self._boards))]
            self._boards[choices] = board
        return board

    def rank(self, board: Board) -> Board:
        """Return the board with the possible ranks of its models, which take longer than the rest."""
        options = board.options
        if board.ranges or board.leaderboard.style is not UNSET or options.ci == "battle":
            return board
        models = [row.model for row in board.leaderboard.rows]
        ranked = replace(board, ranges=_rank_ranges(board.judged, options, models))
        for choices, known in self._boards.items():
            if known is board:
                self._boards[choices] = ranked
                break
        return ranked


def groups_of(judged: JudgedBench) -> list[Group]:
    """Return categories, then clusters, with their numbers of questions; none if there is only one."""
    found = []
    for kind in ("category", "cluster"):
        counts = Counter(getattr(question, kind) or UNNAMED_GROUP for question in judged.facts.questions)
        if len(counts) > 1:
            found += [Group(kind, name, counts[name]) for name in sorted(counts)]
    return found


def narrowed(judged: JudgedBench, group: Group) -> JudgedBench:
    """Return the judgments on the questions of one group, against the baseline that they share if they share one."""
    facts = judged.facts
    questions = tuple(
        question for question in facts.questions if (getattr(question, group.kind) or UNNAMED_GROUP) == group.name
    )
    wanted = {question.id for question in questions}
    lengths = {
        model: {key: length for key, length in known.items() if key in wanted}
        for model, known in facts.token_lengths.items()
    }
    battles = _without_other_names(judged.battles.of_questions(wanted))
    if (own := facts.own_baseline(wanted)) is not None:
        battles = battles.renamed(facts.baselines[0], own)
        facts = msgspec.structs.replace(facts, baselines=(own,), by_category={})
    facts = msgspec.structs.replace(facts, questions=questions, token_lengths=lengths)
    return replace(judged, battles=battles, facts=facts)


def _without_other_names(battles: Battles) -> Battles:
    """Return the same games, without the names of other questions."""
    kept, question = np.unique(battles.question, return_inverse=True)
    return replace(battles, questions=tuple(battles.questions[index] for index in kept), question=question)


def _rated(bench: Bench, judged: JudgedBench, choices: BoardChoices) -> Board:
    groups = groups_of(judged)
    judged = judged.with_null_games(choices.null_games)
    used = narrowed(judged, choices.group) if choices.group else judged
    options = choices.options(used.facts.baselines[0])
    rater, notes = _rater(bench, used, choices)
    leaderboard, ratings = rate(used, options, rater)
    leaderboard.warnings.extend(notes)
    return Board(leaderboard, used, options, {}, groups, ratings)


def _rater(bench: Bench, judged: JudgedBench, choices: BoardChoices) -> tuple[Rater, Sequence[str]]:
    if not choices.style:
        return rate_battles, ()
    counts, notes = read_style(bench, judged.battles.models, judged.facts)
    return partial(rate_with_style, words=choices.style, style=counts), notes


def _rank_ranges(judged: JudgedBench, options: LeaderboardOptions, models: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the best and the worst rank of each model. They rest on standard errors, not on resampling."""
    try:
        found = possible_ranks(judged.battles, msgspec.structs.replace(options, rounds=1), models)
    except RatingError:  # fewer than two models
        return {}
    return {model.model: (model.best_rank, model.worst_rank) for model in found}


Which: TypeAlias = Literal["losses", "flips"]


class GroupRow(msgspec.Struct, frozen=True):
    """The model on one group of questions; `row` is None if no game has a label."""

    name: str
    questions: int  # of the group
    row: Row | None

    @property
    def stats(self) -> ModelStats | None:
        return self.row.stats if self.row is not None and isinstance(self.row.stats, ModelStats) else None


@dataclass(frozen=True)
class ModelPage:
    """A model against its baselines. `groups` are its categories (or clusters), lowest score first.

    `by_category` is as in `BenchFacts`.
    """

    model: str
    baselines: Sequence[str]
    by_category: Mapping[str, str]
    whole: GroupRow
    kind: GroupKind | None
    groups: Sequence[GroupRow]


def model_page(judged: JudgedBench, model: str, choices: BoardChoices) -> ModelPage:
    """Rate the games of `model` alone, in all and by group. Raises RatingError."""
    used = narrowed(judged, choices.group) if choices.group else judged
    battles = used.battles
    if model not in battles.models:
        raise RatingError(f"no judgments of {model} with these choices", "choose another judge or other questions")
    mine = replace(used, battles=battles.where(games_of(battles, battles.models.index(model))))
    kind = _kind(mine)
    facts = mine.facts
    options = msgspec.structs.replace(choices.options(facts.baselines[0]), full_stats=True, by=kind)
    board, _ = rate(mine, options)
    groups = [] if not isinstance(board.groups, list) else board.groups
    rows = [GroupRow(group.group, group.questions, _row_of(model, group.rows)) for group in groups]
    rows.sort(key=lambda group: (group.row.score if group.row else 101.0, group.name))
    whole = GroupRow("all", len(facts.questions), _row_of(model, board.rows))
    return ModelPage(model, facts.baselines, facts.by_category, whole, kind, rows)


def judgments_of(
    entries: Sequence[Listed],
    page: ModelPage,
    judges: Sequence[str],
    what: Which,
    question_ids: Collection[str] | None = None,
) -> list[Listed]:
    """Return losses or flips of the model (on `question_ids`, if given), the clearest losses first."""
    mine = [
        entry
        for entry in entries
        if entry.row.model == page.model
        and entry.row.judge in judges
        and (entry.baseline == page.by_category.get(entry.category) or entry.baseline in page.baselines)
        and (entry.outcome == "loss" if what == "losses" else entry.is_flip)
        and (question_ids is None or entry.row.question_id in question_ids)
    ]
    return sorted(mine, key=lambda entry: (_clarity(entry), entry.number, entry.row.judge))


def _clarity(entry: Listed) -> int:
    """Return the sum of the strengths of both games: -4 is the clearest loss."""
    return sum(strength(label, at % 2 + 1) for at, label in enumerate(entry.row.labels) if label is not None)


def _kind(judged: JudgedBench) -> GroupKind | None:
    """Return categories if there are several, else clusters."""
    for kind in ("category", "cluster"):
        if len({getattr(question, kind) for question in judged.facts.questions}) > 1:
            return kind
    return None


def _row_of(model: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row.model == model), None)
