"""Battles written down game by game, as tests like them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.labels import CODES, LABELS, UNPARSED, Label
from engine.ratings.battles import Battles, battles_from_columns, battles_from_labels


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


class Judged(Protocol):
    """One judge's labels of one model's answer to one question; `labels[i]` and `played[i]` belong to game i + 1."""

    @property
    def question_id(self) -> str: ...
    @property
    def labels(self) -> Sequence[Label | None]: ...
    @property
    def played(self) -> Sequence[bool]: ...
    @property
    def probabilities(self) -> Sequence[Mapping[Label, float] | None]:
        """The judge's probabilities of `LABELS` for each game; empty where it gave none."""
        ...


def battles_from_judgments(judgments: Mapping[tuple[str, str], Iterable[Judged]], baseline: str) -> Battles:
    """Build battles from all played games against `baseline`; `judgments` holds those of one model by (judge, model).

    A game that was never played is left out; one without a label stays, with NaN points, so that it is counted.
    """
    names: list[list[str]] = [[], [], []]
    columns: list[tuple[int, int, Sequence[float]]] = []
    for (judge, model), judged in judgments.items():
        for each in judged:
            given = each.probabilities or (None,) * len(each.labels)
            for game, (label, played, odds) in enumerate(zip(each.labels, each.played, given, strict=True), start=1):
                if played:
                    for column, name in zip(names, (each.question_id, model, judge), strict=True):
                        column.append(name)
                    code = UNPARSED if label is None else CODES[label]
                    columns.append((game, code, [math.nan] * 5 if odds is None else [odds[known] for known in LABELS]))
    questions, models, judges = names
    count = np.arange(len(questions))
    return battles_from_labels(
        questions,
        [*models, baseline],
        judges,
        question=count,
        model=count,
        baseline=len(models),
        judge=count,
        game=np.array([game for game, _, _ in columns], dtype=np.int64),
        label=np.array([code for _, code, _ in columns], dtype=np.int64),
        probabilities=np.array([odds for _, _, odds in columns], dtype=np.float64).reshape(-1, len(LABELS)),
    )
