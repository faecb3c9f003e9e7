"""Whether `run --until`, `gate` and equivalence keep their error rates where outcomes are skewed, also in a search.

    python benchmarks/statistics_skewed.py [--runs 1000] [--search]

Questions have one of three outcomes: a tie, and two of win, loss, strong win and strong loss (weight 3). In some of the
questions that are not tied the judge flips: the second game has the opposite label. The true score is known, so errors
can be counted:

    sequence   a sequence of limits ever misses the true score within 500 questions (allowed: 5 %)
    gate       the lower limit after 30, 60 or 150 questions is above the true difference from the baseline, or from
               another model that ties more often (allowed: 2.5 %); beside it, that of Student's t
    equivalence  after 150 or 500 questions a model whose true difference is the margin is called equivalent (allowed:
               5 %); beside it, by two one-sided tests with Student's t
    equal:P    a sequence of tests (`run --until equivalent`) ever calls such a model equivalent (allowed: 5 %)

`--search` tries a grid of such distributions and measures the worst ones again, with ten times the runs. Exits with 1
where a rate is more than half a point above what is allowed and chance does not explain it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from engine.ratings.betting import log_capital, threshold, threshold_one_sided
from engine.ratings.bounded_difference import centred_points
from engine.ratings.bounded_likelihood import p_value

LARGEST = 6.0
HORIZON = 500
GATE_ALPHA = 0.025
SEQUENCE_ALPHA = 0.05
EQUIVALENCE_ALPHA = 0.05
TOLERANCE = 0.005
POINTS = {"tie": (1.0, 2.0), "win": (2.0, 2.0), "loss": (0.0, 2.0), "strong win": (6.0, 6.0), "strong loss": (0.0, 6.0)}


@dataclass(frozen=True)
class Mix:
    """Outcomes of a question with their probabilities, and the share of questions on which the judge flips."""

    shares: tuple[tuple[str, float], ...]
    flips: float = 0.0

    def outcomes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct outcomes [K, 2] and their probabilities [K]."""
        found: dict[tuple[float, float], float] = {}
        for kind, share in self.shares:
            won, total = POINTS[kind]
            for outcome, part in (((won, total), 1.0 - self.flips), ((total / 2.0, total), self.flips)):
                found[outcome] = found.get(outcome, 0.0) + share * part
        kept = {outcome: share for outcome, share in found.items() if share > 0.0}
        return np.array(list(kept)), np.array(list(kept.values())) / sum(kept.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{share:.0%} {kind}" for kind, share in self.shares if share)
        return f"{parts}; {self.flips:.0%} flips"


SKEWED = (
    Mix((("tie", 0.8), ("win", 0.15), ("strong loss", 0.05))),
    Mix((("tie", 0.8), ("loss", 0.15), ("strong win", 0.05))),
    Mix((("tie", 0.8), ("win", 0.15), ("strong loss", 0.05)), flips=0.3),
    Mix((("win", 0.95), ("strong loss", 0.05))),
    Mix((("tie", 0.1), ("strong win", 0.88), ("strong loss", 0.02))),
    Mix((("tie", 0.97), ("win", 0.0), ("strong loss", 0.03))),
    Mix((("tie", 0.3), ("win", 0.5), ("loss", 0.2)), flips=0.1),
    Mix((("tie", 0.4), ("strong win", 0.3), ("strong loss", 0.3)), flips=0.2),
)
RIVAL = Mix((("tie", 0.9), ("win", 0.1)))


def grid() -> Iterator[Mix]:
    """Distributions over a tie, a good and a bad outcome."""
    for good in ("win", "strong win"):
        for bad in ("loss", "strong loss"):
            for share in (0.02, 0.05, 0.15, 0.4):
                for other in (0.02, 0.05, 0.15, 0.5):
                    for flips in (0.0, 0.1, 0.3):
                        yield Mix((("tie", 1.0 - share - other), (good, share), (bad, other)), flips)


def sequence_error(mix: Mix, runs: int, rng: np.random.Generator) -> float:
    """Return how often a sequence of limits ever misses the true score."""
    outcomes, shares = mix.outcomes()
    truth = float(shares @ outcomes[:, 0] / (shares @ outcomes[:, 1]))
    if not 0.0 < truth < 1.0:
        return 0.0
    mirrored = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    missed = 0
    for begin in range(0, runs, 100):
        drawn = rng.choice(len(shares), p=shares, size=(min(100, runs - begin), HORIZON))
        counts = np.cumsum(drawn[..., None] == np.arange(len(shares)), axis=1, dtype=np.float64)
        sides = (log_capital(outcomes, counts, truth, LARGEST), log_capital(mirrored, counts, 1.0 - truth, LARGEST))
        missed += int((np.maximum(*sides) >= threshold(SEQUENCE_ALPHA)).any(axis=1).sum())
    return missed / runs


def gate_error(
    mix: Mix, questions: int, runs: int, rng: np.random.Generator, rival: Mix | None = None, gap: float = 0.0
) -> tuple[float, float]:
    """Return how often the lower limit is above the true difference less `gap`: that of the gate, and Student's t.

    A gap makes it the power of a gate with that margin, for a model with the true difference.
    """
    outcomes, shares = mix.outcomes()
    others, their_shares = rival.outcomes() if rival else (np.array([[0.5, 1.0]]), np.array([1.0]))
    pairs = np.array([[*mine, *theirs] for mine in outcomes for theirs in others])
    joint = np.outer(shares, their_shares).ravel()
    means = joint @ pairs
    truth = float(means[0] / means[1] - means[2] / means[3]) - gap
    known = None if rival else 0.5
    passed: dict[tuple[int, ...], tuple[bool, bool]] = {}
    errors = np.zeros(2)
    for counts in rng.multinomial(questions, joint, size=runs):
        key = tuple(counts.tolist())
        if key not in passed:
            seen = counts > 0
            values, worst = centred_points(pairs[seen], counts[seen].astype(float), LARGEST, truth, known=known)
            known_counts = counts[seen].astype(float)
            exact = p_value(values, known_counts, worst, GATE_ALPHA) if known_counts @ values > 0.0 else 1.0
            passed[key] = exact <= GATE_ALPHA, _student(pairs[seen], known_counts, truth)
        errors += passed[key]
    return float(errors[0]) / runs, float(errors[1]) / runs


def equivalence_error(mix: Mix, questions: int, runs: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return how often a model whose difference from the baseline is the margin is called equivalent: by the verdict,
    and by two one-sided tests with Student's t."""
    outcomes, shares = mix.outcomes()
    rows = np.column_stack([outcomes, outcomes[:, 1] / 2.0, outcomes[:, 1]])
    margin = abs(float(shares @ outcomes[:, 0] / (shares @ outcomes[:, 1])) - 0.5)
    if not 0.0 < margin < 0.5:
        return 0.0, 0.0
    mirrored = rows.copy()
    mirrored[:, [0, 2]] = rows[:, [1, 3]] - rows[:, [0, 2]]
    passed: dict[tuple[int, ...], tuple[bool, bool]] = {}
    errors = np.zeros(2)
    for counts in rng.multinomial(questions, shares, size=runs):
        key = tuple(counts.tolist())
        if key not in passed:
            seen = counts > 0
            known = counts[seen].astype(float)
            passed[key] = (
                all(_refused(each[seen], known, -margin) for each in (rows, mirrored)),
                all(_student(each[seen], known, -margin, EQUIVALENCE_ALPHA) for each in (rows, mirrored)),
            )
        errors += passed[key]
    return float(errors[0]) / runs, float(errors[1]) / runs


def _refused(rows: np.ndarray, counts: np.ndarray, hypothesis: float) -> bool:
    values, worst = centred_points(rows, counts, LARGEST, hypothesis, known=0.5)
    return bool(counts @ values > 0.0) and p_value(values, counts, worst, EQUIVALENCE_ALPHA) <= EQUIVALENCE_ALPHA


def early_equivalence_error(mix: Mix, runs: int, rng: np.random.Generator) -> float:
    """Return how often a sequence of tests ever calls a model equivalent whose true difference is the margin."""
    outcomes, shares = mix.outcomes()
    margin = abs(float(shares @ outcomes[:, 0] / (shares @ outcomes[:, 1])) - 0.5)
    if not 0.0 < margin < 0.5:
        return 0.0
    mirrored = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    wrong = 0
    for begin in range(0, runs, 100):
        drawn = rng.choice(len(shares), p=shares, size=(min(100, runs - begin), HORIZON))
        counts = np.cumsum(drawn[..., None] == np.arange(len(shares)), axis=1, dtype=np.float64)
        sides = (log_capital(each, counts, 0.5 - margin, LARGEST) for each in (outcomes, mirrored))
        wrong += int((np.minimum(*sides) >= threshold_one_sided(EQUIVALENCE_ALPHA)).any(axis=1).sum())
    return wrong / runs


@dataclass(frozen=True)
class Measured:
    """Error rates of one distribution; `gates` and `equivalence` have those of Student's t beside."""

    mix: Mix
    sequence: float
    gates: tuple[tuple[float, float], ...]
    equivalence: tuple[tuple[float, float], ...]
    early_equivalence: float

    @classmethod
    def of(cls, mix: Mix, runs: int, rng: np.random.Generator) -> Measured:
        alone = [gate_error(mix, questions, runs, rng) for questions in (30, 60, 150)]
        equivalence = tuple(equivalence_error(mix, questions, runs, rng) for questions in (150, 500))
        early = early_equivalence_error(mix, runs, rng)
        gates = (*alone, gate_error(mix, 60, runs, rng, RIVAL))
        return cls(mix, sequence_error(mix, runs, rng), gates, equivalence, early)

    @property
    def worst_gate(self) -> float:
        return max(rate for rate, _ in self.gates)

    @property
    def worst_equivalence(self) -> float:
        return max(self.early_equivalence, *(rate for rate, _ in self.equivalence))


def _student(outcomes: np.ndarray, counts: np.ndarray, truth: float, alpha: float = GATE_ALPHA) -> bool:
    """Return whether the lower limit of Student's t, clustered by question, is above the truth."""
    won, total, their_won, their_total = outcomes.T
    questions = counts.sum()
    rates = counts @ won / (counts @ total), counts @ their_won / (counts @ their_total)
    values = (won - rates[0] * total) / (counts @ total) - (their_won - rates[1] * their_total) / (counts @ their_total)
    error = np.sqrt(counts @ values**2 * questions / (questions - 1))
    return bool(rates[0] - rates[1] - stats.t.ppf(1.0 - alpha, questions - 1) * error > truth)


def _holds(rate: float, allowed: float, runs: int) -> bool:
    """Return whether the rate is within half a point of what is allowed, or chance explains it."""
    limit = allowed + TOLERANCE
    return bool(stats.binom.sf(round(rate * runs) - 1, runs, limit) > 0.001)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    mixes, runs = list(SKEWED), options.runs
    if options.search:
        found = [Measured.of(mix, runs, rng) for mix in grid()]
        worst = (
            sorted(found, key=lambda each: -each.worst_gate)[:8]
            + sorted(found, key=lambda each: -each.sequence)[:4]
            + sorted(found, key=lambda each: -each.worst_equivalence)[:4]
        )
        mixes, runs = [each.mix for each in worst], 10 * runs
    holds = True
    print("each with Student's t in brackets:")
    print("sequence   gate at 30, 60, 150 questions, and at 60 against a model   equivalence at 150 and 500, and early")
    for mix in dict.fromkeys(mixes):
        each = Measured.of(mix, runs, rng)
        holds &= _holds(each.sequence, SEQUENCE_ALPHA, runs)
        holds &= all(_holds(rate, GATE_ALPHA, runs) for rate, _ in each.gates)
        holds &= all(_holds(rate, EQUIVALENCE_ALPHA, runs) for rate, _ in each.equivalence)
        holds &= _holds(each.early_equivalence, EQUIVALENCE_ALPHA, runs)
        gates, equal = (
            "".join(f"{rate:7.1%} ({other:.1%})" for rate, other in rates) for rates in (each.gates, each.equivalence)
        )
        print(f"  {each.sequence:6.1%}   {gates}  {equal}{each.early_equivalence:7.1%}   {mix}", flush=True)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
