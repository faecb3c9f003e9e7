"""Student's t: how much wider limits have to be when a standard error rests on few questions."""

from __future__ import annotations

from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


def student_quantile(freedom: int) -> float:
    """The 97.5 % point of Student's t, by the expansion of Cornish and Fisher; within 0.2 % from 5 degrees on."""
    terms = (
        Z,
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
