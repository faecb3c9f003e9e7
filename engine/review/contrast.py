"""Two models question by question: what each won of the games against the baseline, and by how much they differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Literal, TypeAlias

import msgspec

from engine.labels import DEFAULT_WEIGHT, points_of_games
from engine.review.listing import Listed

ContrastKind: TypeAlias = Literal["differ", "won", "lost", "flips", "all"]
"""differ: another result; won: model A better; lost: model B better; flips: of either model."""


class Contrast(msgspec.Struct, frozen=True):
    """One question, judged by one judge, of models A and B. `points` are percent of the games won, ties half.

    `b` is None if model B is the baseline itself, which has half of all points.
    """

    a: Listed
    b: Listed | None
    points_a: float
    points_b: float

    @property
    def margin(self) -> float:
        """Points of A minus points of B, from -100 to 100."""
        return self.points_a - self.points_b

    @property
    def is_flip(self) -> bool:
        return self.a.is_flip or (self.b is not None and self.b.is_flip)


def contrasts(
    entries: Iterable[Listed],
    model_a: str,
    model_b: str,
    *,
    judges: Collection[str],
    questions: Collection[str] | None = None,
    weight: float = DEFAULT_WEIGHT,
    first_game_only: bool = False,
) -> list[Contrast]:
    """Return the questions that both models have labels on, from the best for A to the best for B.

    `questions` None takes all; `weight` is how many games a strong label counts.
    """
    found: dict[str, dict[tuple[str, str, str], Listed]] = {model_a: {}, model_b: {}}
    for entry in entries:
        row = entry.row
        if row.model in found and row.judge in judges and (questions is None or row.question_id in questions):
            found[row.model][row.judge, entry.baseline, row.question_id] = entry
    rows = []
    for key, a in found[model_a].items():
        b = found[model_b].get(key)
        if b is None and key[1] != model_b:
            continue
        points_a = _points(a, weight, first_game_only)
        points_b = 50.0 if b is None else _points(b, weight, first_game_only)
        if not math.isnan(points_a + points_b):
            rows.append(Contrast(a, b, points_a, points_b))
    return sorted(rows, key=lambda row: (-row.margin, row.a.number, row.a.row.judge))


def of_kind(rows: Iterable[Contrast], kind: ContrastKind) -> list[Contrast]:
    """Return the rows of one kind in their order; those that A lost from the clearest one."""
    if kind == "lost":
        return sorted((row for row in rows if row.margin < 0), key=lambda row: (row.margin, row.a.number))
    if kind == "won":
        return [row for row in rows if row.margin > 0]
    if kind == "flips":
        return [row for row in rows if row.is_flip]
    if kind == "differ":
        return [row for row in rows if row.margin]
    return list(rows)


def _points(entry: Listed, weight: float, first_game_only: bool) -> float:
    """Return percent of the games won; NaN without a label."""
    points = points_of_games(entry.row.labels, weight, first_game_only=first_game_only)
    return 100.0 * points.won / points.total if points.total else math.nan
