"""The parts of a sentence about a figure: its level, and the figure itself with its limits."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ratings.audit.report import Level
from engine.ratings.audit.shares import Estimate

KAPPA_CARE, KAPPA_BAD = 0.4, 0.2


def level_of(value: float | None, care: float, bad: float) -> Level:
    """Good below `care`, bad from `bad` on."""
    if value is None:
        return "unknown"
    return "bad" if value >= bad else "care" if value >= care else "good"


def worse(one: Level, other: Level) -> Level:
    """The one that weighs more."""
    order: tuple[Level, ...] = ("unknown", "good", "care", "bad")
    return max(one, other, key=order.index)


def kappa_level(kappa: Estimate) -> Level:
    """Below 0.2 is hardly more than chance, from 0.4 on moderate (Landis and Koch, Biometrics 33, 1977)."""
    if kappa.value is None:
        return "unknown"
    return "bad" if kappa.value < KAPPA_BAD else "care" if kappa.value < KAPPA_CARE else "good"


def distance_from(estimate: Estimate, middle: float) -> float:
    """How far the interval stays away from `middle`; 0 if it holds it, or is not known."""
    if estimate.lower is None or estimate.upper is None:
        return 0.0
    return max(0.0, estimate.lower - middle, middle - estimate.upper)


def value_of(estimate: Estimate) -> float:
    """The number, NaN if it is not known: then every comparison with it is false."""
    return float("nan") if estimate.value is None else estimate.value


def percent(estimate: Estimate) -> str:
    """`12.3% [10.1%, 14.9%]`."""
    return _with_limits(estimate, "{:.1f}", "%")


def points(estimate: Estimate, sign: str = "+") -> str:
    """`+2.3 [+0.1, +4.9]`."""
    return _with_limits(estimate, f"{{:{sign}.1f}}", "")


def kappa_text(estimate: Estimate) -> str:
    """`0.61 [0.52, 0.69]`."""
    return _with_limits(estimate, "{:.2f}", "")


def _with_limits(estimate: Estimate, form: str, unit: str) -> str:
    if estimate.value is None:
        return "an unknown share" if unit else "unknown"
    text = form.format(estimate.value) + unit
    if estimate.lower is None or estimate.upper is None:
        return text
    return f"{text} [{form.format(estimate.lower)}, {form.format(estimate.upper)}]"


def joined(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
