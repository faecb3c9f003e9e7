"""Judgments as they are listed, and which of them a filter lets through. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from engine.bench.games import JudgmentRow
from engine.records import Label, Question
from engine.review.labels import Outcome, Pair, is_flip, is_unparsed, outcome_of_pair

Flag: TypeAlias = Literal["flip", "unparsed", "human", "language"]
FLAGS: tuple[Flag, ...] = ("flip", "unparsed", "human", "language")
Order: TypeAlias = Literal["model", "question"]


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One judgment in a list. `number` is the question's place in the question set, counting from 1; 0 if it has none.

    `outcome` is the model's side of both games, None without any verdict.
    """

    row: JudgmentRow
    number: int
    category: str
    question: str
    baseline: str
    outcome: Outcome | None
    is_flip: bool
    is_unparsed: bool

    @property
    def pair(self) -> Pair:
        return self.row.question_id, self.row.model

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from all others of the bench."""
        return self.row.judge, self.row.model, self.row.question_id, self.baseline


class Marks(msgspec.Struct, frozen=True):
    """What is known of pairs beside the judgments.

    `human` tells what people's labels say of the model, `other_language` which answers are in another language than
    their question (None: nobody has looked yet).
    """

    human: Mapping[Pair, frozenset[Outcome]] = {}
    other_language: Collection[Pair] | None = None

    def disagrees(self, entry: Listed) -> bool:
        """Whether a person saw another winner than the judge, both games together."""
        told = self.human.get(entry.pair)
        return told is not None and entry.outcome is not None and told != {entry.outcome}

    def flags(self, entry: Listed) -> tuple[Flag, ...]:
        """All that is peculiar about a judgment."""
        holds: dict[Flag, bool] = {
            "flip": entry.is_flip,
            "unparsed": entry.is_unparsed,
            "human": self.disagrees(entry),
            "language": entry.pair in (self.other_language or ()),
        }
        return tuple(flag for flag in FLAGS if holds[flag])


class JudgmentFilter(msgspec.Struct, frozen=True):
    """Which judgments to list. Of one kind any value will do, an empty set lets all through; every flag must hold.

    `labels` are what the judge said in either game, as it said it.
    """

    judges: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    labels: frozenset[Label] = frozenset()
    outcomes: frozenset[Outcome] = frozenset()
    flags: frozenset[Flag] = frozenset()

    def lets_through(self, entry: Listed, marks: Marks) -> bool:
        row = entry.row
        return (
            (not self.judges or row.judge in self.judges)
            and (not self.models or row.model in self.models)
            and (not self.categories or entry.category in self.categories)
            and (not self.outcomes or entry.outcome in self.outcomes)
            and (not self.labels or not self.labels.isdisjoint(row.labels))
            and (not self.flags or self.flags.issubset(marks.flags(entry)))
        )


def listed(
    rows: Iterable[JudgmentRow], questions: Mapping[str, tuple[int, Question]], baseline: str | None
) -> list[Listed]:
    """The rows with what the question set tells, by judge, model and question.

    `questions` gives each question with its number. `baseline` stands in where a judgment does not name one.
    """
    unknown = (0, Question("", ("",)))
    entries = []
    for row in rows:
        number, question = questions.get(row.question_id) or unknown
        told, flip, unparsed = _told(row.labels, row.played)
        entries.append(
            Listed(
                row, number, question.category, question.turns[0], row.baseline or baseline or "", told, flip, unparsed
            )
        )
    return entries


def select(
    entries: Sequence[Listed],
    wanted: JudgmentFilter,
    marks: Marks,
    *,
    order: Order = "model",
    holds_text: Callable[[Listed], bool] | None = None,
) -> list[Listed]:
    """The entries that the filter (and `holds_text`) lets through, in order."""
    if wanted == JudgmentFilter():
        chosen = [entry for entry in entries if holds_text is None or holds_text(entry)]
    else:
        chosen = [
            entry
            for entry in entries
            if wanted.lets_through(entry, marks) and (holds_text is None or holds_text(entry))
        ]
    if order == "question":
        chosen.sort(key=lambda entry: (entry.number, entry.row.judge, entry.row.model))
    else:
        chosen.sort(key=lambda entry: (entry.row.judge, entry.row.model, entry.number))
    return chosen


@lru_cache(maxsize=512)
def _told(labels: tuple[Label | None, ...], played: tuple[bool, ...]) -> tuple[Outcome | None, bool, bool]:
    return outcome_of_pair(labels), is_flip(labels), is_unparsed(labels, played)
