"""How often `run --until` calls any model of a family wrongly, and what keeping that level costs.

    python benchmarks/families.py [--runs 2000] [--questions 500] [--models 10]

Families of simulated models, judged on the same questions against one baseline; their outcomes correlate, since the
baseline's answers are the same. Printed are, for decisions of each model on its own (`--per-model`) and for those that
keep the level over the family: the share of runs with any wrong call; and of the models that differ, how many are
called and after how many questions (those that are not count with all questions). Exits with 1 where a family has wrong
calls in more than 5 % of runs and chance does not explain it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from engine.ratings.betting import log_capital, threshold, threshold_one_sided
from engine.ratings.family import Family, models_refuted

ALPHA = 0.05
LARGEST = 6.0
OUTCOMES = np.array([[0.0, 6.0], [0.0, 2.0], [1.0, 2.0], [2.0, 2.0], [6.0, 6.0]])  # by growing points
SHARES = np.array([0.1, 0.25, 0.3, 0.25, 0.1])
MIRRORED = np.stack([OUTCOMES[:, 1] - OUTCOMES[:, 0], OUTCOMES[:, 1]], axis=1)
CORRELATION = 0.3  # of the outcomes of two models on a question, before they are cut into classes
BATCH = 50  # runs at a time


@dataclass(frozen=True)
class Case:
    """A family: what is to be decided, and the true differences in points."""

    name: str
    differences: tuple[float, ...]
    margin: float | None = None  # `equivalent:MARGIN` instead of `decided`

    def is_wrong(self, difference: float, call: str) -> bool:
        if call == "equivalent":
            assert self.margin is not None
            return abs(difference) >= self.margin
        beyond = self.margin or 0.0
        return difference <= beyond if call == "better" else difference >= -beyond


@dataclass
class Outcome:
    """Sums over runs."""

    runs: int = 0
    wrong: int = 0
    called: int = 0
    questions: int = 0


def cases(models: int) -> list[Case]:
    """Families without a difference, with one, with half and with all models that differ; and of equivalence."""
    found = [Case("no model differs", (0.0,) * models)]
    for points in (5.0, 10.0):
        for count in (1, models // 2, models):
            found.append(Case(f"{count} by {points:g} points", (points,) * count + (0.0,) * (models - count)))
    found.append(Case("all by 1 point", (1.0,) * models))
    found.append(Case("half by 2, half by -2 points", (2.0,) * (models // 2) + (-2.0,) * (models - models // 2)))
    found.append(Case("equivalent:5, all 0 apart", (0.0,) * models, margin=5.0))
    found.append(Case("equivalent:5, all 5 apart", (5.0,) * models, margin=5.0))
    found.append(Case("equivalent:5, half 5 apart", (5.0,) * (models // 2) + (0.0,) * (models // 2), margin=5.0))
    return found


def shares(difference: float) -> np.ndarray:
    """Return probabilities of the outcomes with a score of 50 + `difference` percent."""
    total = float(SHARES @ OUTCOMES[:, 1])
    tilt = (difference / 100.0) * total / float(SHARES[3] * 2.0 + SHARES[4] * 6.0)
    return SHARES * np.array([1.0 - tilt, 1.0 - tilt, 1.0, 1.0 + tilt, 1.0 + tilt])


def evidence(case: Case, runs: int, questions: int, most: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return calls [runs, models, questions] as -1, 0 (equivalent), 1, and the evidence for them in models."""
    models = len(case.differences)
    own = rng.standard_normal((runs, models, questions))
    common = rng.standard_normal((runs, 1, questions))
    ranks = stats.norm.cdf(math.sqrt(1.0 - CORRELATION) * own + math.sqrt(CORRELATION) * common)
    gap = (case.margin or 0.0) / 100.0
    calls, counted = np.zeros(ranks.shape, int), np.zeros(ranks.shape, int)
    for model, difference in enumerate(case.differences):
        kinds = np.searchsorted(np.cumsum(shares(difference))[:-1], ranks[:, model], side="right")
        seen = np.cumsum(kinds[..., None] == np.arange(len(SHARES)), axis=1, dtype=float)
        better, worse = (log_capital(each, seen, 0.5 + gap, LARGEST) for each in (OUTCOMES, MIRRORED))
        calls[:, model] = np.where(better >= worse, 1, -1)
        counted[:, model] = _in_models(np.maximum(better, worse), threshold(ALPHA), most)
        if case.margin is not None:
            near = np.minimum(*(log_capital(each, seen, 0.5 - gap, LARGEST) for each in (OUTCOMES, MIRRORED)))
            as_equal = _in_models(near, threshold_one_sided(ALPHA), most)
            calls[:, model][as_equal > counted[:, model]] = 0
            counted[:, model] = np.maximum(counted[:, model], as_equal)
    return calls, counted


def _in_models(capitals: np.ndarray, level: float, most: int) -> np.ndarray:
    found = np.zeros(capitals.shape, int)
    for at in np.argwhere(capitals >= level):
        found[tuple(at)] = models_refuted(float(capitals[tuple(at)]), level, most)
    return found


def decide(counted: np.ndarray, *, per_model: bool) -> dict[int, int]:
    """Return the question (from 0) after which each model is called."""
    models = range(len(counted))
    shared = Family(models)
    families = {model: Family([model]) if per_model else shared for model in models}
    found: dict[int, int] = {}
    for question in range(counted.shape[1]):
        for model in models:
            found |= families[model].add(model, int(counted[model, question]))
    return found


def measure(case: Case, runs: int, questions: int, seed: int) -> tuple[Outcome, Outcome]:
    """Return what happens to each model on its own, and in the family."""
    rng = np.random.default_rng(seed)
    found = Outcome(), Outcome()
    for begin in range(0, runs, BATCH):
        calls, counted = evidence(case, min(BATCH, runs - begin), questions, len(case.differences), rng)
        for call, each in zip(calls, counted, strict=True):
            for outcome, per_model in zip(found, (True, False), strict=True):
                _add(outcome, case, call, decide(each, per_model=per_model))
    return found


def _add(outcome: Outcome, case: Case, calls: np.ndarray, decided: dict[int, int]) -> None:
    words = {-1: "worse", 0: "equivalent", 1: "better"}
    made = {model: words[int(calls[model, at])] for model, at in decided.items()}
    outcome.runs += 1
    outcome.wrong += any(case.is_wrong(case.differences[model], call) for model, call in made.items())
    for model in differing(case.differences):
        outcome.called += model in made
        outcome.questions += decided[model] + 1 if model in decided else calls.shape[1]


def differing(differences: Sequence[float]) -> list[int]:
    """Return the models whose calls are of interest: those that differ, all where none does."""
    return [model for model, each in enumerate(differences) if each] or list(range(len(differences)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--models", type=int, default=10)
    options = parser.parse_args()
    allowed = ALPHA + 2.6 * math.sqrt(ALPHA * (1.0 - ALPHA) / options.runs)
    holds = True
    print(f"families of {options.models} models, {options.questions} questions, {options.runs} runs")
    print(f"{'':30} {'each model on its own':>33}   {'level kept over the family':>33}")
    print(f"{'':30}" + 2 * f" {'any wrong':>10} {'called':>8} {'questions':>11}   ")
    for seed, case in enumerate(cases(options.models)):
        found = measure(case, options.runs, options.questions, seed)
        holds &= found[1].wrong <= allowed * options.runs
        print(f"{case.name:30}" + "   ".join(_columns(each, case) for each in found), flush=True)
    return 0 if holds else 1


def _columns(found: Outcome, case: Case) -> str:
    of_models = found.runs * len(differing(case.differences))
    called, questions = found.called / of_models, found.questions / of_models
    return f" {found.wrong / found.runs:10.1%} {called:8.0%} {questions:11.0f}"


if __name__ == "__main__":
    sys.exit(main())
