"""Repeated rows: the original writes a strong verdict as several equal battles; here they become games again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

_WEIGHTS = (3, *range(1, 21))  # the original's default first: short files fit several


class RowGame(NamedTuple):
    """A game told from its rows: its place (0: not told), the points of model_b, how surely it was a strong verdict."""

    number: int
    points: float
    strong: float = 0.0


def strong_weight(comparisons: Collection[Sequence[float]]) -> int | None:
    """How many rows a strong verdict has, from the points of all comparisons' rows.

    A comparison is one question and one pair of models: at most two games, each of 1 or `weight` equal rows. The weight
    that explains the most comparisons is taken; None if no weight explains half of them.
    """
    best, most = None, (len(comparisons) - 1) // 2
    for weight in _WEIGHTS:
        explained = sum(games_of_rows(points, weight) is not None for points in comparisons)
        if explained > most:
            best, most = weight, explained
        if explained == len(comparisons):
            break
    return best


def games_of_rows(points: Sequence[float], weight: int) -> list[RowGame] | None:
    """The games of one comparison, from its rows in order, or None when they do not look like up to two games.

    A single game is taken for the first. Of four equal rows at weight 3 one game was strong, but not known which:
    both get half.
    """
    rows = len(points)
    first, last = points[0], points[-1]
    if rows == 1:
        return [RowGame(1, first)]
    if rows == 2:
        return [RowGame(1, first), RowGame(2, last)]
    if rows == weight and _alike(points):
        return [RowGame(1, first, 1.0)]
    if rows == 2 * weight and _alike(points[:weight]) and _alike(points[weight:]):
        return [RowGame(1, first, 1.0), RowGame(2, last, 1.0)]
    if rows == weight + 1:
        if _alike(points):
            return [RowGame(1, first, 0.5), RowGame(2, last, 0.5)]
        if _alike(points[1:]):
            return [RowGame(1, first), RowGame(2, last, 1.0)]
        if _alike(points[:-1]):
            return [RowGame(1, first, 1.0), RowGame(2, last)]
    return None


def _alike(points: Sequence[float]) -> bool:
    return len(set(points)) == 1
