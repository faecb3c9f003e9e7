"""What a run with a stop rule (`--until`) still wants: fed by its events, asked before every unit and every call.

Nothing is decided on fewer than 30 questions, so those may all be begun at once. After that work runs ahead of what has
counted by a quarter of it: enough to keep servers busy, and little to lose when the verdict comes.

What is still wanted of the work that a plan holds. A pipeline asks; a run that carries out all of it wants all.

What a stop rule can spare of a plan, told before the first call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from engine.errors import UsageProblem
from engine.events import Event, RecordFailed, RecordSaved, Stage, StandingChanged, StopRuleSet, TaskKey, TaskStopped
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import Standing, StopRule
from engine.records import Label
from engine.work.jobs import GAME_NUMBERS, JudgeJob, OpenPart
from engine.work.plan import Plan
from engine.work.tasks import Task

LEAST_AHEAD = 10  # questions


class EarlyStop:
    """The demand of one run. What the bench holds already counts as if the run had made it.

    `emit` gets the events that tell of standings and of stopped tasks; `changed` is called when units that had to wait
    may go on, or are no longer wanted. Raises UsageProblem for a rule whose opponent is not judged, where nobody is
    judged, and where there are several baselines.
    """

    def __init__(self, rule: StopRule, found: Plan, emit: Callable[[Event], None]) -> None:
        participants = found.participants
        judged = participants.judged_against(participants.baseline)
        if not found.judging or not judged:
            raise UsageProblem(f"--until {rule}: nothing is judged in this run", "only judgments can decide")
        if len(participants.baselines) > 1:
            raise UsageProblem(
                f"--until {rule}: {len(participants.baselines)} baselines, but models are decided against one",
                "name one as judge.baseline, or judge without --until",
            )
        self.changed: Callable[[], None] = lambda: None
        self.calls = sum(map(_calls_made, found.judgments))
        self.decider = Decider(
            rule,
            judged,
            baseline=participants.baseline,
            order=[question.id for question in found.questions],
            judges=len(found.judging),
        )
        self._rule = rule
        self._emit = emit
        self._baseline = participants.baseline
        self._judged = tuple(judged)
        self._tasks = [task.key for task in (*found.answers, *found.judgments) if task.jobs or task.awaited]
        self._stopped: set[TaskKey] = set()
        self._judges = len(found.judging)
        self._answers_first = False
        self._most_answers: int | None = None  # questions, where all answers come first
        self._lost = False
        self._over = False
        self._exhausted = False
        emit(StopRuleSet(str(rule), rule.opponent or participants.baseline))
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

    def wants(self, unit: OpenPart) -> bool:
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

    def _take_what_is_there(self, task: Task, ids: set[str]) -> None:
        key = task.key
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


def _calls_made(task: Task) -> int:
    """Judge calls that the bench holds of a task with questions left: one a game, more for unfinished ones that were
    asked again. A task that is whole costs this run nothing, so it takes nothing of its budget."""
    if not task.jobs and not task.awaited:
        return 0
    unfinished = sum(part.game.asks for job in task.jobs if isinstance(job, JudgeJob) for part in job.parts.values())
    return len(GAME_NUMBERS) * task.cached + unfinished


class Demand(Protocol):
    """Who says what is wanted. What it says may change while the work goes on."""

    def wants(self, unit: OpenPart) -> bool:
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

    def wants(self, unit: OpenPart) -> bool:
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


class StopForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a plan under a rule, answers and judgments together.

    Attributes:
        rule: in its words.
        fewest: where every verdict comes at the first look; `most` where none comes.
        whole: what the plan takes without a rule.
        settled: models that the bench has settled already.
    """

    rule: StopRule
    opponent: str
    fewest: int
    most: int
    whole: int
    settled: Mapping[str, Standing]


def stop_forecast(rule: StopRule, found: Plan) -> StopForecast:
    """Forecast a run of `found` under `rule`. Raises UsageProblem for a rule that the plan cannot have."""
    standings: dict[str, Standing] = {}

    def hear(event: Event) -> None:
        if isinstance(event, StandingChanged):
            standings[event.model] = event.standing

    stop = EarlyStop(rule, found, hear)
    rank = {question.id: at for at, question in enumerate(found.questions)}
    baseline = found.participants.baseline
    open_models = [model for model in standings if not stop.decider.is_settled(model)]
    needed = {model: max(MINIMUM_QUESTIONS, stop.decider.counted(model) + 1) for model in open_models}
    if open_models:
        needed[baseline] = max(needed.values())
    left = max(0, rule.calls - stop.calls) if rule.calls is not None else None

    def calls(task: Task, *, within: float) -> int:
        made = sum(job.calls() for job in task.jobs if rank[job.question.id] < within)
        return made + 2 * sum(rank[question.id] < within for question in task.awaited)

    fewest = most = 0
    for tasks in (found.answers, found.judgments):
        useful = [task for task in tasks if task.key.model in needed or task.key.model not in (baseline, *standings)]
        at_least = sum(calls(task, within=needed.get(task.key.model, len(rank))) for task in useful)
        at_most = sum(calls(task, within=len(rank)) for task in useful)
        if left is not None and tasks is found.judgments:
            at_least, at_most = min(at_least, left), min(at_most, left)
        fewest, most = fewest + at_least, most + at_most
    if not rule.decided and rule.half_width is None and rule.minutes is None:
        fewest = most
    return StopForecast(
        rule=rule,
        opponent=rule.opponent or baseline,
        fewest=0 if rule.minutes is not None else fewest,
        most=most,
        whole=found.calls,
        settled={model: known for model, known in standings.items() if model not in open_models},
    )
