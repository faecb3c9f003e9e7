"""From answers that were saved to games that can be played: two stages that go on side by side.

A judgment's job is born the moment both of its answers are on disk; whether its judge is already there to play it is no
concern of the pipeline. So the same code serves a run whose servers all listen at once, and one that swaps the model on
its only GPU between the stages: there the games pile up until the judge has come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeAlias

import msgspec

from engine.events import Event, RecordFailed, RecordSaved, Stage, TaskKey, TaskPlanned
from engine.records import Question
from engine.work.demand import Demand
from engine.work.jobs import AnswerJob, AnswerUnit, GameUnit, JudgeJob
from engine.work.order import question_major
from engine.work.plan import TaskPlan
from engine.work.sources import UnitQueue
from engine.work.survey import Survey

Side: TypeAlias = tuple[str, str]  # a model and a question id


class Pipeline:
    """The units of a survey in one queue for each model that answers and one for each judge, the latter growing.

    `heard` must see every event of the run. `announce` gets a TaskPlanned wherever there will be another number of
    judgments than planned: an answer that failed is not judged, one that came out as before may have its judgment.
    `demand` is asked when a unit's turn has come (call `look_again` when it would say something else than before); what
    it refuses stays unmade without a word from here.
    """

    def __init__(
        self,
        plan: Survey,
        announce: Callable[[Event], None],
        demand: Demand,
    ) -> None:
        self._announce = announce
        self._demand = demand
        self._baseline = plan.roster.baseline
        self._rank = {question.id: rank for rank, question in enumerate(plan.questions)}
        self._planned = {
            task.task: TaskPlanned(task.task, task.total, task.cached, task.stale)
            for task in (*plan.answers, *plan.judgments)
        }
        self._coming: dict[Side, AnswerJob] = {}
        self._fresh: dict[Side, tuple[str, ...]] = {}
        self._waiting: dict[Side, list[tuple[TaskPlan, Question]]] = {}
        self._unborn: Counter[str] = Counter()  # games of each judge that wait for an answer
        self._refused: set[Side] = set()
        self.answers = {task.task.model: self._answer_queue(task) for task in plan.answers if task.jobs}
        judged = list(dict.fromkeys(task.task.model for task in plan.judgments))
        order = question_major(plan.questions, judged, plan.roster.baselines)
        self.games: dict[str, UnitQueue[GameUnit]] = {
            task.task.judge: UnitQueue(order=order, wanted=demand.wants)
            for task in plan.judgments
            if task.jobs or task.awaited
        }
        for task in plan.judgments:
            self._take_up(task)
        for judge, games in self.games.items():
            if not self._unborn[judge]:
                games.finish()
        self._set_bounds()

    def heard(self, event: Event) -> None:
        """Follow the run: an answer that is there, or will never be."""
        if isinstance(event, RecordSaved | RecordFailed) and event.task.stage == "answers":
            self._answer_settled((event.task.model, event.question_id))

    def withdraw_model(self, model: str) -> None:
        """Nobody gives the missing answers of `model`: what waits for them is judged without, or not at all."""
        self.answers.pop(model, None)
        for side in [side for side in self._coming if side[0] == model]:
            self._answer_settled(side)

    def withdraw_judge(self, judge: str) -> None:
        """Nobody plays the games of `judge`; they stay to be done."""
        self.games.pop(judge, None)
        self._demand.judge_lost(judge)

    def judge_waits(self, judge: str) -> None:
        """The judge can only be called once all answers are made."""
        self._demand.judge_waits(judge)

    def has_work(self, name: str) -> bool:
        """Whether a model has units left that are wanted, or may get some."""
        queues = (self.answers.get(name), self.games.get(name))
        return any(queue is not None and not queue.is_over() for queue in queues)

    def look_again(self) -> None:
        """The demand may say something else than before."""
        self._set_bounds()
        for queue in self._queues():
            queue.look_again()

    def stop(self) -> None:
        """Give out nothing more."""
        for queue in self._queues():
            queue.stop()

    def _queues(self) -> Iterable[UnitQueue[AnswerUnit] | UnitQueue[GameUnit]]:
        return chain(self.answers.values(), self.games.values())

    def _answer_queue(self, task: TaskPlan) -> UnitQueue[AnswerUnit]:
        jobs = [job for job in task.jobs if isinstance(job, AnswerJob)]
        self._coming |= {(job.task.model, job.question.id): job for job in jobs}
        queue = UnitQueue(
            chain.from_iterable(job.units() for job in jobs),
            order=lambda unit: (self._rank[unit.job.question.id], unit.index),
            wanted=self._demand.wants,
            dropped=self._answer_dropped,
        )
        queue.finish()
        return queue

    def _take_up(self, task: TaskPlan) -> None:
        """Queue the games of a judge on one model, and note which answers the others wait for."""
        for job in task.jobs:
            if isinstance(job, JudgeJob):
                self.games[task.task.judge].put(job.units())
        for question in task.awaited:
            self._unborn[task.task.judge] += 1
            for side in self._sides(task.task, question) & self._coming.keys():
                self._waiting.setdefault(side, []).append((task, question))

    def _sides(self, task: TaskKey, question: Question) -> set[Side]:
        """The two answers that a judgment compares."""
        return {(task.model, question.id), (task.baseline or self._baseline, question.id)}

    def _answer_settled(self, side: Side) -> None:
        """An answer is on disk, or will not be made: so settle every judgment that waited for nothing else."""
        job = self._coming.pop(side, None)
        if job is None:
            return
        if job.is_whole:
            self._fresh[side] = tuple(turn.content for turn in job.parts[0].choice.turns)
        for task, question in self._waiting.pop(side, ()):
            if not self._sides(task.task, question) & self._coming.keys():
                self._bear(task, question)

    def _bear(self, task: TaskPlan, question: Question) -> None:
        """Make the job of a judgment, now that it is known which answers there are."""
        key = task.task
        sides = (key.baseline or self._baseline, key.model)
        theirs, ours = (self._fresh.get((model, question.id)) for model in sides)
        settled = task.planner.settle(question, theirs, ours) if task.planner else None
        if isinstance(settled, JudgeJob):
            if key.judge in self.games:
                self.games[key.judge].put(settled.units())
        elif settled is None:
            if not self._sides(key, question) & self._refused:
                planned = self._planned[key]
                self._plan_again(msgspec.structs.replace(planned, total=planned.total - 1))
            self._demand.gone(key, question.id)
        else:
            planned = self._planned[key]
            stale = planned.stale + (task.planner is not None and task.planner.is_stale(settled))
            self._plan_again(msgspec.structs.replace(planned, cached=planned.cached + 1, stale=stale))
            self._demand.found(key, question.id, settled.labels)
        self._unborn[key.judge] -= 1
        if not self._unborn[key.judge] and key.judge in self.games:
            self.games[key.judge].finish()

    def _answer_dropped(self, unit: AnswerUnit) -> None:
        side = unit.job.task.model, unit.job.question.id
        self._refused.add(side)
        self._answer_settled(side)

    def _plan_again(self, planned: TaskPlanned) -> None:
        self._planned[planned.task] = planned
        self._announce(planned)

    def _set_bounds(self) -> None:
        stages: tuple[tuple[Stage, Iterable[UnitQueue[AnswerUnit] | UnitQueue[GameUnit]]], ...] = (
            ("answers", self.answers.values()),
            ("judgments", self.games.values()),
        )
        for stage, queues in stages:
            rank = self._demand.limit(stage)
            for queue in queues:
                queue.set_bound(None if rank is None else (rank,))
