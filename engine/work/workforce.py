"""Who plays the units of a pipeline: for each model a place where it can be called, a client, and a lane per stage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import aiohttp

from engine.clock import steady_now
from engine.config.model import Config
from engine.errors import CallFailed
from engine.events import Event, Stage, StageEnded, StageStarted, TaskKey
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport
from engine.models.tokens import TokenCounter
from engine.serving.places import Place, Places
from engine.work.ask_game import GameAsker
from engine.work.jobs import Unit
from engine.work.pipeline import Pipeline
from engine.work.play import AnswerPlayer, JudgePlayer
from engine.work.recorder import Recorder
from engine.work.scheduler import Gate, Lane
from engine.work.sources import UnitQueue
from engine.work.survey import Survey

UnitT = TypeVar("UnitT", bound=Unit)


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


class Workforce:
    """Carries out a plan. `clients` are those of the models that were found, `reports` what their servers say of
    themselves, `unreachable` tells if one was not."""

    def __init__(self, config: Config, plan: Survey, pipeline: Pipeline, places: Places, tools: Tools) -> None:
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
            answering = AnswerPlayer(client, self._config, name, self._tools.counter, self._tools.recorder)
            lanes.append(self._lane("answers", answers, client, answering.play))
        if (games := self._pipeline.games.get(name)) is not None:
            asker = GameAsker(client, self._config, name)
            player = JudgePlayer(asker, self._plan.judging[name].prompt, self._tools.recorder)
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
        units: UnitQueue[UnitT],
        client: ModelClient,
        play: Callable[[UnitT], Awaitable[None]],
    ) -> None:
        def fail(unit: UnitT, error: CallFailed) -> None:
            self._tools.recorder.fail(unit, error)

        if await units.more() and stage not in self._begun:
            self._begun.add(stage)
            self._tools.emit(StageStarted(stage, steady_now()))
        lane = Lane(units, client, play, fail, self._tools.gate)
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
