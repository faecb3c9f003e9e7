"""Outcome tables: points summed per question and pair of models, which is all that a Bradley-Terry fit needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.ratings.battles import Battles, FloatArray, IntArray
from engine.ratings.soft import expected_outcomes


@dataclass(frozen=True)
class OutcomeTable:
    """Weighted points of Q questions and P pairs of models.

    Attributes:
        models: names; pairs index into them.
        pairs: [P, 2] indices (opponent, model). The opponent is the baseline wherever the baseline takes part.
        won: [Q, P] weighted points of the pair's model, ties half.
        total: [Q, P] weight of all games of the pair on the question.
        baseline: index of the baseline in `models`.
    """

    models: tuple[str, ...]
    pairs: IntArray
    won: FloatArray
    total: FloatArray
    baseline: int

    @property
    def against_baseline_only(self) -> bool:
        """Whether every pair has the baseline in it: the fit then has a closed form."""
        return bool(np.all(self.pairs[:, 0] == self.baseline))

    def questions_of_models(self) -> IntArray:
        """Shape [M]: on how many questions each model has at least one game."""
        played = self.total > 0
        counts = [
            int(np.count_nonzero(played[:, (self.pairs == model).any(axis=1)].any(axis=1)))
            for model in range(len(self.models))
        ]
        return np.array(counts, dtype=np.int64)


def outcome_table(battles: Battles, baseline: str, weight: float, *, soft: bool = False) -> OutcomeTable:
    """Sums up the games that have a verdict. Questions without any are left out of the table.

    Games of a model against itself say nothing about its strength and are left out too. `baseline` must be one of
    the models; `weight` is what a strong verdict counts; `soft` takes expected outcomes where the judge told its
    probabilities (`engine.ratings.soft`).
    """
    anchor = battles.models.index(baseline)
    kept = battles.where(battles.labelled & (battles.model_a != battles.model_b))
    swap = (kept.model_b == anchor) | ((kept.model_a != anchor) & (kept.model_a > kept.model_b))
    opponent = np.where(swap, kept.model_b, kept.model_a)
    model = np.where(swap, kept.model_a, kept.model_b)
    won_by_b, weights = expected_outcomes(kept, weight) if soft else outcomes_by_label(kept, weight)
    won = np.where(swap, weights - won_by_b, won_by_b)

    model_count = len(battles.models)
    codes, column = np.unique(opponent * model_count + model, return_inverse=True)
    present, row = np.unique(kept.question, return_inverse=True)
    shape = (len(present), len(codes))
    cell = row * shape[1] + column
    size = shape[0] * shape[1]
    return OutcomeTable(
        models=battles.models,
        pairs=np.stack([codes // model_count, codes % model_count], axis=1).astype(np.int64),
        won=np.bincount(cell, weights=won, minlength=size).astype(np.float64).reshape(shape),
        total=np.bincount(cell, weights=weights, minlength=size).astype(np.float64).reshape(shape),
        baseline=anchor,
    )


def outcomes_by_label(battles: Battles, weight: float) -> tuple[FloatArray, FloatArray]:
    """Weighted points that model_b won (NaN without a verdict) and the weight that was played for, both [N]."""
    weights = battles.weights(weight)
    return weights * battles.points, weights
