"""Confidence sequences: 95 % limits that stay valid though one looks, and may stop, after every question.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit
theory and asymptotic confidence sequences", arXiv 2103.06476, 2021; Annals of Statistics 52, 2024), whose boundary is
the normal mixture of Robbins ("Statistical methods related to the law of the iterated logarithm", Annals of
Mathematical Statistics 41, 1970). The observations are questions, not games: the games of a question depend on each
other, questions in random order do not.

A score is a ratio of sums over questions, S / T (points won / weight of the games). Its limits are those shares theta
for which the mean of S_q - theta T_q could be 0 (Fieller, J. R. Stat. Soc. B 16, 1954), so a score is outside of them
exactly when a sequential test of that mean rejects it. The difference of two scores is linearised.

Near 0 and 100 percent thirty questions may hold no surprise at all, and a variance of 0 would be believed. Every
estimate therefore starts from two imagined questions of average weight, one won and one lost (as Agresti and Coull,
American Statistician 52, 1998, do for a share). `benchmarks/statistics_coverage.py` measures that without them up to
37 % of the sequences miss the truth at some time, with them no more than the promised 5 %.

Scores are fractions here. Functions that return no limits use arithmetic alone, so they also work on arrays, element by
element, as simulations need.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engine.ratings import ALPHA

_TIGHTEST_AT = 70  # questions at which the boundary is tightest
_IMAGINED = 2


class Moments(NamedTuple):
    """Sums over n questions of points won `s`, of weight `t`, and of their products."""

    n: float = 0
    s: float = 0.0
    t: float = 0.0
    ss: float = 0.0
    st: float = 0.0
    tt: float = 0.0

    def plus(self, won: float, total: float) -> Moments:
        """Add one question."""
        return Moments(
            self.n + 1,
            self.s + won,
            self.t + total,
            self.ss + won * won,
            self.st + won * total,
            self.tt + total * total,
        )

    @property
    def share(self) -> float:
        """The score as a fraction: points won of those played for."""
        return self.s / self.t


class CrossMoments(NamedTuple):
    """Sums over the questions of two models: products of one's points or weight with the other's."""

    ss: float = 0.0
    st: float = 0.0
    ts: float = 0.0
    tt: float = 0.0

    def plus(self, won_a: float, total_a: float, won_b: float, total_b: float) -> CrossMoments:
        """Add one question."""
        return CrossMoments(
            self.ss + won_a * won_b,
            self.st + won_a * total_b,
            self.ts + total_a * won_b,
            self.tt + total_a * total_b,
        )


def boundary(n: float, alpha: float = ALPHA) -> float:
    """Return how many standard errors the limits are from the estimate after n questions: 3.0 to 3.2 for 30 to 500."""
    rho_squared = (-2.0 * math.log(alpha) + math.log(1.0 - 2.0 * math.log(alpha))) / _TIGHTEST_AT
    grown = n * rho_squared + 1.0
    return math.sqrt(grown / (n * rho_squared) * math.log(grown / alpha**2))


def strengthened(m: Moments) -> Moments:
    """Add the imagined questions: one won and one lost, of average weight."""
    weight = m.t / m.n
    square = weight * weight
    return Moments(m.n + _IMAGINED, m.s + weight, m.t + 2.0 * weight, m.ss + square, m.st + square, m.tt + 2.0 * square)


def strengthened_cross(cross: CrossMoments, a: Moments, b: Moments) -> CrossMoments:
    """Add the imagined questions of two models (their moments as counted): each is won by one and lost by the other."""
    square = a.t / a.n * (b.t / b.n)
    return CrossMoments(cross.ss, cross.st + square, cross.ts + square, cross.tt + 2.0 * square)


def squared_z(m: Moments, share: float) -> float:
    """Return the squared distance of the mean of S - share T from 0 in standard errors, for strengthened moments."""
    mean = (m.s - share * m.t) / m.n
    scatter = m.ss - 2.0 * share * m.st + share * share * m.tt - m.n * mean * mean
    return mean * mean * m.n * (m.n - 1) / scatter


def interval(m: Moments, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the limits of the confidence sequence for a score, as fractions; (0, 1) before the first question."""
    if not m.t:
        return 0.0, 1.0
    strong = strengthened(m)
    n = strong.n
    reach = boundary(n, alpha) ** 2 / (n - 1)  # squared limits on the scale of scatter over n
    s, t = strong.s / n, strong.t / n
    square = t * t - reach * (strong.tt / n - t * t)
    middle = s * t - reach * (strong.st / n - s * t)
    constant = s * s - reach * (strong.ss / n - s * s)
    if square <= 0.0:  # too few questions, of too unequal weight: any score is possible
        return 0.0, 1.0
    root = math.sqrt(max(0.0, middle * middle - square * constant))
    return max(0.0, (middle - root) / square), min(1.0, (middle + root) / square)


def share_variance(m: Moments) -> float:
    """Return the squared standard error of the score for strengthened moments (linearised)."""
    share = m.s / m.t
    scatter = m.ss - 2.0 * share * m.st + share * share * m.tt
    return scatter * m.n / ((m.n - 1) * m.t * m.t)


def difference(a: Moments, b: Moments, cross: CrossMoments) -> tuple[float, float]:
    """Return (score of a - score of b, its squared standard error) for strengthened moments of the same questions."""
    n = a.n
    share_a, share_b = a.s / a.t, b.s / b.t
    together = cross.ss - share_b * cross.st - share_a * cross.ts + share_a * share_b * cross.tt
    covariance = together * n / ((n - 1) * a.t * b.t)
    return share_a - share_b, share_variance(a) + share_variance(b) - 2.0 * covariance


def difference_interval(a: Moments, b: Moments, cross: CrossMoments, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the limits of the confidence sequence for a difference of scores on the same questions, as fractions."""
    if not a.t or not b.t:
        return -1.0, 1.0
    estimate, variance = difference(strengthened(a), strengthened(b), strengthened_cross(cross, a, b))
    reach = boundary(a.n + _IMAGINED, alpha) * math.sqrt(max(0.0, variance))
    return max(-1.0, estimate - reach), min(1.0, estimate + reach)
