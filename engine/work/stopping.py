"""The stop rule of a run (`until`): which work it still wants, and a forecast of what it saves.

Work runs ahead of what has counted by a quarter of it, and by 10 questions at least: enough to keep servers busy, and
little to lose when the decision comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.errors import UsageProblem
from engine.events import Event, RecordFailed, RecordSaved, Stage, StandingChanged, StopRuleSet, TaskKey, TaskStopped
from engine.labels import Label
from engine.ratings import FEWEST_QUESTIONS
from engine.ratings.stop_rule import ErrorControl, Standing, StopRule
from engine.work.jobs import GAME_NUMBERS, JudgeJob, OpenPart
from engine.work.plan import Plan
from engine.work.tasks import Task

LEAST_AHEAD = 10  # questions


class Stopping:
    """What a run wants of its plan: everything. `revision` changes whenever an answer below would change."""

    revision = 0
    _expired = False

    def handle(self, event: Event) -> None:
        """Take in an event of the run."""

    def wants(self, part: OpenPart) -> bool:
        """Return whether the part may be started; once it may not, it never may again."""
        return not self._expired

    def limit(self, stage: Stage) -> int | None:
        """Return the rank (from 0, in the order of the questions) from which parts of the stage wait, or None."""
        return None

    def permits(self, task: TaskKey | None) -> bool:
        """Return whether a request for the task may go out now. One that may is counted as sent."""
        return True

    def add_judgment(self, task: TaskKey, question_id: str, labels: Sequence[Label | None]) -> None:
        """Count a judgment on disk."""

    def skip_judgment(self, task: TaskKey, question_id: str) -> None:
        """Stop waiting for a judgment that will not be made."""

    def judge_waits(self, judge: str) -> None:
        """Expect the judge to be available only when all answers are made."""

    def judge_found(self, judge: str) -> None:
        """End a wait for the judge (`judge_waits`): it can be called."""

    def judge_lost(self, judge: str) -> None:
        """Expect no more judgments of the judge: it cannot be called at all."""

    def expire(self) -> None:
        """Start nothing more: time or money is used up."""
        self._expired = True
        self.revision += 1

    def end(self) -> None:
        """Report what is left undecided: all that was in flight has come in."""


class EarlyStop(Stopping):
    """Wants what may still decide. What the bench holds already counts as if the run had made it.

    Where there are several baselines, games against the first decide; those against the others end with them. Where a
    question has several answers or repeats, its first judgment decides.
    `emit` gets the events about standings and stopped tasks. Raises UsageProblem for a rule whose opponent is not
    judged, and where nothing is judged.
    """

    def __init__(self, rule: StopRule, plan: Plan, emit: Callable[[Event], None]) -> None:
        from engine.ratings.sequential import Decider  # numpy: only runs with a stop rule need it

        participants = plan.participants
        judged = participants.judged_against(participants.baseline)
        if not plan.judging or not judged:
            raise UsageProblem(f"stop rule {rule}: nothing is judged in this run", "only judgments can decide")
        self.calls = sum(map(_calls_made, plan.judgments))
        self.decider = Decider(
            rule,
            judged,
            baseline=participants.baseline,
            order=[question.id for question in plan.questions],
            judges=len(plan.judging),
        )
        self._rule = rule
        self._emit = emit
        self._baselines = tuple(participants.baselines)
        self._opponents = len(participants.opponents)
        self._judged = tuple(judged)
        self._tasks = [task.key for task in plan.tasks if task.has_work]
        self._stopped: set[TaskKey] = set()
        self._judges = len(plan.judging)
        self._waits = 0  # for judges: answers do not wait for their judgments
        self._most_answers: int | None = None  # questions, where all answers come first
        self._lost = False
        self._over = False
        self._exhausted = False
        emit(StopRuleSet(str(rule), rule.opponent or participants.baseline, self.decider.error_control))
        ids = {question.id for question in plan.questions}
        for task in plan.judgments:
            self._add_cached(task, ids)
        for model in self._judged:
            self._emit_standing(model)
        self._stop_settled()
        self._check_budget()

    def handle(self, event: Event) -> None:
        if not isinstance(event, RecordSaved | RecordFailed) or event.task.stage != "judgments" or not event.is_first:
            return
        if isinstance(event, RecordSaved):
            self.add_judgment(event.task, event.question_id, event.labels)
        else:
            self.skip_judgment(event.task, event.question_id)

    def add_judgment(self, task: TaskKey, question_id: str, labels: Sequence[Label | None]) -> None:
        if not task.baseline:
            self._after(task.model, self.decider.observe(task.model, question_id, labels, judge=task.judge))

    def skip_judgment(self, task: TaskKey, question_id: str) -> None:
        if not task.baseline and self._is_useful(task):
            self._after(task.model, self.decider.skip(task.model, question_id))

    def wants(self, part: OpenPart) -> bool:
        task = part.job.task
        if not self._is_useful(task):
            return False
        if self._most_answers is None or task.stage == "judgments" or not self._is_contestant(task.model):
            return True
        position = self.decider.position(part.job.question.id)
        return position is None or position < self._most_answers

    def limit(self, stage: Stage) -> int | None:
        """A quarter ahead of the open model that has come furthest.

        There is no limit where nothing is decided any more, nor for answers that all come before the first judgment.
        """
        if self._over or (stage == "answers" and self._waits):
            return None
        counted = max((self.decider.counted(model) for model in self._judged if self._is_open(model)), default=0)
        return counted + max(LEAST_AHEAD, counted // 4)

    def permits(self, task: TaskKey | None) -> bool:
        if task is None:
            return True
        if not self._is_useful(task):
            return False
        if task.stage == "judgments":
            self.calls += 1
            self._check_budget()
        return True

    def judge_waits(self, judge: str) -> None:
        """Let the answers run ahead, but make no more than the budget of calls could have judged if one model got all
        of them."""
        self._waits += 1
        if self._rule.calls is not None and self._most_answers is None:
            counted = max(map(self.decider.counted, self._judged))
            left = max(0, self._rule.calls - self.calls)
            self._most_answers = counted + math.ceil(left / (len(GAME_NUMBERS) * self._judges * self._opponents))
        self.revision += 1

    def judge_found(self, judge: str) -> None:
        self._waits -= 1
        self.revision += 1

    def judge_lost(self, judge: str) -> None:
        """Start nothing more for a decision that cannot come; what is left can be made by a later run."""
        self._lost = self._over = True
        self.revision += 1

    def expire(self) -> None:
        """Start nothing more: a budget is used up. What is in flight may still decide."""
        self._exhausted = True
        self._over = True
        self.revision += 1
        self._stop_settled()

    def end(self) -> None:
        if self._exhausted:
            for model in self.decider.exhaust():
                self._emit_standing(model)

    def _check_budget(self) -> None:
        if self._rule.calls is not None and self.calls >= self._rule.calls:
            self.expire()

    def _is_useful(self, task: TaskKey) -> bool:
        """Return whether the task may still help to decide. Answers of models that are not judged are wanted until time
        is up."""
        if not self._is_contestant(task.model):
            return not self._exhausted
        if task.stage == "answers" and task.model in self._baselines:
            return not self._over and not self.decider.all_settled
        return not self._over and self._is_open(task.model)

    def _is_contestant(self, model: str) -> bool:
        return model in self._baselines or model in self._judged

    def _is_open(self, model: str) -> bool:
        return not self.decider.is_settled(model)

    def _add_cached(self, task: Task, ids: set[str]) -> None:
        key = task.key
        if key.baseline:
            return
        coming = {job.question.id for job in task.jobs} | {question.id for question in task.awaited}
        for question in ids - coming - task.labels.keys():
            self.decider.skip(key.model, question)
        for question, labels in task.labels.items():
            self.decider.observe(key.model, question, labels, judge=key.judge)

    def _after(self, model: str, settled: tuple[str, ...]) -> None:
        """Report the standings of `model` and of those that its judgment settled."""
        self.revision += 1
        for name in dict.fromkeys((model, *settled)):
            self._emit_standing(name)
        if settled:
            self._stop_settled()

    def _emit_standing(self, model: str) -> None:
        if model in self._judged:
            self._emit(StandingChanged(model, self.decider.standing(model)))

    def _stop_settled(self) -> None:
        for task in () if self._lost else self._tasks:
            if task not in self._stopped and not self._is_useful(task):
                self._stopped.add(task)
                self._emit(TaskStopped(task))


def _calls_made(task: Task) -> int:
    """Return the judge calls that the bench holds of a task with questions left: one a game, more for unfinished games
    that were asked again. A task that is whole costs this run nothing, so it takes nothing of its budget."""
    if not task.has_work:
        return 0
    unfinished = sum(part.game.asks for job in task.jobs if isinstance(job, JudgeJob) for part in job.parts.values())
    return len(GAME_NUMBERS) * task.cached + unfinished


class StopForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a plan under a rule, answers and judgments together.

    Attributes:
        rule: the rule.
        fewest: where every decision comes at the first look; `most` where none comes.
        whole: what the plan takes without a rule.
        settled: models that the bench has settled already.
        control: the level that decisions keep.
    """

    rule: StopRule
    opponent: str
    fewest: int
    most: int
    whole: int
    settled: Mapping[str, Standing]
    control: ErrorControl


def stop_forecast(rule: StopRule, plan: Plan) -> StopForecast:
    """Forecast a run of `plan` under `rule`. Raises UsageProblem for a rule that the plan cannot have."""
    standings: dict[str, Standing] = {}

    def collect(event: Event) -> None:
        if isinstance(event, StandingChanged):
            standings[event.model] = event.standing

    stop = EarlyStop(rule, plan, collect)
    rank = {question.id: at for at, question in enumerate(plan.questions)}
    baselines = plan.participants.baselines
    open_models = [model for model in standings if not stop.decider.is_settled(model)]
    needed = {model: max(FEWEST_QUESTIONS, stop.decider.counted(model) + 1) for model in open_models}
    if open_models:
        needed |= dict.fromkeys(baselines, max(needed.values()))
    left = max(0, rule.calls - stop.calls) if rule.calls is not None else None

    def calls(task: Task, *, within: float) -> int:
        made = sum(job.calls() for job in task.jobs if rank[job.question.id] < within)
        return made + sum(task.awaited_calls(question) for question in task.awaited if rank[question.id] < within)

    fewest = most = 0
    for tasks in (plan.answers, plan.judgments):
        useful = [task for task in tasks if task.key.model in needed or task.key.model not in (*baselines, *standings)]
        at_least = sum(calls(task, within=needed.get(task.key.model, len(rank))) for task in useful)
        at_most = sum(calls(task, within=len(rank)) for task in useful)
        if left is not None and tasks is plan.judgments:
            at_least, at_most = min(at_least, left), min(at_most, left)
        fewest, most = fewest + at_least, most + at_most
    if not rule.decided and rule.margin is None and rule.half_width is None and rule.minutes is None:
        fewest = most
    return StopForecast(
        rule=rule,
        opponent=rule.opponent or plan.participants.baseline,
        fewest=0 if rule.minutes is not None else fewest,
        most=most,
        whole=plan.calls,
        settled={model: known for model, known in standings.items() if model not in open_models},
        control=stop.decider.error_control,
    )
