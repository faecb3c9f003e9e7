"""What labels mean for the model that is judged, whatever place it had: wins, ties, losses, flips. Pure.

In game 1 the baseline is A and the model is B; in game 2 they have swapped.

What a reviewer said, one line of `review/<reviewer>.jsonl`, and what holds after all of these lines. Pure.

    {"question_id", "model", "judge", "baseline", "game", "label", "note", "tstamp", "reviewer"}
    the same with "label": null and "skipped": true      set aside without a label
    {"question_id", "model", "undone": true, ...}        what was said of this pair before does not hold

`game` is the order in which the answers were shown (1: the baseline is A), `label` is as seen in that order, `judge`
is None when there was no judgment to compare with. The last line of a question and model counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from engine.labels import LABELS, Label, strength

Outcome: TypeAlias = Literal["win", "tie", "loss"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")


def outcome(label: Label | None, game: int) -> Outcome | None:
    """The model's side of one game; None without a verdict."""
    return None if label is None else _named(strength(label, game))


def outcome_of_pair(labels: Sequence[Label | None]) -> Outcome | None:
    """The model's side of both games: who won more of them. Games that contradict each other are a tie.

    A game without a verdict leaves the word to the other one; None if there is none at all.
    """
    strengths = _strengths(labels)
    return _named(sum((value > 0) - (value < 0) for value in strengths)) if strengths else None


def is_flip(labels: Sequence[Label | None]) -> bool:
    """Whether the winner changed with the places: each game has another one."""
    strengths = _strengths(labels)
    return any(value > 0 for value in strengths) and any(value < 0 for value in strengths)


def is_unparsed(labels: Sequence[Label | None], played: Sequence[bool]) -> bool:
    """Whether a game was played that brought no verdict."""
    return any(was_played and label is None for label, was_played in zip(labels, played, strict=True))


def _strengths(labels: Sequence[Label | None]) -> list[int]:
    return [strength(label, at % 2 + 1) for at, label in enumerate(labels) if label is not None]


def _named(value: int) -> Outcome:
    if value == 0:
        return "tie"
    return "win" if value > 0 else "loss"


Pair: TypeAlias = tuple[str, str]  # question id and model


class HumanLabel(msgspec.Struct, frozen=True):
    """A reviewer's label of one pair of answers."""

    question_id: str
    model: str
    judge: str | None
    baseline: str
    game: int
    label: Label | None
    note: str
    tstamp: float
    reviewer: str

    @property
    def pair(self) -> Pair:
        return self.question_id, self.model

    @property
    def outcome(self) -> Outcome | None:
        """What the label says of the model; None for a pair that was skipped."""
        return outcome(self.label, self.game)


class SkippedLabel(HumanLabel, frozen=True):
    """A pair that the reviewer set aside; its `label` is None."""

    skipped: bool = True


class UndoneLabel(msgspec.Struct, frozen=True):
    """Takes back what the reviewer said of a pair."""

    question_id: str
    model: str
    tstamp: float
    reviewer: str
    undone: bool = True


class ReviewLine(msgspec.Struct, frozen=True):
    """A line as it is read: of any of the three kinds, also without what other programs may leave out."""

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
    undone: bool = False

    def as_label(self) -> HumanLabel | None:
        """The label or skip; None for a line that takes back, and for one whose game or label is none."""
        if self.undone or self.game not in (1, 2) or not (self.skipped or self.label in LABELS):
            return None
        kind = SkippedLabel if self.skipped else HumanLabel
        label = None if self.skipped else next(known for known in LABELS if known == self.label)
        return kind(
            self.question_id,
            self.model,
            self.judge,
            self.baseline,
            self.game,
            label,
            self.note,
            self.tstamp,
            self.reviewer,
        )


def standing(lines: Iterable[ReviewLine]) -> dict[Pair, HumanLabel]:
    """What holds after `lines`, skips included, in the order in which it was said (the last said comes last)."""
    said: dict[Pair, HumanLabel] = {}
    for line in lines:
        label = line.as_label()
        if line.undone:
            said.pop((line.question_id, line.model), None)
        elif label is not None:
            said.pop(label.pair, None)
            said[label.pair] = label
    return said


def outcomes(said: Mapping[Pair, HumanLabel]) -> dict[Pair, Outcome]:
    """What the reviewer's labels say of the models; skipped pairs are left out."""
    return {pair: told for pair, label in said.items() if (told := label.outcome) is not None}
