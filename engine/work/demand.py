"""What is still wanted of the work that a plan holds. A pipeline asks; a run that carries out all of it wants all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.events import Stage, TaskKey
from engine.records import Label
from engine.work.jobs import Unit


class Demand(Protocol):
    """Who says what is wanted. What it says may change while the work goes on."""

    def wants(self, unit: Unit) -> bool:
        """Whether the unit may be begun; once it may not, it never may again."""

    def limit(self, stage: Stage) -> int | None:
        """The rank (from 0, in the order of the questions) from which units of the stage must wait; None: no such."""

    def permits(self, task: TaskKey | None) -> bool:
        """Whether a request for the task may go out now. One that may is taken as sent."""

    def found(self, task: TaskKey, question_id: str, labels: Sequence[Label | None]) -> None:
        """A judgment that was thought to be missing is there after all."""

    def gone(self, task: TaskKey, question_id: str) -> None:
        """A judgment will not be made, for lack of an answer."""

    def judge_waits(self, judge: str) -> None:
        """The judge can be called only when all answers are made."""

    def judge_lost(self, judge: str) -> None:
        """The judge cannot be called at all."""


class Everything:
    """Wants all of it, in no hurry."""

    def wants(self, unit: Unit) -> bool:
        return True

    def limit(self, stage: Stage) -> int | None:
        return None

    def permits(self, task: TaskKey | None) -> bool:
        return True

    def found(self, task: TaskKey, question_id: str, labels: Sequence[Label | None]) -> None:
        pass

    def gone(self, task: TaskKey, question_id: str) -> None:
        pass

    def judge_waits(self, judge: str) -> None:
        pass

    def judge_lost(self, judge: str) -> None:
        pass
