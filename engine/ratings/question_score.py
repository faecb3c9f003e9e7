"""What a model won on one question, by the labels of its games."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.ratings.battles import points_of_model
from engine.records import Label


class Outcome(NamedTuple):
    """Points won of the weight that was played for; both 0 where no game has a verdict."""

    won: float
    total: float


def outcome(labels: Sequence[Label | None], strong_weight: float, first_game_only: bool = False) -> Outcome:
    """The weighted points of the games of one question (game 1: the model is B; game 2: it is A), ties half."""
    won = total = 0.0
    for game, label in enumerate(labels[:1] if first_game_only else labels, start=1):
        if label is not None:
            weight = strong_weight if ">>" in label else 1.0
            won += weight * points_of_model(label, game)
            total += weight
    return Outcome(won, total)
