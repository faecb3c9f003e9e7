"""The verdict on two models: better, worse, equivalent within a margin, or undecided.

Every result states it first, in the same words. Better and worse are the two-sided test of no difference at 5 %, paired
by question (`engine.ratings.paired`), where the 95 % interval agrees. Equivalence is shown by two one-sided tests
(Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987): that a is worse by the margin or more, and that
it is better by as much, are both refused at 5 %, which is the case when the 90 % limits of the difference lie within
the margin. These limits are by the distribution of the 95 % ones, and where they lie within the margin they are widened
to those of `engine.ratings.bounded_difference`, which take rare strong losses for possible that no question happens to
show: `benchmarks/statistics_skewed.py` measures how often a difference as large as the margin passes. A judge that
cannot be seen to notice a difference of the margin shows no equivalence either (`engine.ratings.sensitivity`).

A margin that was named makes smaller differences irrelevant: equivalence is the verdict even where one is sure. Without
one, `DEFAULT_MARGIN` is looked at only where neither better nor worse is shown.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from engine.checkpoint_names import series_of_name, step_of_name
from engine.errors import UsageProblem
from engine.ratings import ALPHA
from engine.ratings.battles import FloatArray
from engine.ratings.bounded_difference import difference
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.limits import student_quantile
from engine.ratings.paired import PairedDifference, PairedRatings
from engine.ratings.sensitivity import KnownBad, blind, blind_to_bad
from engine.ratings.stop_rule import Standing

VerdictWord: TypeAlias = Literal["better", "worse", "equivalent", "undecided"]
DEFAULT_MARGIN: Final = 2.0
"""Points within which models count as equivalent where no other margin is named; also the margin of the gate."""
HALF_WIDTHS: Final = (2.5, 1.0, 0.5, 0.25, 0.1)
"""Points to which a difference is worth knowing; the first that is not reached yet is the one to reach."""
_NOTHING = 1e-12


class PairVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """model_a against model_b, in points.

    Attributes:
        difference, lower, upper: score_a - score_b with absolute 95 % limits.
        margin: what equivalence is about; `equivalence_lower` and `equivalence_upper` are the 90 % limits of its tests.
        questions: those that both were judged on.
        half_width: half the width that the 95 % limits should have, and how many more questions that takes: 0 where
            they have it.
    """

    model_a: str
    model_b: str
    verdict: VerdictWord
    difference: float
    lower: float
    upper: float
    margin: float
    equivalence_lower: float
    equivalence_upper: float
    questions: int
    half_width: float
    more_questions: int


def require_margin(margin: float | None) -> None:
    """Raise UsageProblem for a margin that is out of range."""
    if margin is not None and not 0.0 < margin < 50.0:
        raise UsageProblem(f"margin out of range: {margin:g} points", "name one above 0 and below 50")


def pair_verdict(
    ratings: Ratings,
    paired: PairedRatings,
    a: int,
    b: int,
    found: PairedDifference | None = None,
    margin: float | None = None,
    known_bad: Sequence[KnownBad] = (),
    *,
    as_scores: bool = False,
) -> PairVerdict | None:
    """Return the verdict on models a and b (indices); None if fewer than two questions have both.

    Args:
        found: their difference, where it is known already.
        margin: one that was named.
        known_bad: the scores of answers that must lose.
        as_scores: the 95 % limits of a difference from the baseline are those of the score, beside which it is shown.
    """
    found = found or paired.difference(a, b)
    if found is None:
        return None
    limit = DEFAULT_MARGIN if margin is None else margin
    score_limits = _limits_of_scores(ratings, a, b, found) if as_scores else None
    lower, upper = score_limits or (100.0 * found.lower, 100.0 * found.upper)
    direction: VerdictWord = "undecided"
    if found.p_value < ALPHA:
        direction = "better" if lower > 0.0 else "worse" if upper < 0.0 else "undecided"
    narrow = 100.0 * found.narrow_lower, 100.0 * found.narrow_upper
    equivalent = (margin is not None or direction == "undecided") and _within(narrow, limit)
    if equivalent and (points := paired.points(a, b)) is not None:
        narrow = _widened(narrow, points, is_baseline=(a == ratings.table.baseline, b == ratings.table.baseline))
        equivalent = _within(narrow, limit)
    if equivalent:
        unseen = (*blind(paired.discrimination, limit), *blind_to_bad(known_bad, limit))
        equivalent = not unseen
    spread = 100.0 * found.std_error * math.sqrt(found.questions)
    wanted, more = missing_questions(spread, found.questions, (upper - lower) / 2.0, margin)
    return PairVerdict(
        model_a=ratings.models[a],
        model_b=ratings.models[b],
        verdict="equivalent" if equivalent else direction,
        difference=100.0 * (found.rate_a - found.rate_b),
        lower=lower,
        upper=upper,
        margin=limit,
        equivalence_lower=narrow[0],
        equivalence_upper=narrow[1],
        questions=found.questions,
        half_width=wanted,
        more_questions=more,
    )


def leading_verdict(
    ratings: Ratings,
    options: RatingOptions,
    pair: Sequence[str] = (),
    margin: float | None = None,
    known_bad: Sequence[KnownBad] = (),
    unranked: Collection[str] = (),
) -> PairVerdict | None:
    """Return the verdict that a leaderboard states first: that on `pair`, else on the `leading_pair` of those ranked.

    It is always paired by question. None without two rated models, and with style control, which has no paired test.
    """
    if ratings.style is not None:
        return None
    if options.ci == "battle":
        options = msgspec.structs.replace(options, ci="question")
        ratings = rate_battles(ratings.battles, options)
    rated = [index for index in range(len(ratings.models)) if not np.isnan(ratings.rate[index])]
    rated.sort(key=lambda index: (-ratings.rate[index], ratings.models[index]))
    names = [ratings.models[index] for index in rated]
    chosen = tuple(pair) if len(pair) == 2 and set(pair) <= set(names) else None
    chosen = chosen or leading_pair([name for name in names if name not in unranked], options.baseline)
    if chosen is None:
        return None
    a, b = (ratings.models.index(name) for name in chosen)
    return pair_verdict(
        ratings, PairedRatings(ratings, options), a, b, margin=margin, known_bad=known_bad, as_scores=True
    )


def standing_verdict(standings: Mapping[str, Standing], opponent: str) -> PairVerdict | None:
    """Return the verdict that a run with a stop rule states first: on its newest checkpoint, else on its best model.

    Its limits are those of the confidence sequence, which hold at every look, for equivalence too.
    """
    gaps = {model: gap for model, known in standings.items() if model != opponent and (gap := _gap(known))}
    pair = leading_pair([*sorted(gaps, key=lambda model: -gaps[model][0]), opponent], opponent)
    if pair is None:
        return None
    model, gap, known = pair[0], gaps[pair[0]], standings[pair[0]]
    margin = DEFAULT_MARGIN if known.margin is None else known.margin
    return PairVerdict(
        model_a=model,
        model_b=opponent,
        verdict=known.verdict if known.verdict in ("better", "worse", "equivalent") else "undecided",
        difference=gap[0],
        lower=gap[1],
        upper=gap[2],
        margin=margin,
        equivalence_lower=gap[1],
        equivalence_upper=gap[2],
        questions=known.questions,
        half_width=HALF_WIDTHS[0],
        more_questions=0,
    )


def _gap(known: Standing) -> tuple[float, float, float] | None:
    """Return the difference from the opponent with its limits, in points; None before the first question."""
    if known.difference is not None:
        return known.difference, known.difference_lower or 0.0, known.difference_upper or 0.0
    return None if known.score is None else (known.score - 50.0, known.lower - 50.0, known.upper - 50.0)


def leading_pair(models: Sequence[str], baseline: str) -> tuple[str, str] | None:
    """Return the two models whose comparison answers most, of `models` (best first, the baseline among them).

    One model is compared with the baseline, of checkpoints of one training the newest; of other models the best is
    compared with the second. To call it better at 5 % is right although it was chosen for being first (Hung and
    Fithian, "Rank verification for exponential families", Annals of Statistics 47, 2019).
    """
    others = [model for model in models if model != baseline]
    if not others:
        return None
    if len(others) > 1:
        steps = {model: step for model in others if (step := step_of_name(model)) is not None}
        if len(steps) < len(others) or len(set(map(series_of_name, others))) > 1:
            return models[0], models[1]
        return max(others, key=steps.__getitem__), baseline
    return (others[0], baseline) if baseline in models else None


def _limits_of_scores(ratings: Ratings, a: int, b: int, found: PairedDifference) -> tuple[float, float] | None:
    """Return the 95 % limits of a difference from the baseline as those of the score less 50; None for other pairs."""
    baseline, table = ratings.table.baseline, ratings.table
    model = b if a == baseline else a
    is_whole = found.questions == table.questions_of_models()[model]
    if not table.against_baseline_only or baseline not in (a, b) or not is_whole:
        return None
    below, above = 100.0 * float(ratings.lower[model]) - 50.0, 100.0 * float(ratings.upper[model]) - 50.0
    return (below, above) if b == baseline else (-above, -below)


def _within(limits: tuple[float, float], margin: float) -> bool:
    return -margin < limits[0] and limits[1] < margin


def _widened(
    limits: tuple[float, float],
    points: tuple[FloatArray, FloatArray, float],
    *,
    is_baseline: tuple[bool, bool],
) -> tuple[float, float]:
    """Return limits in points, no narrower than those that allow for outcomes that were not observed."""
    first, second, largest = points
    if is_baseline[0]:
        found = difference(second[:, 0], second[:, 1], None, ALPHA, largest)
        lower, upper = -found.upper, -found.lower
    else:
        reference = None if is_baseline[1] else (second[:, 0], second[:, 1])
        found = difference(first[:, 0], first[:, 1], reference, ALPHA, largest)
        lower, upper = found.lower, found.upper
    return min(limits[0], 100.0 * lower), max(limits[1], 100.0 * upper)


def missing_questions(spread: float, questions: int, half_width: float, margin: float | None) -> tuple[float, int]:
    """Return the half-width to reach, and how many more questions it takes.

    Args:
        spread: standard error of the difference on one question, in points; 0 where no question differs from another.
        half_width: half the width of the limits on the questions seen.
    """
    wanted = (
        margin if margin is not None else next((each for each in HALF_WIDTHS if each < half_width), HALF_WIDTHS[-1])
    )
    if half_width <= wanted:
        return wanted, 0
    if spread <= _NOTHING:  # limits are those of a share of questions unlike all that were seen
        needed = math.ceil(math.log(ALPHA / 2.0) / math.log1p(-wanted / 100.0))
    else:
        needed = math.ceil((student_quantile(questions - 1) * spread / wanted) ** 2)
        needed = math.ceil((student_quantile(max(needed, 2) - 1) * spread / wanted) ** 2)
    return wanted, max(0, needed - questions)
