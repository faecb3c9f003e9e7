"""What labels mean for the model that is judged, whatever place it had: wins, ties, losses, flips. Pure.

In game 1 the baseline is A and the model is B; in game 2 they have swapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from engine.labels import Label, strength

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
