"""The scheduler: keeps a model's endpoints busy with units of work, a few more units begun than there are slots.

A unit that was begun waits for a slot inside the model's client, so the moment a call ends the next one goes out; and
while some units back off after a failure, others use their slots.

Who plays the units of a pipeline: for each model a place where it can be called, a client, and a lane per stage.

Whether a model can be called, told before the first call: five hundred identical failures help nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Literal, Protocol, TypeVar

import aiohttp

from engine.config.model import Config
from engine.errors import CallFailed, NeverAsked
from engine.events import Event, Notice, Stage, StageEnded, StageStarted, TaskKey, steady_now
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.models.limits import PoolClosed
from engine.models.tokens import TokenCounter
from engine.serving.endpoints import Place, Places
from engine.work.calls import AnswerMaker, GameMaker, JudgeCaller
from engine.work.jobs import OpenPart
from engine.work.plan import Plan
from engine.work.queue import Pipeline, UnitSource, WorkQueue
from engine.work.recorder import Recorder

BEGUN_PER_SLOT = 2

UnitT = TypeVar("UnitT")


class Gate:
    """Whether new units may be begun: open, paused, or closed for good."""

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
        """Wait while paused; False once closed."""
        await self._open.wait()
        return not self.closed


class HasCapacity(Protocol):
    """Something with a number of calls that it takes at once."""

    @property
    def capacity(self) -> int: ...


class Worker(Generic[UnitT]):
    """One model's queue of units and the tasks that play them."""

    def __init__(
        self,
        units: UnitSource[UnitT],
        client: HasCapacity,
        play: Callable[[UnitT], Awaitable[None]],
        fail: Callable[[UnitT, CallFailed], None],
        gate: Gate,
    ) -> None:
        self._units = units
        self._client = client
        self._play = play
        self._fail = fail
        self._gate = gate
        self._begun: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._broken: BaseException | None = None
        self.deserted = False  # no endpoint was left for the units that are still to be played

    async def run(self) -> None:
        """Play every unit, until none is left, the gate closes or nobody can be asked; then wait for those begun.

        Raises what broke a unit (StorageError, a defect), after the others were cancelled.
        """
        try:
            while await self._has_room() and (unit := await self._next()) is not None:
                if self._broken or not await self._gate.passed():
                    break
                task = asyncio.create_task(self._guarded(unit))
                self._begun.add(task)
                task.add_done_callback(self._settled)
            while self._begun and not self._broken:
                self._room.clear()
                await self._room.wait()
        finally:
            for task in self._begun:
                task.cancel()
            await asyncio.gather(*self._begun, return_exceptions=True)
        if self._broken:
            raise self._broken

    async def _has_room(self) -> bool:
        """Wait until another unit may be begun (it is chosen only then: the best by then); False when a unit broke."""
        while len(self._begun) >= BEGUN_PER_SLOT * self._client.capacity and not self._broken:
            self._room.clear()
            await self._room.wait()
        return not self._broken

    async def _next(self) -> UnitT | None:
        """The next unit, as soon as there is one; None when there will be none."""
        while True:
            if (unit := self._units.take()) is not None or not await self._units.more():
                return unit

    async def _guarded(self, unit: UnitT) -> None:
        try:
            await self._play(unit)
        except NeverAsked:
            self.deserted = True
            self._units.stop()
        except CallFailed as error:
            self._fail(unit, error)
        except PoolClosed:
            self._units.pass_over(unit)  # what is missing is done by another run, if it is wanted then

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = self._broken or error
            self._units.stop()


PartT = TypeVar("PartT", bound=OpenPart)


@dataclass(frozen=True)
class Tools:
    """What every line works with."""

    session: aiohttp.ClientSession
    recorder: Recorder
    counter: TokenCounter | None
    gate: Gate
    emit: Callable[[Event], None]
    flush: Callable[[], Awaitable[None]]
    """Waits until everything that was recorded is on disk and announced."""
    found: Callable[[], None]
    """Told whenever a model was found that can be called."""
    permits: Callable[[TaskKey | None], bool]
    """Asked right before a request goes out whether it still may."""


class Workers:
    """Carries out a plan. `clients` are those of the models that were found, `reports` what their servers say of
    themselves, `unreachable` tells if one was not."""

    def __init__(self, config: Config, plan: Plan, pipeline: Pipeline, places: Places, tools: Tools) -> None:
        self.clients: dict[str, ModelClient] = {}
        self.unreachable = False
        self.reports: dict[str, Sequence[EndpointReport]] = {}
        self._config = config
        self._plan = plan
        self._pipeline = pipeline
        self._places = places
        self._tools = tools
        self._begun: set[Stage] = set()
        self._lanes = Counter[Stage](answers=len(pipeline.answers), judgments=len(pipeline.games))
        self._answers_over = asyncio.Event()
        if not pipeline.answers:
            self._answers_over.set()

    async def run(self) -> None:
        """Play every unit. Raises what broke one (StorageError, a defect), after all others were cancelled."""
        names = dict.fromkeys((*self._pipeline.answers, *self._pipeline.games))
        lines = [asyncio.create_task(self._line(name)) for name in names]
        try:
            await asyncio.gather(*lines)
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    def stop(self) -> None:
        """Start no more calls."""
        for client in self.clients.values():
            client.close()

    async def _line(self, name: str) -> None:
        """All that one model has to do. A judge that is not there yet may be once the answers are made."""
        while True:
            may_wait = name not in self._pipeline.answers and not self._answers_over.is_set()
            needed = partial(self._pipeline.has_work, name)
            async with self._places.at(name, is_last_try=not may_wait, needed=needed) as place:
                if place.endpoints:
                    self.reports[name] = place.reports
                    self._tools.found()
                    await self._work(name, self._client(name, place))
                    return
            if not needed():  # what it was to judge has never been made, or nobody wants it
                for stage in self._stages_of(name):
                    self._lane_over(stage)
                return
            if self._tools.gate.closed:
                return
            if not may_wait:
                self._give_up(name)
                return
            self._pipeline.judge_waits(name)
            await self._answers_over.wait()

    async def _work(self, name: str, client: ModelClient) -> None:
        lanes = []
        if (answers := self._pipeline.answers.get(name)) is not None:
            answering = AnswerMaker(client, self._config, name, self._tools.counter, self._tools.recorder)
            lanes.append(self._lane("answers", answers, client, answering.play))
        if (games := self._pipeline.games.get(name)) is not None:
            asker = JudgeCaller(client, self._config, name)
            player = GameMaker(asker, self._plan.judging[name].prompt, self._tools.recorder)
            lanes.append(self._lane("judgments", games, client, player.play))
        running = [asyncio.create_task(lane) for lane in lanes]
        watching = []
        if self._config.provider(name).tells_its_queue:
            watching.append(asyncio.create_task(client.watch(self._config.served_name(name))))
        try:
            await asyncio.gather(*running)
        finally:
            for task in (*running, *watching):
                task.cancel()
            await asyncio.gather(*running, *watching, return_exceptions=True)

    async def _lane(
        self,
        stage: Stage,
        units: WorkQueue[PartT],
        client: ModelClient,
        play: Callable[[PartT], Awaitable[None]],
    ) -> None:
        def fail(unit: PartT, error: CallFailed) -> None:
            self._tools.recorder.fail(unit, error)

        if await units.more() and stage not in self._begun:
            self._begun.add(stage)
            self._tools.emit(StageStarted(stage, steady_now()))
        lane = Worker(units, client, play, fail, self._tools.gate)
        await lane.run()
        await self._tools.flush()  # what judges wait for is told, and a disk that gave out ends the run here
        if lane.deserted:
            self._withdraw(client.name, stage)
        self._lane_over(stage)

    def _lane_over(self, stage: Stage) -> None:
        self._lanes[stage] -= 1
        if self._lanes[stage]:
            return
        if stage in self._begun:
            self._tools.emit(StageEnded(stage, steady_now()))
        if stage == "answers":
            self._answers_over.set()

    def _stages_of(self, name: str) -> list[Stage]:
        stages: list[Stage] = []
        if name in self._pipeline.answers:
            stages.append("answers")
        if name in self._pipeline.games:
            stages.append("judgments")
        return stages

    def _give_up(self, name: str) -> None:
        """A model cannot be called: whoever waits for what it would have made goes on without."""
        for stage in self._stages_of(name):
            self._withdraw(name, stage)
            self._lane_over(stage)

    def _withdraw(self, name: str, stage: Stage) -> None:
        self.unreachable = True
        if stage == "answers":
            self._pipeline.withdraw_model(name)
        else:
            self._pipeline.withdraw_judge(name)

    def _client(self, name: str, place: Place) -> ModelClient:
        entry = self._config.models[name]
        self.clients[name] = ModelClient(
            name,
            place.endpoints,
            parallel=entry.parallel,
            rate=entry.rate,
            timeout=entry.timeout,
            idle_timeout=entry.idle_timeout,
            attempts=entry.attempts,
            counts_tokens=self._config.provider(name).counts_tokens,
            session=self._tools.session,
            emit=self._tools.emit,
            permits=self._tools.permits,
        )
        for keeper in place.keepers:
            keeper.attach(self.clients[name])
        return self.clients[name]


TRIES = 3
PAUSE_SECONDS = 1.0  # a server that was started a moment ago may listen a moment later


def endpoints_of(config: Config, name: str) -> list[Endpoint]:
    """The endpoints of a model of the config."""
    version = config.models[name].api_version
    query = f"?api-version={version}" if version else ""
    return [
        Endpoint(
            entry.base_url + query,
            entry.api_key.get_secret_value() if entry.api_key else None,
            config.provider(name).key_header,
        )
        for entry in config.models[name].endpoints
    ]


async def probe_endpoints(
    session: aiohttp.ClientSession, config: Config, name: str
) -> tuple[list[Endpoint], list[EndpointReport]]:
    """The endpoints of `name` that serve it, and the reports of all."""
    endpoints = endpoints_of(config, name)
    served_name = config.served_name(name)
    good: list[Endpoint] = []
    reports: list[EndpointReport] = []
    for attempt in range(TRIES):
        reports = await asyncio.gather(*(probe(session, endpoint, served_name) for endpoint in endpoints))
        good = [
            replace(endpoint, context=report.max_model_len)
            for endpoint, report in zip(endpoints, reports, strict=True)
            if report.ok
        ]
        if good or attempt == TRIES - 1:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return good, reports


class ConfiguredEndpoints:
    """The places of models whose servers others started: they are asked whether they are there, and left alone."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, tell: Callable[[Notice], None]) -> None:
        self._config = config
        self._session = session
        self._tell = tell

    @asynccontextmanager
    async def at(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[Place]:
        """The endpoints of `name` that serve it. What is wrong with others is told."""
        if not needed():
            yield Place()
            return
        if not self._config.models[name].endpoints:
            self._notice(
                "error", f"{name}: there is work for it, but its entry in the config has no endpoint and no [serve]"
            )
            yield Place()
            return
        endpoints, reports = await probe_endpoints(self._session, self._config, name)
        for report in reports:
            if report.ok:
                continue
            what = f"{name}: {report.url}: {report.error}. {report.hint}"
            if endpoints:
                self._notice("warning", what)
            elif is_last_try:
                self._notice("error", what)
            else:
                self._notice("warning", f"{what} It is looked for again when the answers are made.")
        yield Place(endpoints, reports=[report for report in reports if report.ok])

    def _notice(self, level: Literal["warning", "error"], text: str) -> None:
        self._tell(Notice(level, text, time.time()))
