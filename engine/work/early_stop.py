"""What a run with a stop rule (`--until`) still wants: fed by its events, asked before every unit and every call.

Nothing is decided on fewer than 30 questions, so those may all be begun at once. After that work runs ahead of what has
counted by a quarter of it: enough to keep servers busy, and little to lose when the verdict comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.errors import UsageProblem
from engine.events import (
    Event,
    RecordFailed,
    RecordSaved,
    Stage,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskStopped,
)
from engine.ratings.confidence_sequence import MINIMUM_QUESTIONS
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import StopRule
from engine.records import Label
from engine.work.jobs import GAME_NUMBERS, JudgeJob, Unit
from engine.work.plan import TaskPlan
from engine.work.survey import Survey

LEAST_AHEAD = 10  # questions


class EarlyStop:
    """The demand of one run. What the bench holds already counts as if the run had made it.

    `emit` gets the events that tell of standings and of stopped tasks; `changed` is called when units that had to wait
    may go on, or are no longer wanted. Raises UsageProblem for a rule whose opponent is not judged, where nobody is
    judged, and where there are several baselines.
    """

    def __init__(self, rule: StopRule, found: Survey, emit: Callable[[Event], None]) -> None:
        roster = found.roster
        judged = roster.judged_against(roster.baseline)
        if not found.judging or not judged:
            raise UsageProblem(f"--until {rule}: nothing is judged in this run", "only judgments can decide")
        if len(roster.baselines) > 1:
            raise UsageProblem(
                f"--until {rule}: there are {len(roster.baselines)} baselines, and models are decided against one",
                "name one as judge.baseline, or judge without --until",
            )
        self.changed: Callable[[], None] = lambda: None
        self.calls = sum(map(_calls_made, found.judgments))
        self.decider = Decider(
            rule,
            judged,
            baseline=roster.baseline,
            order=[question.id for question in found.questions],
            judges=len(found.judging),
        )
        self._rule = rule
        self._emit = emit
        self._baseline = roster.baseline
        self._judged = tuple(judged)
        self._tasks = [task.task for task in (*found.answers, *found.judgments) if task.jobs or task.awaited]
        self._stopped: set[TaskKey] = set()
        self._judges = len(found.judging)
        self._answers_first = False
        self._most_answers: int | None = None  # questions, where all answers come first
        self._lost = False
        self._over = False
        self._exhausted = False
        emit(StopRuleSet(str(rule), rule.opponent or roster.baseline))
        ids = {question.id for question in found.questions}
        for task in found.judgments:
            self._take_what_is_there(task, ids)
        for model in self._judged:
            self._tell(model)
        self._stop_settled()
        self._watch_budget()

    def heard(self, event: Event) -> None:
        """Take in what the run has just told."""
        if isinstance(event, RecordSaved) and event.task.stage == "judgments":
            self.found(event.task, event.question_id, event.labels)
        elif isinstance(event, RecordFailed) and event.task.stage == "judgments":
            self.gone(event.task, event.question_id)

    def found(self, task: TaskKey, question_id: str, labels: Sequence[Label | None]) -> None:
        """A judgment is on disk."""
        self._after(task.model, self.decider.observe(task.model, question_id, labels, judge=task.judge))

    def gone(self, task: TaskKey, question_id: str) -> None:
        """There will be no judgment on the question: those behind it need not wait for it."""
        if self._serves(task):
            self._after(task.model, self.decider.skip(task.model, question_id))

    def wants(self, unit: Unit) -> bool:
        """Whether the unit may still help to decide, or belongs to no decision at all."""
        task = unit.job.task
        if not self._serves(task):
            return False
        if self._most_answers is None or task.stage == "judgments" or not self._is_contestant(task.model):
            return True
        place = self.decider.place(unit.job.question.id)
        return place is None or place < self._most_answers

    def limit(self, stage: Stage) -> int | None:
        """The rank from which units must wait: a quarter ahead of the open model that has come furthest. Where all
        answers have to be made before the first judgment, they wait for none."""
        if stage == "answers" and self._answers_first:
            return None
        counted = max((self.decider.counted(model) for model in self._judged if self._is_open(model)), default=0)
        return max(MINIMUM_QUESTIONS, counted + max(LEAST_AHEAD, counted // 4))

    def permits(self, task: TaskKey | None) -> bool:
        """Whether a request for `task` may go out now; one to a judge that may is counted."""
        if task is None:
            return True
        if not self._serves(task):
            return False
        if task.stage == "judgments":
            self.calls += 1
            self._watch_budget()
        return True

    def judge_waits(self, judge: str) -> None:
        """No judgment comes before all answers are made: let them run ahead, but make no more than the budget of calls
        could have judged if one model got all of them."""
        self._answers_first = True
        if self._rule.calls is not None and self._most_answers is None:
            counted = max(map(self.decider.counted, self._judged))
            left = max(0, self._rule.calls - self.calls)
            self._most_answers = counted + math.ceil(left / (len(GAME_NUMBERS) * self._judges))
        self.changed()

    def judge_lost(self, judge: str) -> None:
        """Without a judge nothing will be decided: begin nothing more for it. What is left stays to be done."""
        self._lost = self._over = True
        self.changed()

    def expire(self) -> None:
        """A budget is used up: nothing more is begun. What is in flight may still decide."""
        self._exhausted = True
        self._over = True
        self._stop_settled()
        self.changed()

    def end(self) -> None:
        """All that was in flight has come in: tell which models the budget has left open."""
        if self._exhausted:
            for model in self.decider.exhaust():
                self._tell(model)

    def _watch_budget(self) -> None:
        if self._rule.calls is not None and self.calls >= self._rule.calls:
            self.expire()

    def _serves(self, task: TaskKey) -> bool:
        """Whether the task may still help to decide. Answers of models that nobody judges are beside the question, and
        wanted until time is up."""
        if not self._is_contestant(task.model):
            return not self._exhausted
        if task.model == self._baseline:
            return not self._over and not self.decider.all_settled
        return not self._over and self._is_open(task.model)

    def _is_contestant(self, model: str) -> bool:
        return model == self._baseline or model in self._judged

    def _is_open(self, model: str) -> bool:
        return not self.decider.is_settled(model)

    def _take_what_is_there(self, task: TaskPlan, ids: set[str]) -> None:
        key = task.task
        coming = {job.question.id for job in task.jobs} | {question.id for question in task.awaited}
        for question in ids - coming - task.labels.keys():
            self.decider.skip(key.model, question)
        for question, labels in task.labels.items():
            self.decider.observe(key.model, question, labels, judge=key.judge)

    def _after(self, model: str, settled: tuple[str, ...]) -> None:
        for name in dict.fromkeys((model, *settled)):
            self._tell(name)
        if settled:
            self._stop_settled()
        self.changed()

    def _tell(self, model: str) -> None:
        if model in self._judged:
            self._emit(StandingChanged(model, self.decider.standing(model)))

    def _stop_settled(self) -> None:
        for task in () if self._lost else self._tasks:
            if task not in self._stopped and not self._serves(task):
                self._stopped.add(task)
                self._emit(TaskStopped(task))


def _calls_made(task: TaskPlan) -> int:
    """Judge calls that the bench holds of a task with questions left: one a game, more for unfinished ones that were
    asked again. A task that is whole costs this run nothing, so it takes nothing of its budget."""
    if not task.jobs and not task.awaited:
        return 0
    unfinished = sum(part.game.asks for job in task.jobs if isinstance(job, JudgeJob) for part in job.parts.values())
    return len(GAME_NUMBERS) * task.cached + unfinished
