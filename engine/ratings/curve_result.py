"""What a curve says, exactly as the JSON output has it: its points, the plateau and the step to keep."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

LimitsUntil: TypeAlias = Literal["fixed", "any time"]
"""What limits hold for: one look at a number of questions that was fixed, or whenever judging was stopped."""
GainWord: TypeAlias = Literal["better", "worse", "undecided"]


class StepModel(msgspec.Struct, frozen=True):
    """A checkpoint: its name and its training step."""

    model: str
    step: int


class StepGain(msgspec.Struct, frozen=True, kw_only=True):
    """A step less an earlier one, in points, on the questions in common; the limits hold for all gains of a curve.

    `p_value` is adjusted for their number; None where judging was stopped early.
    """

    over: int
    difference: float
    lower: float
    upper: float
    p_value: float | None
    verdict: GainWord
    questions: int


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint: score in percent, with limits that hold for all points of the curve at once.

    Attributes:
        gain: over the first step; None for that itself, and without questions in common.
        can_be_best: whether it is in the set that holds the best step with 95 % probability.
        first_share: in which part of resampled question sets its score is the highest (not a probability of being the
            best).
    """

    step: int
    model: str
    score: float
    lower: float
    upper: float
    questions: int
    limits: LimitsUntil
    gain: StepGain | None
    can_be_best: bool
    first_share: float


class Plateau(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the training has stopped improving.

    Attributes:
        since: the earliest step that is shown to be followed by no better one; None where none is.
        margin: by how many points none is better.
        upper: by how many points a later step can be better than the best until `since` (without it: until the best
            step), 95 % limit.
        later_steps: how many steps come later.
        more_questions: about how many more would show it, if the later steps are as good as they look; None where they
            look better by the margin, or nothing is missing.
    """

    since: int | None
    margin: float
    upper: float
    later_steps: int
    more_questions: int | None


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """The step to keep: the highest score; where steps were judged on different questions, of those that can be the
    best the one with the highest lower limit.

    Attributes:
        loss: points that it loses at most against the best of all steps, with 95 % confidence (0: it is the best).
        candidates: the steps of which the best is one with 95 % probability.
    """

    step: int
    model: str
    loss: float
    candidates: list[int]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One training: its checkpoints by step, and what they show. `gain` is that of the best step over the first."""

    series: str
    points: list[CurvePoint]
    best: int
    gain: StepGain | None
    plateau: Plateau
    keep: Keep
    questions: int
    warnings: list[str]


class CurveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The curves of all trainings of a bench, by the names of their series; `margin` in points."""

    bench: str
    judges: list[str]
    baseline: str
    margin: float
    weight: int
    seed: int
    curves: list[Curve]
    warnings: list[str]
