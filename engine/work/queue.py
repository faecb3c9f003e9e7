"""Where a lane gets its units from: a queue that may still grow, and that knows which of its units comes next.

From answers that were saved to games that can be played: two stages that go on side by side.

A judgment's job is born the moment both of its answers are on disk; whether its judge is already there to play it is no
concern of the pipeline. So the same code serves a run whose servers all listen at once, and one that swaps the model on
its only GPU between the stages: there the games pile up until the judge has come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain, count
from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec

from engine.events import Event, RecordFailed, RecordSaved, Stage, TaskKey, TaskPlanned
from engine.records import Question
from engine.work.jobs import AnswerJob, JudgeJob, OpenChoice, OpenGame
from engine.work.plan import Plan
from engine.work.stopping import Demand
from engine.work.tasks import Task

UnitT = TypeVar("UnitT")

Order: TypeAlias = tuple[int, ...]


class UnitSource(Protocol[UnitT]):
    """What a lane asks for units: `take` gives one if there is one, `more` waits for another, `stop` ends it. A unit
    that was taken and not played to its end is passed over."""

    def take(self) -> UnitT | None: ...

    async def more(self) -> bool: ...

    def stop(self) -> None: ...

    def pass_over(self, unit: UnitT) -> None: ...


def _zero(_unit: object) -> Order:
    return (0,)


def _always(_unit: object) -> bool:
    return True


class WorkQueue(Generic[UnitT]):
    """Units in the order of `order`, the lowest first and equal ones as they came; more may be put in until `finish`.

    `wanted` is asked when a unit's turn has come: one that is not wanted any more is passed over, and `dropped` told.
    Units of an order at or above `set_bound`'s wait until the bound is raised.
    """

    def __init__(
        self,
        units: Iterable[UnitT] = (),
        *,
        order: Callable[[UnitT], Order] = _zero,
        wanted: Callable[[UnitT], bool] = _always,
        dropped: Callable[[UnitT], object] = _always,
    ) -> None:
        self._order = order
        self._wanted = wanted
        self._dropped = dropped
        self._heap: list[tuple[Order, int, UnitT]] = []
        self._serial = count()
        self._bound: Order | None = None
        self._finished = False
        self._stopped = False
        self._changed = asyncio.Event()
        self.put(units)

    def __len__(self) -> int:
        return len(self._heap)

    def is_over(self) -> bool:
        """Whether there is no unit left that is wanted, and none will come."""
        return self._stopped or (not self._has_next() and self._finished and not self._heap)

    def put(self, units: Iterable[UnitT]) -> None:
        """Add units."""
        for unit in units:
            heappush(self._heap, (self._order(unit), next(self._serial), unit))
        self._changed.set()

    def finish(self) -> None:
        """Nothing more will be put in: the queue ends with its last unit."""
        self._finished = True
        self._changed.set()

    def stop(self) -> None:
        """Give out nothing more, whatever is left."""
        self._stopped = True
        self._changed.set()

    def pass_over(self, unit: UnitT) -> None:
        """A unit that was taken is not wanted any more, or cannot be played."""
        self._dropped(unit)

    def set_bound(self, bound: Order | None) -> None:
        """Hold back units of an order that is not below `bound`; None holds back none."""
        self._bound = bound
        self._changed.set()

    def look_again(self) -> None:
        """Something that `wanted` tells has changed."""
        self._changed.set()

    def take(self) -> UnitT | None:
        """The next unit, or None if there is none now (see `more`)."""
        if self._stopped or not self._has_next():
            return None
        return heappop(self._heap)[2]

    async def more(self) -> bool:
        """Wait until there is another unit; False when there will be none."""
        while not self._stopped:
            if self._has_next():
                return True
            if self._finished and not self._heap:
                return False
            self._changed.clear()
            await self._changed.wait()
        return False

    def _has_next(self) -> bool:
        while self._heap:
            order, _, unit = self._heap[0]
            if self._wanted(unit):
                return self._bound is None or order < self._bound
            heappop(self._heap)
            self._dropped(unit)
        return False


def listed(units: Iterable[UnitT]) -> WorkQueue[UnitT]:
    """A queue of just these units, in this order."""
    queue = WorkQueue(units)
    queue.finish()
    return queue


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
        plan: Plan,
        announce: Callable[[Event], None],
        demand: Demand,
    ) -> None:
        self._announce = announce
        self._demand = demand
        self._baseline = plan.participants.baseline
        self._rank = {question.id: rank for rank, question in enumerate(plan.questions)}
        self._planned = {
            task.key: TaskPlanned(task.key, task.total, task.cached, task.stale)
            for task in (*plan.answers, *plan.judgments)
        }
        self._coming: dict[Side, AnswerJob] = {}
        self._fresh: dict[Side, tuple[str, ...]] = {}
        self._waiting: dict[Side, list[tuple[Task, Question]]] = {}
        self._unborn: Counter[str] = Counter()  # games of each judge that wait for an answer
        self._refused: set[Side] = set()
        self.answers = {task.key.model: self._answer_queue(task) for task in plan.answers if task.jobs}
        judged = list(dict.fromkeys(task.key.model for task in plan.judgments))
        order = question_major(plan.questions, judged, plan.participants.baselines)
        self.games: dict[str, WorkQueue[OpenGame]] = {
            task.key.judge: WorkQueue(order=order, wanted=demand.wants)
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

    def _queues(self) -> Iterable[WorkQueue[OpenChoice] | WorkQueue[OpenGame]]:
        return chain(self.answers.values(), self.games.values())

    def _answer_queue(self, task: Task) -> WorkQueue[OpenChoice]:
        jobs = [job for job in task.jobs if isinstance(job, AnswerJob)]
        self._coming |= {(job.task.model, job.question.id): job for job in jobs}
        queue = WorkQueue(
            chain.from_iterable(job.open_parts() for job in jobs),
            order=lambda unit: (self._rank[unit.job.question.id], unit.index),
            wanted=self._demand.wants,
            dropped=self._answer_dropped,
        )
        queue.finish()
        return queue

    def _take_up(self, task: Task) -> None:
        """Queue the games of a judge on one model, and note which answers the others wait for."""
        for job in task.jobs:
            if isinstance(job, JudgeJob):
                self.games[task.key.judge].put(job.open_parts())
        for question in task.awaited:
            self._unborn[task.key.judge] += 1
            for side in self._sides(task.key, question) & self._coming.keys():
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
            if not self._sides(task.key, question) & self._coming.keys():
                self._bear(task, question)

    def _bear(self, task: Task, question: Question) -> None:
        """Make the job of a judgment, now that it is known which answers there are."""
        key = task.key
        sides = (key.baseline or self._baseline, key.model)
        theirs, ours = (self._fresh.get((model, question.id)) for model in sides)
        settled = task.planner.settle(question, theirs, ours) if task.planner else None
        if isinstance(settled, JudgeJob):
            if key.judge in self.games:
                self.games[key.judge].put(settled.open_parts())
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

    def _answer_dropped(self, unit: OpenChoice) -> None:
        side = unit.job.task.model, unit.job.question.id
        self._refused.add(side)
        self._answer_settled(side)

    def _plan_again(self, planned: TaskPlanned) -> None:
        self._planned[planned.task] = planned
        self._announce(planned)

    def _set_bounds(self) -> None:
        stages: tuple[tuple[Stage, Iterable[WorkQueue[OpenChoice] | WorkQueue[OpenGame]]], ...] = (
            ("answers", self.answers.values()),
            ("judgments", self.games.values()),
        )
        for stage, queues in stages:
            rank = self._demand.limit(stage)
            for queue in queues:
                queue.set_bound(None if rank is None else (rank,))


def question_major(
    questions: Sequence[Question], models: Sequence[str], baselines: Sequence[str] = ()
) -> Callable[[OpenGame], tuple[int, ...]]:
    """Where a judge call stands: games of one question next to each other, in the order of `questions`; first every
    game 1, whose prompts share the question and a baseline's answer as their prefix (a server's prefix cache then
    computes it once), then every game 2.

    Within these, games with the same answer in front go together, baselines and models in the order of theirs.
    """
    question_rank = {question.id: rank for rank, question in enumerate(questions)}
    model_rank = {model: rank for rank, model in enumerate(models)}
    baseline_rank = {baseline: rank for rank, baseline in enumerate(baselines)}

    def place(unit: OpenGame) -> tuple[int, ...]:
        sides = baseline_rank.get(unit.job.baseline, 0), model_rank[unit.job.task.model]
        in_front, behind = sides if unit.number == 1 else sides[::-1]
        return question_rank[unit.job.question.id], unit.number, in_front, behind

    return place
