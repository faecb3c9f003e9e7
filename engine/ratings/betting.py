"""Betting: tests and limits of scores that hold at any number of questions and stay valid at every look.

The test of "the score is at most m" is a game against it (Waudby-Smith and Ramdas, "Estimating means of bounded random
variables by betting", arXiv 2010.09686; J. R. Stat. Soc. B 86, 2024). A score is points won of points played for, so
under the hypothesis the mean over questions of won - m total is at most 0 (Fieller, J. R. Stat. Soc. B 16, 1954). A bet
of the share u of the capital on every question leaves Prod(1 + u (won - m total) / (m L)) of it, where L is the largest
total of a question. If the hypothesis is true, no bet gains on average, so the capital ever reaches 1 / alpha with
probability alpha at most (Ville, Etude critique de la notion de collectif, 1939), whatever the distribution of the
outcomes: there is no minimum of questions and no normal approximation. The observations are questions in random order,
not games: the games of a question depend on each other, and the order must not depend on the outcomes.

The capital is spread over a fixed mixture of shares u, which grows nearly as fast as the best share in hindsight
(Cover, "Universal portfolios", Mathematical Finance 1, 1991) and depends on the counts of the outcomes alone, not on
their order. It falls with m, so the values of m that it excludes are those below a limit. Each side has alpha / 2.

Scores are fractions here. `outcomes` are distinct ones, and `counts` says on how many questions each was observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

import numpy as np

from engine.ratings import ALPHA
from engine.ratings.battles import FloatArray

_PARTS, _ROUNDS = 16, 4  # a limit is searched in 16 parts, four times: to less than 0.002 points
_GAP_STEPS = 12  # of a limit of a difference: within 0.05 points
_CELLS = 24  # intervals of the unknown score of the second of two models
_SMALLEST = 0.02  # below this share the bets are one


def _mixture() -> tuple[FloatArray, FloatArray]:
    """Return shares [B] of the capital and their weights: mostly large ones, which decide early, and a fifth on all
    orders of magnitude alike, for scores near the hypothesis and for hypotheses near 0 and 100 percent."""
    edges = np.append(0.0, np.geomspace(_SMALLEST, 1.0, 20))
    by_magnitude = np.append(0.0, np.diff(np.log(edges[1:]))) / -math.log(_SMALLEST)
    return (edges[1:] + edges[:-1]) / 2.0, 0.2 * by_magnitude + 0.8 * np.diff(edges**2)


BETS, BET_WEIGHTS = _mixture()


class Tally:
    """How often each outcome of a question was observed; an outcome is a tuple of points."""

    def __init__(self, largest: float) -> None:
        self.largest = largest
        self.questions = 0
        self._counts: dict[tuple[float, ...], int] = {}

    def add(self, outcome: tuple[float, ...]) -> None:
        self.questions += 1
        self._counts[outcome] = self._counts.get(outcome, 0) + 1

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """Return the distinct outcomes [K, C] and their counts [K]."""
        return np.array(list(self._counts), dtype=np.float64), np.array(list(self._counts.values()), dtype=np.float64)

    def sums(self) -> tuple[float, ...]:
        """Return the sum over the questions of each value of an outcome; nothing before the first question."""
        columns = zip(*self._counts, strict=True)
        return tuple(sum(map(mul, column, self._counts.values())) for column in columns)


def threshold(alpha: float = ALPHA) -> float:
    """Return the logarithm of the capital that excludes a hypothesis on one of two sides."""
    return math.log(2.0 / alpha)


def threshold_one_sided(alpha: float = ALPHA) -> float:
    """Return the logarithm of the capital that excludes a hypothesis in a test of one side, as each of two that must
    both exclude theirs."""
    return math.log(1.0 / alpha)


def log_capital(outcomes: FloatArray, counts: FloatArray, share: float | FloatArray, largest: float) -> FloatArray:
    """Return the logarithm of the capital won against "the score is at most `share`".

    Args:
        outcomes: [K, 2] points won and played for.
        counts: [..., K] several samples at once.
        share: above 0; a scalar or [S].
        largest: the most points that a question can be played for.

    Returns:
        [...] for a scalar share, else [..., S].
    """
    won, total = outcomes.T
    hypothesis = np.asarray(share, dtype=np.float64)[..., None]
    returns = (won - hypothesis * total) / (hypothesis * largest)
    return _mixed(np.tensordot(counts, np.log1p(BETS[:, None] * returns[..., None, :]), axes=(-1, -1)))


def interval(outcomes: FloatArray, counts: FloatArray, largest: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the limits of the confidence sequence for a score; (0, 1) before the first question."""
    if not len(counts):
        return 0.0, 1.0
    won, total = outcomes.T
    level = threshold(alpha)

    def limit(points: FloatArray) -> float:
        mirrored = np.stack([points, total], axis=1)
        low, high = 0.0, float(counts @ points / (counts @ total))
        for _ in range(_ROUNDS if high > 0.0 else 0):
            shares = np.linspace(low, high, _PARTS + 1)[1:]
            excluded = int(np.count_nonzero(log_capital(mirrored, counts, shares, largest) >= level))
            low, high = (low if not excluded else float(shares[excluded - 1])), float(shares[min(excluded, _PARTS - 1)])
        return low

    return limit(won), 1.0 - limit(total - won)


def log_capital_apart(
    outcomes: FloatArray, counts: FloatArray, gap: float, largest: float, cells: Sequence[int] = range(_CELLS)
) -> float:
    """Return the logarithm of the capital won against "the score of a is at most `gap` above that of b".

    The hypothesis is one about a for each score q of b: that a has at most q + gap and b at least q. The capital is the
    smallest over all q. Three games are played against each: on a alone, on b alone, and mostly on both together. A
    capital on both together is a product of terms that are linear in q, so its logarithm is concave, and over a cell of
    values of q it is smallest at an end of the cell.

    Args:
        outcomes: [K, 4] points won and played for by a, then by b, on the same question.
        cells: where the score of b may lie; the capital of a few cells is no smaller than that of all.
    """
    ends = np.linspace(0.0, 1.0, _CELLS + 1)
    possible = [cell for cell in cells if ends[cell + 1] + gap > 0.0]
    if gap <= -1.0:
        return -math.inf
    if not possible:
        return math.inf
    lower, upper = ends[possible], ends[1:][possible]
    of_a, of_b = outcomes[:, :2], outcomes[:, 2:]
    lost_b = np.stack([of_b[:, 1] - of_b[:, 0], of_b[:, 1]], axis=1)
    alone_a = log_capital(of_a, counts, np.minimum(upper + gap, 1.0), largest)
    alone_b = log_capital(lost_b, counts, 1.0 - lower, largest)
    fair = BETS * (1.0 + gap + 1.0 / _CELLS) < 1.0  # the others could lose more than the stake
    growth = [_growth_apart(outcomes, counts, end, gap, largest, BETS[fair]) for end in (lower, upper)]
    together = _mixed(np.minimum(*growth), BET_WEIGHTS[fair])
    parts = np.stack([together + math.log(0.8), alone_a + math.log(0.1), alone_b + math.log(0.1)])
    return float(np.logaddexp.reduce(parts, axis=0).min())


def log_capital_from(outcomes: FloatArray, counts: FloatArray, gap: float, largest: float, level: float) -> float:
    """Return `log_capital_apart` where it has reached `level` (a logarithm), else a value below `level`."""
    won, total = counts @ outcomes[:, 2], counts @ outcomes[:, 3]
    likely = min(_CELLS - 1, int(_CELLS * won / total))
    first = log_capital_apart(outcomes, counts, gap, largest, [likely])  # nearly always small enough to stop here
    return first if first < level else log_capital_apart(outcomes, counts, gap, largest)


def is_apart(outcomes: FloatArray, counts: FloatArray, gap: float, largest: float, level: float) -> bool:
    """Return whether the capital against "a is at most `gap` above b" has reached `level` (a logarithm)."""
    return log_capital_from(outcomes, counts, gap, largest, level) >= level


def log_capital_near_even(outcomes: FloatArray, counts: FloatArray, margin: float, largest: float) -> float:
    """Return the logarithm of the smaller capital of two: against scores at most 0.5 - `margin`, and against those at
    least 0.5 + `margin`.

    Args:
        outcomes: [K, 2] points won and played for.
    """
    lost = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    return min(float(log_capital(each, counts, 0.5 - margin, largest)) for each in (outcomes, lost))


def log_capital_near(outcomes: FloatArray, counts: FloatArray, margin: float, largest: float, level: float) -> float:
    """Return the logarithm of the smaller capital of two, against differences of `margin` and more in either direction;
    any value below `level` where it has not reached it.

    Args:
        outcomes: [K, 4] points won and played for by a, then by b, on the same question.
    """
    first = log_capital_from(outcomes, counts, -margin, largest, level)
    return (
        first
        if first < level
        else min(first, log_capital_from(outcomes[:, [2, 3, 0, 1]], counts, -margin, largest, level))
    )


def difference_interval(
    outcomes: FloatArray, counts: FloatArray, largest: float, alpha: float = ALPHA
) -> tuple[float, float]:
    """Return the limits of the confidence sequence for a difference of scores on the same questions, a minus b."""
    if not len(counts):
        return -1.0, 1.0
    level = threshold(alpha)

    def limit(ordered: FloatArray) -> float:
        sums = counts @ ordered
        low, high = -1.0, float(sums[0] / sums[1] - sums[2] / sums[3])
        for _ in range(_GAP_STEPS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if is_apart(ordered, counts, middle, largest, level) else (low, middle)
        return low

    return limit(outcomes), -limit(outcomes[:, [2, 3, 0, 1]])


def _growth_apart(
    outcomes: FloatArray, counts: FloatArray, share: FloatArray, gap: float, largest: float, bets: FloatArray
) -> FloatArray:
    """Return the logarithms [C, B] of the capital of each bet on both models, where b has one of the shares [C]."""
    won_a, total_a, won_b, total_b = outcomes.T
    returns = (won_a - won_b - gap * total_a) - share[:, None] * (total_a - total_b)
    grown: FloatArray = np.log1p(bets[:, None] * (returns / largest)[:, None, :]) @ counts
    return grown


def _mixed(logarithms: FloatArray, weights: FloatArray = BET_WEIGHTS) -> FloatArray:
    """Return the logarithm of the whole capital, from those of the bets on the last axis."""
    mixed: FloatArray = np.logaddexp.reduce(logarithms + np.log(weights), axis=-1)
    return mixed
