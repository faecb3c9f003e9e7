"""What a curve shows, in words: the best step so far, whether the training has stopped improving, the step to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena_tui.safe_text import one_line

if TYPE_CHECKING:
    from engine.ratings.curve_result import Curve, CurvePoint, StepGain

_MOST_LISTED = 5
HOLDS = (
    "Bands, gains, the steps that can be the best and the plateau each hold for all steps of a curve at once with 95% "
    "confidence, for one look at questions whose number did not depend on the results; p-values are adjusted step-down."
)


def step_words(step: int) -> str:
    """Return a step with its thousands apart."""
    return f"{step:,}"


def short_step(step: int) -> str:
    """Return a step in few columns where that says it exactly: 12k, 1.5k, 2M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if step >= size and step % (size // 10) == 0:
            return f"{step / size:g}{unit}"
    return str(step)


def curve_words(curve: Curve, *, brief: bool = False) -> list[str]:
    """Return three sentences without full stops: the best step, the plateau, the step to keep; `brief` ones with less
    detail."""
    return [best_words(curve), plateau_words(curve, brief=brief), keep_words(curve, brief=brief)]


def best_words(curve: Curve) -> str:
    point = best_point(curve)
    text = f"best so far: step {step_words(curve.best)}, score {point.score:.1f} [{point.lower:.1f}, {point.upper:.1f}]"
    if curve.gain is None:
        return f"{text}, the first step"
    return f"{text} ({gain_words(curve.gain)} over step {step_words(curve.gain.over)})"


def gain_words(gain: StepGain) -> str:
    return f"{gain.difference:+.1f} points [{gain.lower:.1f}, {gain.upper:.1f}]"


def plateau_words(curve: Curve, *, brief: bool = False) -> str:
    plateau, best = curve.plateau, step_words(curve.best)
    margin = f"{plateau.margin:g} point{'' if plateau.margin == 1 else 's'}"
    if plateau.since is not None:
        count = plateau.later_steps
        later = f"the {count} later steps are" if count > 1 else "the one later step is"
        if brief:
            return f"no further improvement since step {step_words(plateau.since)} beyond {margin}"
        limit = f"better by at most {plateau.upper:.1f}" if plateau.upper > 0.0 else "surely not better"
        return f"no further improvement since step {step_words(plateau.since)} beyond {margin}: {later} {limit}"
    if not plateau.later_steps:
        return f"no plateau shown: step {best} is the last one"
    text = f"no plateau shown: a later step may be better than step {best} by up to {plateau.upper:.1f} points"
    if plateau.more_questions and not brief:
        text += f"; about {plateau.more_questions:,} more questions to exclude {margin}"
    return text


def keep_words(curve: Curve, *, brief: bool = False) -> str:
    keep = curve.keep
    start = f"keep step {step_words(keep.step)}"
    if keep.candidates == [keep.step]:
        return f"{start}: the best of these steps with 95% confidence"
    if brief:
        return f"{start}: loses at most {keep.loss:.1f} points (95%); {_candidates(keep.candidates, len(curve.points))}"
    share = next(point.first_share for point in curve.points if point.model == keep.model)
    return (
        f"{start}: it loses at most {keep.loss:.1f} points against the best of these steps with 95% confidence; "
        f"{_candidates(keep.candidates, len(curve.points))} (highest in {share:.0%} of resampled question sets)"
    )


def _candidates(steps: Sequence[int], count: int) -> str:
    if len(steps) == count:
        return f"none of the {count} steps is excluded as the best"
    if len(steps) > _MOST_LISTED:
        return f"the best is one of {len(steps)} of {count} steps"
    listed = ", ".join(map(step_words, steps[:-1]))
    return f"the best is step {listed} or {step_words(steps[-1])}"


def best_point(curve: Curve) -> CurvePoint:
    """Return the best point; of several at one step the one to keep."""
    return next(point for point in curve.points if point.model == curve.keep.model)


def title_words(curve: Curve) -> str:
    """Return the name of the training with its number of checkpoints and questions."""
    return f"{one_line(curve.series)}: {len(curve.points)} checkpoints, {curve.questions:,} questions"
