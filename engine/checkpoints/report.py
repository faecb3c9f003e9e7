"""What is reported of a checkpoint, and what a watch reports meanwhile."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from engine.events import NoticeLevel
from engine.ratings.stop_rule import Standing

CheckpointState: TypeAlias = Literal[
    "waiting", "evaluating", "evaluated", "deleted", "failed", "refused", "interrupted"
]


class BestComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint against the best so far, on the questions of both, with limits that stay valid at every look."""

    model: str
    step: int | None
    standing: Standing


class CheckpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint.

    Attributes:
        state: "evaluated" where the stop rule needs nothing more; "deleted" where its folder went before that.
        standing: against the baseline; None before the first judgment.
        alpha: the probability of a wrong decision that was spent on it: all checkpoints of a training share that of
            the rule. None where the report is not of this evaluation.
        best: the comparison with the best of those evaluated before it; None for the first.
        is_best: it is the best so far now.
        calls: made for it by this evaluation, answers and judge calls.
        waited: seconds from the last file of its folder (where that is older than the watch: from when it was seen
            complete) until its evaluation began.
        seconds: of its evaluation; `seconds_of_calls` are those of them with a call in flight.
        message: why it is not evaluated, in words.
    """

    model: str
    step: int | None
    path: str
    kind: str
    state: CheckpointState
    baseline: str
    standing: Standing | None = None
    alpha: float | None = None
    best: BestComparison | None = None
    is_best: bool = False
    calls: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    seconds_of_calls: float = 0.0
    message: str = ""


class WatchNotice(msgspec.Struct, frozen=True):
    """One line for people."""

    level: NoticeLevel
    text: str


WatchEvent: TypeAlias = CheckpointReport | WatchNotice
