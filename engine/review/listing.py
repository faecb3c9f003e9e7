"""Judgments as entries of a list, and the filters on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from engine.bench.judgment_rows import JudgmentRow
from engine.labels import Label
from engine.records import Question
from engine.review.labels import Outcome, Pair, is_flip, is_unparsed, outcome_of_pair

Flag: TypeAlias = Literal["flip", "unparsed", "human", "language"]
FLAGS: tuple[Flag, ...] = ("flip", "unparsed", "human", "language")
ListOrder: TypeAlias = Literal["model", "question"]


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One judgment in a list. `number` is the position of the question in the question set from 1; 0 if unknown.

    `outcome` is the model's side of both games, None without any label.
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
        """Identifies the judgment within the bench."""
        return self.row.judge, self.row.model, self.row.question_id, self.baseline


class Marks(msgspec.Struct, frozen=True):
    """What is known of pairs from elsewhere.

    `human` are the outcomes by people's labels, `other_language` the answers in another language than their question
    (None: not checked).
    """

    human: Mapping[Pair, frozenset[Outcome]] = {}
    other_language: Collection[Pair] | None = None

    def disagrees(self, entry: Listed) -> bool:
        """Whether a person saw another winner than the judge, both games together."""
        by_people = self.human.get(entry.pair)
        return by_people is not None and entry.outcome is not None and by_people != {entry.outcome}

    def flags(self, entry: Listed) -> tuple[Flag, ...]:
        """Return the flags of a judgment."""
        holds: dict[Flag, bool] = {
            "flip": entry.is_flip,
            "unparsed": entry.is_unparsed,
            "human": self.disagrees(entry),
            "language": entry.pair in (self.other_language or ()),
        }
        return tuple(flag for flag in FLAGS if holds[flag])


class JudgmentFilter(msgspec.Struct, frozen=True):
    """Which judgments to list: any value of each kind (an empty set allows all), and every flag.

    `labels` are the judge's in either game, as it gave them.
    """

    judges: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    labels: frozenset[Label] = frozenset()
    outcomes: frozenset[Outcome] = frozenset()
    flags: frozenset[Flag] = frozenset()

    def matches(self, entry: Listed, marks: Marks) -> bool:
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
    rows: Iterable[JudgmentRow],
    questions: Mapping[str, tuple[int, Question]],
    baseline_of: Callable[[str], str | None],
) -> list[Listed]:
    """Add the question and the outcome to each row.

    `questions` are the questions by id with their number; `baseline_of` returns the baseline of a category, for
    judgments that name none.
    """
    unknown = (0, Question("", ("",)))
    entries = []
    for row in rows:
        number, question = questions.get(row.question_id) or unknown
        both = _both_games(row.labels, row.played)
        baseline = row.baseline or baseline_of(question.category) or ""
        entries.append(Listed(row, number, question.category, question.turns[0], baseline, *both))
    return entries


def select(
    entries: Sequence[Listed],
    wanted: JudgmentFilter,
    marks: Marks,
    *,
    order: ListOrder = "model",
    matches_text: Callable[[Listed], bool] | None = None,
) -> list[Listed]:
    """Return the entries that the filter and `matches_text` allow, in order."""
    chosen: Iterable[Listed] = entries
    if wanted != JudgmentFilter():
        chosen = (entry for entry in chosen if wanted.matches(entry, marks))
    if matches_text is not None:
        chosen = filter(matches_text, chosen)
    if order == "question":
        return sorted(chosen, key=lambda entry: (entry.number, entry.row.judge, entry.row.model))
    return sorted(chosen, key=lambda entry: (entry.row.judge, entry.row.model, entry.number))


@lru_cache(maxsize=512)
def _both_games(labels: tuple[Label | None, ...], played: tuple[bool, ...]) -> tuple[Outcome | None, bool, bool]:
    return outcome_of_pair(labels), is_flip(labels), is_unparsed(labels, played)
