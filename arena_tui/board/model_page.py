"""One model in detail: how it does by category, and which judgments it lost or won by its place alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec

from arena_tui.board.choices import BoardChoices
from arena_tui.board.rating import narrowed
from engine.errors import RatingError
from engine.labels import strength
from engine.ratings.leaderboard import GroupKind, Row
from engine.ratings.model_stats import ModelStats, games_of
from engine.results import JudgedBench, rate
from engine.review.listing import Listed

Which: TypeAlias = Literal["losses", "flips"]


class GroupRow(msgspec.Struct, frozen=True):
    """The model on one group of questions; `row` is None where no game of it has a verdict."""

    name: str
    questions: int  # that the group has
    row: Row | None

    @property
    def stats(self) -> ModelStats | None:
        return self.row.stats if self.row is not None and isinstance(self.row.stats, ModelStats) else None


@dataclass(frozen=True)
class ModelPage:
    """A model against its baselines. `groups` are its categories (or clusters), by rising score."""

    model: str
    baselines: Sequence[str]
    whole: GroupRow
    kind: GroupKind | None
    groups: Sequence[GroupRow]


def model_page(judged: JudgedBench, model: str, choices: BoardChoices, baselines: Sequence[str]) -> ModelPage:
    """Rates the games of `model` alone, on the whole and by group. Raises RatingError where that cannot be."""
    used = narrowed(judged, choices.group) if choices.group else judged
    battles = used.battles
    if model not in battles.models:
        raise RatingError(f"{model} has no judgments here", "Another choice of judge or questions may have some.")
    mine = replace(used, battles=battles.where(games_of(battles, battles.models.index(model))))
    kind = _kind(mine)
    options = msgspec.structs.replace(choices.options(baselines[0]), full_stats=True, by=kind)
    board, _ = rate(mine, options)
    groups = [] if not isinstance(board.groups, list) else board.groups
    rows = [GroupRow(group.group, group.questions, _row_of(model, group.rows)) for group in groups]
    rows.sort(key=lambda group: (group.row.score if group.row else 101.0, group.name))
    return ModelPage(
        model, baselines, GroupRow("all", len(mine.facts.questions), _row_of(model, board.rows)), kind, rows
    )


def judgments_of(
    entries: Sequence[Listed],
    page: ModelPage,
    judges: Sequence[str],
    what: Which,
    question_ids: Collection[str] | None = None,
) -> list[Listed]:
    """Those of the model that are wanted (on `question_ids`, if given), the clearest verdicts against it first."""
    mine = [
        entry
        for entry in entries
        if entry.row.model == page.model
        and entry.row.judge in judges
        and entry.baseline in page.baselines
        and (entry.outcome == "loss" if what == "losses" else entry.is_flip)
        and (question_ids is None or entry.row.question_id in question_ids)
    ]
    return sorted(mine, key=lambda entry: (_clarity(entry), entry.number, entry.row.judge))


def _clarity(entry: Listed) -> int:
    """How far both games together went against the model: from -4 to -1."""
    return sum(strength(label, at % 2 + 1) for at, label in enumerate(entry.row.labels) if label is not None)


def _kind(judged: JudgedBench) -> GroupKind | None:
    """Categories if there are several, else clusters."""
    for kind in ("category", "cluster"):
        if len({getattr(question, kind) for question in judged.facts.questions}) > 1:
            return kind
    return None


def _row_of(model: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row.model == model), None)
