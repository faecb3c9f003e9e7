"""Whether the statistics keep their promises, on simulated benches with correlated games.

    python benchmarks/statistics_coverage.py [--benches 2000]

A universe holds many questions; a bench draws some of them. The two games of a question share how hard it is for a
model, and all models share how hard it is at all, so games are correlated and so are models. Since the universe is
known, so is the true score, and intervals can be checked. Prints one table for each promise:

    confidence sequences         how many ever miss the truth in 1,000 questions
    power                        how often the planned number of questions finds the difference
    gate                         how often a model passes that is worse by just the margin, and one that is as good

What `run --until` decides is measured by `early_decisions.py`, skewed outcomes by `statistics_skewed.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.ratings import betting
from engine.ratings.battles import Battles
from engine.ratings.bounded_difference import centred_points
from engine.ratings.bounded_likelihood import p_value
from engine.ratings.power import questions_needed

UNIVERSE = 20_000
BASELINE = "baseline"
WEIGHT = 3
HORIZON = 1000
LARGEST = 6.0  # points of a question: two games, strong labels
GATE_ALPHA = 0.025


@dataclass(frozen=True)
class Universe:
    """Every question that could be asked: points of the models in both games [K, M, 2], and strong labels."""

    points: np.ndarray
    strong: np.ndarray

    @classmethod
    def of_strengths(cls, strengths: Sequence[float], rng: np.random.Generator) -> Universe:
        """Models of the given strengths; 0 is about the baseline's. The judge favours a position by 0.3."""
        shape = (UNIVERSE, len(strengths), 2)
        shared = rng.normal(size=(UNIVERSE, 1, 1))
        own = rng.normal(size=(UNIVERSE, len(strengths), 1))
        margin = np.array(strengths)[None, :, None] + 0.7 * shared + own + 0.5 * rng.normal(size=shape)
        margin += np.array([0.3, -0.3])
        points = np.where(np.abs(margin) < 0.25, 0.5, (margin > 0.0).astype(float))
        return cls(points, (np.abs(margin) > 1.2).astype(float))

    @property
    def won(self) -> np.ndarray:
        """[K, M] weighted points."""
        return (self.points * self._weights).sum(axis=2)

    @property
    def total(self) -> np.ndarray:
        return self._weights.sum(axis=2)

    @property
    def _weights(self) -> np.ndarray:
        return 1.0 + (WEIGHT - 1.0) * self.strong

    @property
    def truth(self) -> np.ndarray:
        """[M] the true scores as fractions."""
        return self.won.sum(axis=0) / self.total.sum(axis=0)

    def bench(self, questions: int, rng: np.random.Generator) -> Battles:
        """The battles of a bench of randomly drawn questions."""
        models = self.points.shape[1]
        drawn = rng.integers(0, len(self.points), questions)
        question, model, game = np.indices((questions, models, 2)).reshape(3, -1)
        names = (BASELINE, *(f"model {index}" for index in range(models)))
        return Battles(
            questions=tuple(map(str, range(questions))),
            models=names,
            judges=("",),
            question=question,
            model_a=np.zeros_like(model),
            model_b=model + 1,
            judge=np.zeros_like(model),
            game=game + 1,
            points=self.points[drawn].ravel(),
            strong=self.strong[drawn].ravel(),
        )


def sequence_errors(strengths: tuple[float, float], benches: int, seed: int = 2) -> dict[str, float]:
    """How many confidence sequences ever miss the truth: for the first model's score, and for the difference."""
    rng = np.random.default_rng(seed)
    universe = Universe.of_strengths(strengths, rng)
    truth = universe.truth
    drawn = rng.integers(0, UNIVERSE, (benches, HORIZON))
    return {
        "true score": 100.0 * float(truth[0]),
        "score": float(np.mean([_misses(universe, rows, float(truth[0])) for rows in drawn])),
        "true difference": 100.0 * float(truth[0] - truth[1]),
        "difference": float(np.mean([_misses_apart(universe, rows, float(truth[0] - truth[1])) for rows in drawn])),
    }


def _misses(universe: Universe, rows: np.ndarray, truth: float) -> bool:
    """Whether the limits of the first model's score on the questions `rows` miss the truth after any of them."""
    points = np.stack([universe.won[rows, 0], universe.total[rows, 0]], axis=1)
    outcomes, counts = _running(points)
    lost = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    above = betting.log_capital(outcomes, counts, truth, LARGEST)
    below = betting.log_capital(lost, counts, 1.0 - truth, LARGEST)
    return bool(np.maximum(above, below).max() >= betting.threshold())


def _misses_apart(universe: Universe, rows: np.ndarray, truth: float) -> bool:
    """Whether the limits of the difference miss the truth after any twentieth question."""
    points = np.stack([each[rows, model] for model in (0, 1) for each in (universe.won, universe.total)], axis=1)
    outcomes, counts = _running(points)
    level = betting.threshold()
    return any(
        betting.is_apart(outcomes, seen, truth, LARGEST, level)
        or betting.is_apart(outcomes[:, [2, 3, 0, 1]], seen, -truth, LARGEST, level)
        for seen in counts[19::20]
    )


def _running(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct outcomes [K, C], and how often each was seen after every question, [N, K]."""
    outcomes, kind = np.unique(points, axis=0, return_inverse=True)
    return outcomes, np.cumsum(kind.reshape(-1, 1) == np.arange(len(outcomes)), axis=0, dtype=np.float64)


def power_reached(strengths: tuple[float, float], benches: int, seed: int = 3) -> dict[str, float]:
    """How often a paired test finds the true difference on the planned number of questions (80 % is asked for)."""
    rng = np.random.default_rng(seed)
    universe = Universe.of_strengths(strengths, rng)
    won, total, truth = universe.won, universe.total, universe.truth
    values = (won - truth * total) / total.mean(axis=0)
    difference = abs(truth[0] - truth[1])
    questions = questions_needed(100.0 * (values[:, 0] - values[:, 1]).std(), 100.0 * difference)
    drawn = rng.integers(0, UNIVERSE, (benches, questions))
    won, total = won[drawn], total[drawn]
    rate = won.sum(axis=1) / total.sum(axis=1)
    values = (won - rate[:, None] * total) / total.mean(axis=1)[:, None]
    error = (values[..., 0] - values[..., 1]).std(axis=1, ddof=1) / np.sqrt(questions)
    found = np.abs(rate[:, 0] - rate[:, 1]) > 1.96 * error
    return {"difference": 100.0 * difference, "questions": questions, "power": float(found.mean())}


def gate_errors(strengths: tuple[float, float], questions: int, benches: int, seed: int = 5) -> dict[str, float]:
    """How often the gate passes the first model, which is worse than the second by just the margin (at most alpha is
    allowed), and one that is as good as the second, with a margin that the planned number of questions is for."""
    rng = np.random.default_rng(seed)
    worse = Universe.of_strengths(strengths, rng)
    equal = Universe.of_strengths((strengths[1], strengths[1]), rng)
    margin = float(worse.truth[1] - worse.truth[0])
    won, total, truth = equal.won, equal.total, equal.truth
    values = (won - truth * total) / total.mean(axis=0)
    spread = float((values[:, 0] - values[:, 1]).std())
    planned_margin = (1.959964 + 0.841621) * spread / np.sqrt(questions) - float(truth[0] - truth[1])
    return {
        "margin": 100.0 * margin,
        "passed though worse": _gate_passes(worse, margin, questions, benches, rng),
        "planned margin": 100.0 * planned_margin,
        "power": _gate_passes(equal, planned_margin, questions, benches, rng),
    }


def _gate_passes(universe: Universe, margin: float, questions: int, benches: int, rng: np.random.Generator) -> float:
    passed = 0
    all_won, all_total = universe.won, universe.total
    for _ in range(benches):
        drawn = rng.integers(0, UNIVERSE, questions)
        points = np.stack([each[drawn, model] for model in (0, 1) for each in (all_won, all_total)], axis=1)
        outcomes, counts = np.unique(points, axis=0, return_counts=True)
        values, worst = centred_points(outcomes, counts.astype(float), LARGEST, -margin)
        passed += counts @ values > 0.0 and p_value(values, counts.astype(float), worst, GATE_ALPHA) <= GATE_ALPHA
    return passed / benches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benches", type=int, default=2000)
    options = parser.parse_args()

    print(f"confidence sequences that ever miss the truth in {HORIZON} questions, {options.benches} of them")
    print("  true score   missed   true difference   missed")
    for strengths in ((0.0, 0.0), (0.5, 0.2), (1.0, 1.2), (1.8, 0.5), (-1.8, 1.8), (2.5, 2.2)):
        row = sequence_errors(strengths, options.benches)
        print(
            f"  {row['true score']:10.1f} {row['score']:8.1%} {row['true difference']:17.1f} {row['difference']:8.1%}"
        )

    print(f"\npower on the planned number of questions, paired, {options.benches} benches; asked for: 80 %")
    for strengths in ((0.0, 0.3), (0.5, 0.65), (1.2, 0.9)):
        row = power_reached(strengths, options.benches)
        print(f"  {row['difference']:4.1f} points, {row['questions']:4.0f} questions: {row['power']:.1%}")

    print(f"\ngate, {options.benches} benches: a model that is worse by just the margin may pass in {GATE_ALPHA:.1%}")
    for strengths, questions in (
        ((-0.3, 0.0), 60),
        ((-0.15, 0.0), 500),
        ((1.0, 1.3), 100),
        ((1.6, 2.0), 300),
        ((-1.6, -1.2), 100),
    ):
        row = gate_errors(strengths, questions, options.benches)
        print(
            f"  {questions:4} questions, margin {row['margin']:4.1f}: {row['passed though worse']:.1%} pass;"
            f" just as good, margin {row['planned margin']:4.1f}: {row['power']:.1%} pass (80 % planned)"
        )


if __name__ == "__main__":
    main()
