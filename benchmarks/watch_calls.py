"""How many calls a checkpoint takes in `arena-tui watch` under `--until decided`, and how often the verdict is wrong.

    python benchmarks/watch_calls.py [--trainings 400] [--questions 500]

Seeded trainings of 8 checkpoints, judged on the same questions against one baseline: outcomes of two checkpoints on a
question correlate, as their answers do. Each checkpoint is decided by the real stop rule; a tenth of the trainings goes
through `Decider` record by record, and must agree. A question costs an answer and two judge calls; those that a run
starts ahead of the decision count. A full run judges all questions.

The second table asks what would reach a tenth of a full run at 10 points: for each kind of outcomes the mean under the
present rule, and the bound that no rule with this error can beat on such outcomes: log(2 / alpha) divided by the
expected growth of the best bet (Wald, "Sequential tests of statistical hypotheses", Ann. Math. Stat. 16, 1945). Soft
verdicts are taken to remove the noise of the drawn label, half of the variance here; the earlier checkpoint is taken to
be judged on all questions, and its outcomes are subtracted. Exits with 1 where more verdicts are wrong than 5 % and
chance allows.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.labels import Points
from engine.ratings.betting import log_capital, threshold
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import StopRule
from engine.work.stopping import LEAST_AHEAD

Floats = NDArray[np.float64]
CALLS_EACH = 3  # of a question: an answer and two games
CHECKPOINTS = 8
CORRELATION = 0.6  # of the latent outcomes of two checkpoints of a training on a question
STRONG, WEAK = 6.0, 2.0  # points that a question with two strong or two weak labels is played for
OUTCOMES = np.array([[0.0, STRONG], [0.0, WEAK], [WEAK / 2, WEAK], [WEAK, WEAK], [STRONG, STRONG]])
SHARES = np.array([0.1, 0.25, 0.3, 0.25, 0.1])  # of the outcomes, where a model equals the baseline
DIFFERENCES = (0.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0)  # points
REACH = 0.10  # of the calls of a full run, at 10 points and more
ALPHA = 0.05


def tilted(outcomes: Floats, shares: Floats, score: float) -> Floats:
    """Return the shares of outcomes, exponentially tilted until the score is `score`."""
    value = (outcomes[:, 0] - outcomes[:, 1] / 2) / outcomes[:, 1].max()
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        weights = shares * np.exp(middle * value)
        weights /= weights.sum()
        won, total = weights @ outcomes
        low, high = (middle, high) if won / total < score else (low, middle)
    return weights


def normal_quantile(share: Floats) -> Floats:
    from statistics import NormalDist

    return np.array([NormalDist().inv_cdf(min(max(each, 1e-12), 1 - 1e-12)) for each in share])


def trained(rng: np.random.Generator, scores: Sequence[float], questions: int) -> NDArray[np.int64]:
    """Return the outcomes [C, N], as rows of OUTCOMES, of the checkpoints of one training."""
    shared = rng.standard_normal(questions)
    own = rng.standard_normal((len(scores), questions))
    latent = math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * own
    cuts = [normal_quantile(np.cumsum(tilted(OUTCOMES, SHARES, score))[:-1]) for score in scores]
    return np.array([np.searchsorted(cut, row) for cut, row in zip(cuts, latent, strict=True)])


def stops(outcomes: Floats, drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row of drawn outcomes [R, N] after how many questions it is decided (N + 1: never), and how: 1
    better, -1 worse, 0 undecided."""
    counts = np.stack([np.cumsum(drawn == row, axis=1) for row in range(len(outcomes))], axis=-1).astype(np.float64)
    largest = float(outcomes[:, 1].max())
    mirrored = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    above = log_capital(outcomes, counts, 0.5, largest) >= threshold()
    below = log_capital(mirrored, counts, 0.5, largest) >= threshold()
    never = drawn.shape[1] + 1
    first = [np.where(each.any(axis=1), each.argmax(axis=1) + 1, never) for each in (above, below)]
    sign = np.where(first[0] < first[1], 1, np.where(first[1] < first[0], -1, 0))
    return np.minimum(*first), sign


def calls_of(after: NDArray[np.int64], questions: int) -> NDArray[np.int64]:
    """Return the calls of a run that is decided after so many questions, with those it has started ahead."""
    counted = np.minimum(after, questions) - 1
    started = np.minimum(questions, counted + np.maximum(LEAST_AHEAD, counted // 4))
    return CALLS_EACH * np.where(after > questions, questions, started)


def decided(drawn: NDArray[np.int64]) -> tuple[int, int]:
    """Return the same for one row, from the decider of runs."""
    order = [str(number) for number in range(len(drawn))]
    decider = Decider(StopRule(decided=True), ["m"], baseline="b", order=order)
    for question, row in zip(order, drawn, strict=True):
        if decider.observe_points("m", question, Points(*OUTCOMES[row].tolist())):
            return int(question) + 1, 1 if decider.decision("m") == "better" else -1
    return len(drawn) + 1, 0


@dataclass(frozen=True)
class Kind:
    """A kind of outcomes of one question: values of (won, total) and their shares for an equal model."""

    name: str
    outcomes: Floats
    shares: Floats


def kinds() -> list[Kind]:
    """What could be observed of a question, from the same latent scale, with the variance that each leaves."""
    grid = (np.arange(50) + 0.5) / 50

    def spread(deviation: float) -> Floats:
        """Return shares of a symmetric beta distribution with this standard deviation."""
        shape = (1 / (4 * deviation**2) - 1) / 2
        weights = (grid * (1 - grid)) ** (shape - 1)
        return np.asarray(weights / weights.sum())

    equal = np.array([[0.0, 2.0], [0.0, 2.0], [1.0, 2.0], [2.0, 2.0], [2.0, 2.0]])
    fine = np.stack([2.0 * grid, np.full_like(grid, 2.0)], axis=1)
    plain = math.sqrt(float(SHARES @ (equal[:, 0] / 2 - 0.5) ** 2))
    soft = plain * math.sqrt(0.5)
    return [
        Kind("labels, strong ones count 3 (now)", OUTCOMES, SHARES),
        Kind("labels, all count 1", equal, SHARES),
        Kind("soft verdicts", fine, spread(soft)),
        Kind("soft, less an earlier checkpoint (rho 0.6)", fine, spread(soft * math.sqrt(1 - 0.6**2))),
        Kind("soft, less an earlier checkpoint (rho 0.8)", fine, spread(soft * math.sqrt(1 - 0.8**2))),
    ]


def bound(kind: Kind, shares: Floats) -> float:
    """Return the fewest questions that a decision of this error can take on average."""
    won, total = kind.outcomes.T
    returns = (won - 0.5 * total) / (0.5 * total.max())
    bets = np.linspace(0.0, 1.0, 1001)[1:-1]
    growth = np.log1p(bets[:, None] * returns) @ shares
    return math.log(2 / ALPHA) / float(growth.max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=400)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    full = CALLS_EACH * options.questions
    print(f"calls of a checkpoint, in percent of a full run of {options.questions} questions ({full} calls)")
    print(f"{'points':>7}{'median':>8}{'mean':>7}{'p90':>6}{'decided':>9}{'wrong':>8}")
    holds = True
    for difference in DIFFERENCES:
        drawn = np.concatenate(
            [
                trained(rng, [0.5 + difference / 100] * CHECKPOINTS, options.questions)
                for _ in range(max(1, options.trainings // CHECKPOINTS))
            ]
        )
        after, sign = stops(OUTCOMES, drawn)
        for row in range(0, len(drawn), max(10, len(drawn) // 10)):
            assert decided(drawn[row]) == (after[row], sign[row]), "the decider of runs says otherwise"
        share = 100.0 * calls_of(after, options.questions) / full
        wrong = (sign != 0) if not difference else (sign < 0)
        allowed = ALPHA + 3.0 * math.sqrt(ALPHA * (1 - ALPHA) / len(drawn))
        holds &= bool(wrong.mean() <= allowed)
        print(
            f"{difference:7.0f}{np.median(share):7.1f}%{share.mean():6.1f}%{np.percentile(share, 90):5.0f}%"
            f"{100 * (sign != 0).mean():8.1f}%{100 * wrong.mean():7.2f}%"
        )
    print("\nat 10 points: what a question could show, its standard deviation, and questions until decided")
    print(f"{'':44}{'sd':>6}{'median':>8}{'mean':>7}{'bound':>7}{'mean, % of a full run':>23}")
    for kind in kinds():
        shares = tilted(kind.outcomes, kind.shares, 0.6)
        drawn = rng.choice(len(shares), size=(options.trainings, options.questions), p=shares)
        after, _ = stops(kind.outcomes, drawn)
        rate = kind.outcomes[:, 0] - 0.6 * kind.outcomes[:, 1]
        deviation = 100.0 * math.sqrt(float(shares @ rate**2)) / float(shares @ kind.outcomes[:, 1])
        calls = calls_of(after, options.questions)
        questions = np.minimum(after, options.questions)
        print(
            f"{kind.name:44}{deviation:6.1f}{np.median(questions):8.0f}{questions.mean():7.0f}"
            f"{bound(kind, shares):7.0f}{100 * calls.mean() / full:22.1f}%"
        )
    print(f"reach: {100 * REACH:.0f} % at 10 points and more")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
