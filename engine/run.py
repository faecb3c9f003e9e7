"""The only place that puts the parts together: one `Run`, one stream of events, one state.

    config + bench -> survey -> pipeline of units -> lanes of every model -> everything on disk

A run owns the bench (its lock and its writer) while it lasts. It starts nothing that it does not end.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from types import MappingProxyType
from typing import Literal

import aiohttp

from engine.bench import Bench
from engine.bench.appender import OtherChange
from engine.bench.lock import BenchLock
from engine.bench.repair import recover
from engine.bench.run_files import new_run_id, write_run
from engine.bench.writer import BenchWriter
from engine.config.model import Config
from engine.events import Event, Notice, RunEnded, TaskPlanned, steady_now
from engine.models.client import ModelClient
from engine.models.connection import open_session
from engine.models.tokens import load_counter
from engine.serving.endpoints import Places
from engine.serving.fleet import Fleet
from engine.serving.plan import server_plan
from engine.serving.server import VllmServer
from engine.work.plan import Plan, Scope, make_plan
from engine.work.progress import RunState, reduce
from engine.work.provenance import run_record
from engine.work.queue import Pipeline
from engine.work.recorder import Recorder
from engine.work.stopping import EarlyStop, Everything
from engine.work.worker import ConfiguredEndpoints, Gate, Tools, Workers, endpoints_of

Listener = Callable[[Event], None]
SERVER_GRACE_SECONDS = 30.0  # how long a server may take to end: a start that is broken off takes 6 to 15
GRACE_SECONDS = 10.0  # how long calls in flight may go on after a stop


class Run:
    """One run of a config on its bench. Use it once: `await run.execute()`.

    `state` is the run as it stands; `listen` adds a callback that sees every event after it was folded in. `pause`,
    `resume` and `stop` may be called from the loop at any time. With `scope.until` models are stopped as soon as they
    are decided.
    """

    def __init__(
        self,
        config: Config,
        scope: Scope | None = None,
        *,
        grace: float = GRACE_SECONDS,
        server_grace: float = SERVER_GRACE_SECONDS,
    ) -> None:
        self.config = config
        self.scope = scope or Scope()
        self.state = RunState()
        self.id = new_run_id(time.time())
        self.bench = Bench.open(config.data, config.bench)
        self.gate = Gate()
        self._grace = grace
        self._server_grace = server_grace
        self._listeners: list[Listener] = []
        self._main: asyncio.Task[None] | None = None
        self._early: EarlyStop | None = None
        self._pipeline: Pipeline | None = None
        self._force: Workers | None = None
        self._fleet: Fleet | None = None
        self._plan: Plan | None = None
        self._parts_before = False
        self._recorder: Recorder | None = None

    @property
    def clients(self) -> Mapping[str, ModelClient]:
        """The clients of the models that are called, or were."""
        return self._force.clients if self._force is not None else MappingProxyType({})

    @property
    def servers(self) -> Sequence[VllmServer]:
        """The servers that this run starts itself."""
        return tuple(self._fleet.servers.values()) if self._fleet is not None else ()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def pause(self) -> None:
        """Begin nothing new; what is in flight goes on."""
        self.gate.pause()

    def resume(self) -> None:
        self.gate.resume()

    def stop(self) -> None:
        """Start no more calls; those in flight may go on for `grace` seconds. What they bring is kept."""
        if self.gate.closed:
            return
        self.gate.close()
        if self._pipeline is not None:
            self._pipeline.stop()
        if self._force is not None:
            self._force.stop()
        if self._fleet is not None:
            self._fleet.stop()
        if self._main is not None:
            asyncio.get_running_loop().call_later(self._grace, self._break_off)

    def abort(self) -> None:
        """Stop at once; what is in flight is lost, what is finished is kept."""
        self.gate.close()
        if self._fleet is not None:
            self._fleet.stop(at_once=True)
        self._break_off()

    def _break_off(self) -> None:
        if self._main is not None and not self._main.done():
            self._main.cancel()

    async def execute(self) -> RunState:
        """Do all of it. Raises ArenaError for what a user must mend. A stop is no error: the state's phase tells."""
        with BenchLock(self.bench.paths):
            for cut in recover(self.bench.paths):
                self._notice("warning", str(cut))
            if self.bench.paths.journal.exists():
                self.bench.compact_journal()  # so that interrupted runs do not let it grow
            async with BenchWriter(self.bench.paths, self._on_saved, self._on_change) as writer:
                self._main = asyncio.create_task(self._work(writer))
                try:
                    await self._main
                except asyncio.CancelledError:
                    if not self.gate.closed:
                        self._main.cancel()
                        raise
                finally:
                    if self._fleet is not None:
                        await self._fleet.close()
            if writer.failure is not None:  # a stop was under way when the disk gave out
                raise writer.failure
            if not self.gate.closed:
                self._close_journal()
            self._emit(RunEnded(self._outcome(), steady_now()))
            self._keep_record()
        return self.state

    def _keep_record(self) -> None:
        """Write down what is known of this run so far, unless it found nobody to call."""
        if self._plan is not None and self._force is not None and self._force.reports:
            told = run_record(self.config, self.scope, self._plan, self._force.reports, self.servers, self.state)
            write_run(self.bench.paths.runs / f"{self.id}.json", told)

    def _close_journal(self) -> None:
        """Drop the journal if every part in it has found its record, as after a run without trouble; else tidy it."""
        if self._parts_before or self._recorder is None or self._recorder.unfinished:
            self.bench.compact_journal()
        else:
            self.bench.paths.journal.unlink(missing_ok=True)

    def _outcome(self) -> Literal["done", "failed", "interrupted"]:
        if self.gate.closed:
            return "interrupted"
        return "failed" if self.state.failed or (self._force and self._force.unreachable) else "done"

    async def _work(self, writer: BenchWriter) -> None:
        recorder = self._recorder = Recorder(self.bench.paths, writer)
        self._parts_before = self.bench.paths.journal.exists()
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session())
            counter_coming = asyncio.create_task(load_counter()) if self.scope.answers else None
            began = asyncio.get_running_loop().time()
            plan = self._plan = await self._survey()
            early = EarlyStop(self.scope.until, plan, self._emit) if self.scope.until else None
            demand = early or Everything()
            pipeline = Pipeline(plan, self._emit, demand)
            if early is not None:
                self._early, early.changed = early, pipeline.look_again
                stack.enter_context(self._deadline(began))
            counter = None
            if counter_coming and pipeline.answers:
                counter = await counter_coming
            elif counter_coming:
                counter_coming.cancel()
            tools = Tools(
                session, recorder, counter, self.gate, self._emit, writer.flush, self._keep_record, demand.permits
            )
            self._pipeline = pipeline
            places = await self._places(session, pipeline)
            self._force = Workers(self.config, plan, pipeline, places, tools)
            if self.gate.closed:
                pipeline.stop()
            # The plan lives as long as the work: the garbage collector need not look through its thousands of texts
            # again and again (a tenth of the engine's time).
            gc.freeze()
            try:
                await self._force.run()
            finally:
                gc.unfreeze()
            await writer.flush()
            if early is not None and not self.gate.closed:
                early.end()

    @contextmanager
    def _deadline(self, began: float) -> Iterator[None]:
        """While this lasts, the run ends by itself where its rule says after how many minutes."""
        minutes = self.scope.until.minutes if self.scope.until else None
        if minutes is None:
            yield
            return
        timer = asyncio.get_running_loop().call_at(began + 60.0 * minutes, self._time_is_up)
        try:
            yield
        finally:
            timer.cancel()

    def _time_is_up(self) -> None:
        """Begin nothing more and let what is in flight finish, as after a last question."""
        if self._early is not None:
            self._early.expire()
        if self._force is not None:
            self._force.stop()
        if self._fleet is not None:
            self._fleet.stop()

    async def _places(self, session: aiohttp.ClientSession, pipeline: Pipeline) -> Places:
        """Where the models can be called: at servers that others started, and at those of our own."""
        listening = ConfiguredEndpoints(self.config, session, self._emit)
        names = [name for name in dict.fromkeys((*pipeline.answers, *pipeline.games)) if pipeline.has_work(name)]
        servers = await asyncio.to_thread(server_plan, self.config, names, list(pipeline.games))
        if not servers.servers:
            return listening
        if not servers.all_at_once:  # then no server may wait for what comes of another's
            for judge in pipeline.games:
                pipeline.judge_waits(judge)
        self._fleet = Fleet(
            self.config,
            servers,
            names,
            listening,
            endpoints=partial(endpoints_of, self.config),
            logs=self.bench.paths.logs,
            tell=self._emit,
            grace=self._server_grace,
        )
        await self._fleet.open()
        return self._fleet

    async def _survey(self) -> Plan:
        found = await asyncio.to_thread(make_plan, self.config, self.bench, self.scope)
        self.bench.register_settings(found.settings)
        for task in (*found.answers, *found.judgments):
            self._emit(TaskPlanned(task.key, task.total, task.cached, task.stale))
        for warning in found.warnings:
            self._notice("warning", warning)
        for line in stale_notes(self.bench, found):
            self._notice("warning", line)
        return found

    def _on_saved(self, announcements: Sequence[object]) -> None:
        for event in announcements:
            if event is not None:
                self._emit(event)  # type: ignore[arg-type]

    def _on_change(self, change: OtherChange) -> None:
        self._notice("warning", str(change))

    def _notice(self, level: str, text: str) -> None:
        self._emit(Notice(level, text, time.time()))  # type: ignore[arg-type]

    def _emit(self, event: Event) -> None:
        self.state = reduce(self.state, event)
        for listener in self._listeners:
            listener(event)
        if self._early is not None:
            self._early.heard(event)
        if self._pipeline is not None:
            self._pipeline.heard(event)


def stale_notes(bench: Bench, found: Plan) -> list[str]:
    """One line for each group of cached records that were made with other settings than today's."""
    return [
        f"{count} {task.key.stage} of {task.key.model} were made with "
        f"{bench.describe_settings(digest, found.settings)}; --refresh stale makes them again"
        for task in (*found.answers, *found.judgments)
        for digest, count in task.settings_found.items()
    ]
