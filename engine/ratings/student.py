"""Student's t: how much wider limits have to be when a standard error rests on few questions."""

from __future__ import annotations

from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


def student_quantile(freedom: int, probability: float = 0.975) -> float:
    """A quantile of Student's t by the expansion of Cornish and Fisher; 97.5 % within 0.2 % from 5 degrees on."""
    z = Z if probability == 0.975 else NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
