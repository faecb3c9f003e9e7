"""What labels mean for the judged model, and the labels that people give. Pure.

In game 1 the baseline is A and the model is B; in game 2 they are swapped. One line of `review/<reviewer>.jsonl` is

    {"question_id", "model", "judge", "baseline", "game", "label", "note", "tstamp", "reviewer"}
    the same with "label": null and "skipped": true      skipped without a label
    {"question_id", "model", "undone": true, ...}        cancels the label of this pair

`game` is the order in which the answers were shown, `label` is as seen in that order, `judge` is None when there was no
judgment to compare with. The last line of a question and model counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from engine.labels import LABELS, Label, strength

Outcome: TypeAlias = Literal["win", "tie", "loss"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")

Pair: TypeAlias = tuple[str, str]
"""Question id and model."""


class HumanLabel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reviewer's label of one pair of answers; None if the reviewer skipped it.

    `seen`: the reviewer saw names and judgment before, so that the label says nothing about agreement with the judge.
    """

    question_id: str
    model: str
    judge: str | None
    baseline: str
    game: int
    label: Label | None
    note: str
    tstamp: float
    reviewer: str
    skipped: bool = False
    seen: bool = False

    @property
    def pair(self) -> Pair:
        return self.question_id, self.model

    @property
    def outcome(self) -> Outcome | None:
        """The model's side; None for a pair that was skipped."""
        return outcome(self.label, self.game)


class UndoneLabel(msgspec.Struct, frozen=True):
    """Cancels the reviewer's label of a pair."""

    question_id: str
    model: str
    tstamp: float
    reviewer: str
    undone: bool = True


class ReviewLine(msgspec.Struct, frozen=True):
    """A line of any of the three kinds, also without the fields that other programs may leave out."""

    question_id: str
    model: str
    judge: str | None = None
    baseline: str = ""
    game: int = 1
    label: str | None = None
    note: str = ""
    tstamp: float = 0.0
    reviewer: str = ""
    skipped: bool = False
    seen: bool = False
    undone: bool = False

    def as_label(self) -> HumanLabel | None:
        """Return the label or skip; None for an undone line and for one with an invalid game or label."""
        label = None if self.skipped else next((known for known in LABELS if known == self.label), None)
        if self.undone or self.game not in (1, 2) or (label is None and not self.skipped):
            return None
        return HumanLabel(
            self.question_id,
            self.model,
            self.judge,
            self.baseline,
            self.game,
            label,
            self.note,
            self.tstamp,
            self.reviewer,
            self.skipped,
            self.seen,
        )


def current_labels(lines: Iterable[ReviewLine]) -> dict[Pair, HumanLabel]:
    """Return the labels and skips that count after `lines`, the last given last."""
    labels: dict[Pair, HumanLabel] = {}
    for line in lines:
        label = line.as_label()
        if line.undone or label is not None:
            labels.pop((line.question_id, line.model), None)
        if label is not None:
            labels[label.pair] = label
    return labels


def outcome(label: Label | None, game: int) -> Outcome | None:
    """Return the model's side of one game; None without a label."""
    return None if label is None else _sign(strength(label, game))


def outcome_of_pair(labels: Sequence[Label | None]) -> Outcome | None:
    """Return who won more of both games; None without any label. Games that contradict each other are a tie."""
    strengths = _strengths(labels)
    return _sign(sum((value > 0) - (value < 0) for value in strengths)) if strengths else None


def is_flip(labels: Sequence[Label | None]) -> bool:
    """Whether the winner changed with the places: each game has another one."""
    strengths = _strengths(labels)
    return any(value > 0 for value in strengths) and any(value < 0 for value in strengths)


def is_unparsed(labels: Sequence[Label | None], played: Sequence[bool]) -> bool:
    """Whether a game was played without a label."""
    return any(was_played and label is None for label, was_played in zip(labels, played, strict=True))


def _strengths(labels: Sequence[Label | None]) -> list[int]:
    return [strength(label, at % 2 + 1) for at, label in enumerate(labels) if label is not None]


def _sign(value: int) -> Outcome:
    return "win" if value > 0 else "loss" if value < 0 else "tie"
