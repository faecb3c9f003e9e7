"""Who makes the open parts: for each model its endpoints, a client, and a worker for each of its queues.

A worker starts a few more parts than its client has slots. A started part waits for a slot inside the client, so the
next call goes out the moment a call ends; and while some parts back off after a failure, others use their slots.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import aiohttp

from engine.config.model import Config
from engine.errors import CallFailed, NeverAsked
from engine.events import Event, Stage, StageEnded, StageStarted, steady_now
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport
from engine.models.limits import PoolClosed
from engine.models.tokens import TokenCounter
from engine.serving.endpoints import Demand, EndpointSource, ModelEndpoints
from engine.work.calls import AnswerMaker, GameMaker, JudgeCaller
from engine.work.jobs import OpenPart
from engine.work.plan import Plan
from engine.work.queue import Gate, Pipeline, WorkQueue
from engine.work.recorder import Recorder

STARTED_PER_SLOT = 2

PartT = TypeVar("PartT")
OpenPartT = TypeVar("OpenPartT", bound=OpenPart)


class HasCapacity(Protocol):
    """Something with a number of calls that it takes at once."""

    @property
    def capacity(self) -> int: ...


class Worker(Generic[PartT]):
    """Empties one queue of one model: makes its parts with `make`, many at once, and passes those that fail to `fail`.

    Each task makes one part after another: a new one for each part would cost more than many a part.
    """

    def __init__(
        self,
        queue: WorkQueue[PartT],
        client: HasCapacity,
        make: Callable[[PartT], Awaitable[None]],
        fail: Callable[[PartT, CallFailed], None],
        gate: Gate,
    ) -> None:
        self._queue = queue
        self._client = client
        self._make = make
        self._fail = fail
        self._gate = gate
        self._started: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._broken: BaseException | None = None
        self.has_no_endpoint = False  # none was left for the parts that are still to be made

    async def run(self) -> None:
        """Make every part until none is left, the gate closes or no endpoint is left; then wait for those started.

        Raises what broke a part (StorageError, a defect), after the others were cancelled.
        """
        try:
            while await self._has_room() and (part := await self._next()) is not None:
                if self._broken or not await self._gate.passed():
                    break
                task = asyncio.create_task(self._make_parts(part))
                self._started.add(task)
                task.add_done_callback(self._settled)
            while self._started and not self._broken:
                self._ended.clear()
                await self._ended.wait()
        finally:
            await _cancelled(self._started)
        if self._broken:
            raise self._broken

    async def _has_room(self) -> bool:
        """Wait until another part may be started (only then is it chosen: the first by then); False if one broke."""
        while len(self._started) >= self._most_started() and not self._broken:
            self._ended.clear()
            await self._ended.wait()
        return not self._broken

    def _most_started(self) -> int:
        return STARTED_PER_SLOT * self._client.capacity

    async def _next(self) -> PartT | None:
        """Return the next part as soon as there is one; None when there will be none."""
        while True:
            if (part := self._queue.take()) is not None or not await self._queue.more():
                return part

    async def _make_parts(self, part: PartT) -> None:
        """Make a part, and then others, as long as there are some and they may be started."""
        following: PartT | None = part
        while following is not None:
            await self._make_one(following)
            if len(self._started) < self._most_started():
                self._ended.set()  # a limit was raised, or an endpoint came
            may_start = len(self._started) <= self._most_started() and not (self._gate.paused or self._gate.closed)
            following = self._queue.take() if may_start and not self._broken else None

    async def _make_one(self, part: PartT) -> None:
        try:
            await self._make(part)
        except NeverAsked:
            self.has_no_endpoint = True
            self._queue.stop()
        except CallFailed as error:
            self._fail(part, error)
        except PoolClosed:
            self._queue.drop(part)  # another run makes it, if it is wanted then

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._started.discard(task)
        self._ended.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = self._broken or error
            self._queue.stop()


@dataclass(frozen=True)
class Resources:
    """What all workers share. `flush` waits until everything recorded is on disk and its events were emitted."""

    session: aiohttp.ClientSession
    recorder: Recorder
    counter: TokenCounter | None
    gate: Gate
    emit: Callable[[Event], None]
    flush: Callable[[], Awaitable[None]]


class Workers:
    """Carries out a plan: the workers of all its models.

    `clients` and `reports` (of their endpoints) are those of the models that were found; `found` is called after each
    of them. `has_unreachable` says whether a model was not.
    """

    def __init__(
        self,
        config: Config,
        plan: Plan,
        pipeline: Pipeline,
        source: EndpointSource,
        resources: Resources,
        *,
        found: Callable[[], None],
    ) -> None:
        self.clients: dict[str, ModelClient] = {}
        self.reports: dict[str, Sequence[EndpointReport]] = {}
        self.has_unreachable = False
        self._config = config
        self._plan = plan
        self._pipeline = pipeline
        self._source = source
        self._resources = resources
        self._found = found
        self._started: set[Stage] = set()
        self._queues_left = Counter[Stage](answers=len(pipeline.answers), judgments=len(pipeline.games))
        self._answers_over = asyncio.Event()
        if not pipeline.answers:
            self._answers_over.set()

    async def run(self) -> None:
        """Make every part. Raises what broke one (StorageError, a defect), after all others were cancelled."""
        await _all_or_none(*(self._run_model(name) for name in self._pipeline.models))

    def stop(self) -> None:
        """Start no more calls."""
        for client in self.clients.values():
            client.close()

    async def _run_model(self, name: str) -> None:
        """Make all parts of one model, as soon as it can be called. Judges are waited for while answers are made."""
        stages: list[Stage] = ["answers"] if name in self._pipeline.answers else []
        if name in self._pipeline.games:
            stages.append("judgments")
        is_judge = "answers" not in stages
        waiting: set[str] = set()

        def wait() -> None:
            if is_judge and name not in waiting:
                waiting.add(name)
                self._pipeline.judge_waits(name)

        demand = Demand(
            needed=partial(self._pipeline.has_work, name),
            is_early=lambda: is_judge and not self._answers_over.is_set(),
            waits=wait,
        )
        async with self._source.open(name, demand) as found:
            if found.endpoints:
                if waiting:
                    self._pipeline.judge_found(name)
                client = self.clients[name] = self._client(name, found)
                self.reports[name] = found.reports
                self._found()
                await self._run_queues(name, client)
                return
        if is_judge and demand.needed() and not self._resources.gate.closed:
            wait()
            await self._answers_over.wait()
        is_needed = demand.needed()  # else its answers were never made, or are no longer wanted
        if is_needed and self._resources.gate.closed:
            return
        for stage in stages:
            if is_needed:
                self._withdraw(name, stage)
            self._queue_ended(stage)

    async def _run_queues(self, name: str, client: ModelClient) -> None:
        running = []
        recorder = self._resources.recorder
        if (answers := self._pipeline.answers.get(name)) is not None:
            maker = AnswerMaker(client, self._config, name, self._resources.counter, recorder, client.warn)
            running.append(self._run_queue("answers", answers, client, maker.make))
        if (games := self._pipeline.games.get(name)) is not None:
            judge = JudgeCaller(client, self._config, name, client.warn)
            game_maker = GameMaker(judge, self._plan.judging[name].prompt_for, recorder)
            running.append(self._run_queue("judgments", games, client, game_maker.make))
        watching = None
        if self._config.provider(name).reports_queue:
            watching = asyncio.create_task(client.watch(self._config.served_name(name)))
        try:
            await _all_or_none(*running)
        finally:
            if watching is not None:
                await _cancelled([watching])

    async def _run_queue(
        self,
        stage: Stage,
        queue: WorkQueue[OpenPartT],
        client: ModelClient,
        make: Callable[[OpenPartT], Awaitable[None]],
    ) -> None:
        def fail(part: OpenPartT, error: CallFailed) -> None:
            self._resources.recorder.fail(part, error)

        if await queue.more() and stage not in self._started:
            self._started.add(stage)
            self._resources.emit(StageStarted(stage, steady_now()))
        worker = Worker(queue, client, make, fail, self._resources.gate)
        await worker.run()
        await self._resources.flush()  # judges learn of the last answers; a full disk ends the run here
        if worker.has_no_endpoint:
            self._withdraw(client.name, stage)
        self._queue_ended(stage)

    def _queue_ended(self, stage: Stage) -> None:
        self._queues_left[stage] -= 1
        if self._queues_left[stage]:
            return
        if stage in self._started:
            self._resources.emit(StageEnded(stage, steady_now()))
        if stage == "answers":
            self._answers_over.set()

    def _withdraw(self, name: str, stage: Stage) -> None:
        """Continue without a model that cannot be called."""
        self.has_unreachable = True
        if stage == "answers":
            self._pipeline.withdraw_model(name)
        else:
            self._pipeline.withdraw_judge(name)

    def _client(self, name: str, found: ModelEndpoints) -> ModelClient:
        entry = self._config.models[name]
        client = ModelClient(
            name,
            found.endpoints,
            parallel=entry.parallel,
            rate=entry.rate,
            timeout=entry.timeout,
            idle_timeout=entry.idle_timeout,
            attempts=entry.attempts,
            stream=entry.stream,
            counts_tokens=self._config.provider(name).counts_tokens,
            session=self._resources.session,
            emit=self._resources.emit,
            permits=self._pipeline.permits,
        )
        for server in found.servers:
            server.attach(client)
        return client


async def _all_or_none(*jobs: Coroutine[object, object, None]) -> None:
    """Run all at once; when one raises, cancel the others, wait for them, and raise what it raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _cancelled(tasks)


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
