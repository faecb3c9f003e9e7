"""What is made next: a priority queue for each model, and the pipeline that fills them.

Answers and judgments are made side by side. The job of a judgment is created the moment both of its answers are on
disk, whether or not its judge can be called yet: the same code serves a run whose servers all listen at once, and one
that swaps the model on its only GPU between the stages; there the games wait in the queue of their judge.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain, count
from typing import Generic, TypeAlias, TypeVar

from msgspec.structs import replace

from engine.bench.stored import Choices
from engine.events import Event, RecordFailed, RecordSaved, Stage, TaskKey, TaskPlanned
from engine.records import Question
from engine.repeats import FIRST
from engine.work.jobs import AnswerJob, JudgeJob, OpenChoice, OpenGame
from engine.work.plan import Plan
from engine.work.stopping import Stopping
from engine.work.tasks import Task

PartT = TypeVar("PartT")

Order: TypeAlias = tuple[int, ...]
Side: TypeAlias = tuple[str, str]  # a model and a question id
_OF_RECORDS = (RecordSaved, RecordFailed)


class Gate:
    """Whether new calls may be started: open, paused, or closed for good."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.closed = False

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.closed = True
        self._open.set()

    async def passed(self) -> bool:
        """Wait while paused; return False once closed."""
        await self._open.wait()
        return not self.closed


class WorkQueue(Generic[PartT]):
    """Parts of jobs in the order of `order`, the lowest first, equal ones as they came; open until `finish` or `stop`.

    `wanted` is asked when a part's turn has come; a part that is not wanted any more goes to `dropped` instead. Parts
    of an order at or above `set_bound`'s wait until the bound is raised.
    """

    def __init__(
        self,
        parts: Iterable[PartT] = (),
        *,
        order: Callable[[PartT], Order] = lambda _: (0,),
        wanted: Callable[[PartT], bool] = lambda _: True,
        dropped: Callable[[PartT], object] = lambda _: None,
    ) -> None:
        self._order = order
        self._wanted = wanted
        self._dropped = dropped
        self._heap: list[tuple[Order, int, PartT]] = []
        self._serial = count()
        self._bound: Order | None = None
        self._finished = False
        self._stopped = False
        self._changed = asyncio.Event()
        self.put(parts)

    def is_over(self) -> bool:
        """Return whether no wanted part is left and none will come."""
        return self._stopped or (not self._has_next() and self._finished and not self._heap)

    def put(self, parts: Iterable[PartT]) -> None:
        """Add parts."""
        for part in parts:
            heappush(self._heap, (self._order(part), next(self._serial), part))
        self._changed.set()

    def finish(self) -> None:
        """Accept no more parts: the queue ends with its last one."""
        self._finished = True
        self._changed.set()

    def stop(self) -> None:
        """Return no more parts, even if some are left."""
        self._stopped = True
        self._changed.set()

    def drop(self, part: PartT) -> None:
        """Drop a part that was taken: it is not wanted any more, or cannot be made."""
        self._dropped(part)

    def set_bound(self, bound: Order | None) -> None:
        """Hold back parts of an order that is not below `bound` (None: hold back none), and ask `wanted` again."""
        self._bound = bound
        self._changed.set()

    def take(self) -> PartT | None:
        """Return the next part, or None if there is none now (see `more`)."""
        if self._stopped or not self._has_next():
            return None
        return heappop(self._heap)[2]

    async def more(self) -> bool:
        """Wait until there is another part; return False when there will be none."""
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
            order, _, part = self._heap[0]
            if self._wanted(part):
                return self._bound is None or order < self._bound
            heappop(self._heap)
            self._dropped(part)
        return False


def listed(parts: Iterable[PartT]) -> WorkQueue[PartT]:
    """Return a queue of just these parts, in this order."""
    queue = WorkQueue(parts)
    queue.finish()
    return queue


class Pipeline:
    """The open parts of a plan: one queue for each model that answers and one for each judge, which grows.

    `handle` must get every event of the run, after `stopping` did. `emit` gets a TaskPlanned wherever the number of
    judgments changes: an answer that failed is not judged, one with the same text as before may have its judgment.
    What `stopping` does not want stays unmade, without an event.
    """

    def __init__(self, plan: Plan, emit: Callable[[Event], None], stopping: Stopping) -> None:
        self._emit = emit
        self._stopping = stopping
        self._revision = stopping.revision
        self._baseline_of = plan.participants.baseline_of
        self._rank = {question.id: rank for rank, question in enumerate(plan.questions)}
        self._planned = {task.key: planned_event(task) for task in plan.tasks}
        self._coming: dict[Side, AnswerJob] = {}
        self._made: dict[Side, Choices] = {}
        self._waiting: dict[Side, list[tuple[Task, Question]]] = {}
        self._pending: Counter[str] = Counter()  # judgments of each judge that wait for an answer
        self._unwanted: set[Side] = set()
        self.answers = {task.key.model: self._answer_queue(task) for task in plan.answers if task.jobs}
        judged = list(dict.fromkeys(task.key.model for task in plan.judgments))
        order = question_major(plan.questions, judged, plan.participants.baselines)
        self.games: dict[str, WorkQueue[OpenGame]] = {
            task.key.judge: WorkQueue(order=order, wanted=stopping.wants) for task in plan.judgments if task.has_work
        }
        for task in plan.judgments:
            self._queue_games(task)
        for judge, games in self.games.items():
            if not self._pending[judge]:
                games.finish()
        self._recheck()

    @property
    def models(self) -> list[str]:
        """The models with work: those that answer, then the judges."""
        return list(dict.fromkeys((*self.answers, *self.games)))

    def handle(self, event: Event) -> None:
        """Create the judgments of an answer that is there, or will never be; ask the stop rule again if it changed."""
        if isinstance(event, _OF_RECORDS) and event.task.stage == "answers":
            self._answer_settled((event.task.model, event.question_id))
        if self._stopping.revision != self._revision:
            self._recheck()

    def withdraw_model(self, model: str) -> None:
        """Make no more answers of `model`: judge what waits for them without, or not at all."""
        self.answers.pop(model, None)
        for side in [side for side in self._coming if side[0] == model]:
            self._answer_settled(side)

    def withdraw_judge(self, judge: str) -> None:
        """Make no games of `judge`; a later run can."""
        self.games.pop(judge, None)
        self._stopping.judge_lost(judge)
        self._recheck()

    def judge_waits(self, judge: str) -> None:
        """Expect the judge to be available only once all answers are made."""
        self._stopping.judge_waits(judge)
        self._recheck()

    def judge_found(self, judge: str) -> None:
        """End a wait for the judge: it can be called."""
        self._stopping.judge_found(judge)
        self._recheck()

    def expire(self) -> None:
        """End the work as after a last question: time is up."""
        self._stopping.expire()
        self._recheck()

    def has_work(self, name: str) -> bool:
        """Return whether a model has wanted parts left, or may get some."""
        queues = (self.answers.get(name), self.games.get(name))
        return any(queue is not None and not queue.is_over() for queue in queues)

    def permits(self, task: TaskKey | None) -> bool:
        """Return whether a request for the task may go out now. One that may is counted as sent."""
        return self._stopping.permits(task)

    def stop(self) -> None:
        """Return no more parts from any queue."""
        for answers in self.answers.values():
            answers.stop()
        for games in self.games.values():
            games.stop()

    def _answer_queue(self, task: Task) -> WorkQueue[OpenChoice]:
        jobs = [job for job in task.jobs if isinstance(job, AnswerJob)]
        self._coming |= {(job.task.model, job.question.id): job for job in jobs}
        queue = WorkQueue(
            chain.from_iterable(job.open_parts() for job in jobs),
            order=lambda part: (self._rank[part.job.question.id], part.index),
            wanted=self._stopping.wants,
            dropped=self._answer_dropped,
        )
        queue.finish()
        return queue

    def _queue_games(self, task: Task) -> None:
        """Queue the games of a task, and note which answers its other judgments wait for."""
        for job in task.jobs:
            if isinstance(job, JudgeJob):
                self.games[task.key.judge].put(job.open_parts())
        for question in task.awaited:
            self._pending[task.key.judge] += 1
            for side in self._sides(task.key, question) & self._coming.keys():
                self._waiting.setdefault(side, []).append((task, question))

    def _sides(self, task: TaskKey, question: Question) -> set[Side]:
        """Return the two answers that a judgment compares."""
        return {(task.model, question.id), (self._baseline_of(question, task.baseline), question.id)}

    def _answer_settled(self, side: Side) -> None:
        """Settle every judgment that waited for this answer alone: it is on disk, or will not be made."""
        job = self._coming.pop(side, None)
        if job is None:
            return
        if job.is_whole:
            self._made[side] = job.choices()
        for task, question in self._waiting.pop(side, ()):
            if not self._sides(task.key, question) & self._coming.keys():
                self._settle_judgment(task, question)

    def _settle_judgment(self, task: Task, question: Question) -> None:
        """Queue the games of a judgment, now that it is known which answers exist; or find that it needs none."""
        key = task.key
        sides = (self._baseline_of(question, key.baseline), key.model)
        theirs, ours = (self._made.get((model, question.id)) for model in sides)
        settled = task.planner.settle(question, theirs, ours) if task.planner else []
        planned = self._planned[key]
        fewer = (task.planner.expected(question) if task.planner else 1) - len(settled)
        if settled or not self._sides(key, question) & self._unwanted:
            planned = replace(planned, total=planned.total - fewer)
        for replicate, each in settled:
            if isinstance(each, JudgeJob):
                if key.judge in self.games:
                    self.games[key.judge].put(each.open_parts())
                continue
            stale = planned.stale + (task.planner is not None and task.planner.is_stale(each, question))
            planned = replace(planned, cached=planned.cached + 1, stale=stale)
            if replicate == FIRST:
                self._stopping.add_judgment(key, question.id, each.labels)
        if planned != self._planned[key]:
            self._plan_again(planned)
        if not settled:
            self._stopping.skip_judgment(key, question.id)
        self._pending[key.judge] -= 1
        if not self._pending[key.judge] and key.judge in self.games:
            self.games[key.judge].finish()

    def _answer_dropped(self, part: OpenChoice) -> None:
        side = part.job.task.model, part.job.question.id
        self._unwanted.add(side)
        self._answer_settled(side)

    def _plan_again(self, planned: TaskPlanned) -> None:
        self._planned[planned.task] = planned
        self._emit(planned)

    def _recheck(self) -> None:
        """Ask the stop rule again how far each stage may run ahead, and what is wanted."""
        self._revision = self._stopping.revision
        self._set_bounds("answers", self.answers.values())
        self._set_bounds("judgments", self.games.values())

    def _set_bounds(self, stage: Stage, queues: Iterable[WorkQueue[OpenChoice] | WorkQueue[OpenGame]]) -> None:
        rank = self._stopping.limit(stage)
        for queue in queues:
            queue.set_bound(None if rank is None else (rank,))


def planned_event(task: Task) -> TaskPlanned:
    """Return how many records a task has, as the event that reports it."""
    return TaskPlanned(task.key, task.total, task.cached, task.stale)


def question_major(
    questions: Sequence[Question], models: Sequence[str], baselines: Sequence[str] = ()
) -> Callable[[OpenGame], Order]:
    """Return the order of games: those of one question next to each other, in the order of `questions`.

    First every game 1, whose prompts share the question and a baseline's answer as their prefix (a server's prefix
    cache then computes it once), then every game 2. Within these, games with the same first answer go together,
    baselines and models in the order of theirs.
    """
    question_rank = {question.id: rank for rank, question in enumerate(questions)}
    model_rank = {model: rank for rank, model in enumerate(models)}
    baseline_rank = {baseline: rank for rank, baseline in enumerate(baselines)}

    def order(part: OpenGame) -> Order:
        sides = baseline_rank.get(part.job.baseline, 0), model_rank[part.job.task.model]
        first, second = sides if part.number == 1 else sides[::-1]
        choice, repeat = part.job.replicate
        return question_rank[part.job.question.id], part.number, first, choice, second, repeat

    return order
