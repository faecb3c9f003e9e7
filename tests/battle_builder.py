"""Battles written down game by game, as tests like them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.ratings.battles import Battles, battles_from_columns


@dataclass
class BattleBuilder:
    """Collects games one by one and turns them into `Battles`."""

    _games: list[tuple[str, str, str, float, float, int, str, Sequence[float] | None]] = field(default_factory=list)

    def add(
        self,
        question_id: str,
        model_a: str,
        model_b: str,
        points: float,
        *,
        strong: float = 0.0,
        game: int = 0,
        judge: str = "",
        odds: Sequence[float] | None = None,
    ) -> None:
        """Add a game; `points` is what model_b won (NaN: unparsed), `odds` as in `Battles`, one row of five."""
        self._games.append((question_id, model_a, model_b, points, strong, game, judge, odds))

    def build(self) -> Battles:
        count = len(self._games)
        columns = zip(*self._games, strict=True) if count else [()] * 8
        questions, models_a, models_b, points, strong, game, judges, odds = columns
        place = np.arange(count)
        has_odds = any(row is not None for row in odds)
        return battles_from_columns(
            questions,
            (*models_a, *models_b),
            judges,
            question=place,
            model_a=place,
            model_b=place + count,
            judge=place,
            game=np.array(game, dtype=np.int64),
            points=np.array(points, dtype=np.float64),
            strong=np.array(strong, dtype=np.float64),
            odds=np.array([row or [math.nan] * 5 for row in odds]) if has_odds else None,
        )
