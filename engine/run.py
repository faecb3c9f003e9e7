"""One run of a config on its bench: the only place that puts the parts together.

    config + bench -> Plan -> Pipeline (a queue for each model) -> Workers -> Recorder -> writer -> on disk
                                 ^                                                           |
                                 |            one queue of events, in order                  v
             RunState <- fold <- listeners <- stop rule <- pipeline  <--  saved, failed, calls, servers, notices

Every event passes the state, the listeners, the stop rule and the pipeline, in this order, before the next one does.
A run owns the bench (its lock and its writer) while it lasts, and ends everything that it starts.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from engine.bench import Bench
from engine.bench.appender import OtherChange
from engine.bench.lock import BenchLock
from engine.bench.repair import recover
from engine.bench.run_files import new_run_id, write_run
from engine.bench.writer import BenchWriter
from engine.config.model import Config
from engine.control.host import RunHost
from engine.control.wire import RunStatus
from engine.event_log import event_logger
from engine.events import (
    EndpointStatus,
    Event,
    RecordFailed,
    RecordSaved,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    notice,
    steady_now,
)
from engine.reporting.attaching import reported
from engine.work.costs import Spending
from engine.work.plan import Plan, Scope, make_plan
from engine.work.progress import RunState
from engine.work.queue import Gate, Pipeline, planned_event
from engine.work.recorder import Recorder
from engine.work.reducer import fold
from engine.work.stopping import EarlyStop, Stopping

if TYPE_CHECKING:
    from engine.models.client import ModelClient
    from engine.reporting.reporting import Reporting
    from engine.serving.server import VllmServer
    from engine.work.execution import Execution

Listener = Callable[[Event], None]
SERVER_GRACE_SECONDS = 30.0  # how long a server may take to end: an interrupted start takes 6 to 15
MOST_UNFOLDED = 512  # events that wait until the state is read
GRACE_SECONDS = 10.0  # how long calls in flight may continue after a stop


_OF_RECORDS = (RecordSaved, RecordFailed)


class EventQueue:
    """Delivers events one at a time: each to every handler, in the order of the handlers, before the next event.

    An event that a handler emits is delivered after the current one. What a handler raises is kept in `failure` and
    ends the delivery: `on_failure` is called, and later events are dropped.
    """

    def __init__(self, handlers: Sequence[Listener], on_failure: Callable[[], None]) -> None:
        self.failure: Exception | None = None
        self._handlers = list(handlers)
        self._on_failure = on_failure
        self._waiting: deque[Event] = deque()
        self._delivering = False

    def add(self, handler: Listener) -> None:
        """Deliver later events to `handler` too, after all others."""
        self._handlers.append(handler)

    def raise_failure(self) -> None:
        """Raise what a handler raised."""
        if self.failure is not None:
            raise self.failure

    def emit(self, event: Event) -> None:
        """Append an event; unless this is called by a handler, return after its delivery."""
        if self.failure is not None:
            return
        self._waiting.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                current = self._waiting.popleft()
                for handle in self._handlers:
                    handle(current)
        except Exception as error:
            self.failure = error
            self._on_failure()
        finally:
            self._delivering = False


class Run:
    """One run of a config on its bench. Use it once: `await run.execute()`.

    `listen` adds a callback that gets every event; `state` includes it by then.
    `pause`, `resume` and `stop` may be called from the loop at any time. With `scope.until`, models are stopped as soon
    as they are decided. An exception of a listener ends the run, and `execute` raises it.
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
        self._state = RunState()
        self._unfolded: list[Event] = []
        self.id = new_run_id(time.time())
        self.bench = Bench.open(config.data, config.bench)
        self.gate = Gate()
        self.log: Path | None = None  # of a run without a terminal: the file that it writes to
        self.retries_failed = False  # wanted: another run for what failed in this one
        self.reporting: Reporting | None = None  # of several runs together; None: the run opens its own
        self.limit_reached = ""  # the limit of the scope at which this run started nothing more
        self._grace = grace
        self._server_grace = server_grace
        self._listeners: list[Listener] = []
        self._events = EventQueue([self._fold, self._pass_on], on_failure=self._cancel)
        if (log_event := event_logger(self.id, config.bench)) is not None:
            self._listeners.append(log_event)
        self._main: asyncio.Task[None] | None = None
        self._execution: Execution | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> RunState:
        """The run as it stands, with every event so far."""
        if self._unfolded:
            self._state, self._unfolded = fold(self._state, self._unfolded), []
        return self._state

    @property
    def clients(self) -> Mapping[str, ModelClient]:
        """The clients of the models that are called, or were."""
        return self._execution.clients if self._execution is not None else MappingProxyType({})

    @property
    def servers(self) -> Sequence[VllmServer]:
        """The servers that this run starts itself."""
        return self._execution.servers if self._execution is not None else ()

    @property
    def status(self) -> RunStatus:
        """What the run does with new calls."""
        return "stopping" if self.gate.closed else "paused" if self.gate.paused else "running"

    def endpoint_statuses(self) -> Mapping[str, Sequence[EndpointStatus]]:
        """Return the endpoints of each model that is called."""
        return {name: client.status() for name, client in self.clients.items()}

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def pause(self) -> None:
        """Start nothing new; what is in flight continues."""
        if not self.gate.paused and not self.gate.closed:
            self.gate.pause()
            self._events.emit(RunPaused(steady_now()))

    def resume(self) -> None:
        if self.gate.paused:
            self.gate.resume()
            self._events.emit(RunResumed(steady_now()))

    def stop(self) -> None:
        """Start no more calls; those in flight may continue for `grace` seconds. Their results are kept."""
        self.retries_failed = False
        if self.gate.closed:
            return
        self.gate.close()
        if self._execution is not None:
            self._execution.stop()
        if self._main is not None:
            asyncio.get_running_loop().call_later(self._grace, self._cancel)

    def abort(self) -> None:
        """Stop at once; what is in flight is lost, what is finished is kept."""
        self.retries_failed = False
        self.gate.close()
        if self._execution is not None:
            self._execution.abort()
        self._cancel()

    def set_limits(self, model: str, parallel: int, rate: float | None) -> None:
        """Change how many calls of a model may be in flight, and start per second, at each of its endpoints."""
        entry = self.config.models[model].model_copy(update={"parallel": parallel, "rate": rate})
        self.config = self.config.model_copy(update={"models": {**self.config.models, model: entry}})
        if (client := self.clients.get(model)) is not None:
            client.set_parallel(parallel)
            client.set_rate(rate)

    async def execute(self) -> RunState:
        """Carry out the run. Raises ArenaError for what a user must fix. A stop is no error: see the state's phase.

        While it lasts, other processes of the user can attach to it (`engine.control`).
        """
        with BenchLock(self.bench.paths):
            async with RunHost(self) as host, reported(self, self._warn) as reporting:
                self._events.emit(RunStarted(steady_now()))
                if host.problem:
                    self._warn(f"other processes cannot attach to this run: {host.problem}")
                await self._execute()
                await reporting.finish(self.id)
        return self.state

    def execute_sync(self) -> RunState:
        """Carry out the run from code that is not async; in a notebook too, whose own loop is running. As `execute`.

        An interrupt from the keyboard (or of the notebook's kernel) stops the run in order and raises
        KeyboardInterrupt: what was made is kept.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="run") as thread:
            made = thread.submit(asyncio.run, self._noting_loop())
            try:
                return made.result()
            except KeyboardInterrupt:
                if self._loop is not None and not made.done():
                    self._loop.call_soon_threadsafe(self.stop)
                raise

    async def _noting_loop(self) -> RunState:
        self._loop = asyncio.get_running_loop()
        return await self.execute()

    async def _execute(self) -> None:
        for cut in recover(self.bench.paths):
            self._warn(str(cut))
        self._events.raise_failure()
        if had_journal := self.bench.paths.journal.exists():
            self.bench.compact_journal()  # so that interrupted runs do not let it grow
            had_journal = self.bench.paths.journal.exists()
        async with BenchWriter(self.bench.paths, self._on_saved, self._on_change) as writer:
            recorder = Recorder(self.bench.paths, writer)
            self._main = asyncio.create_task(self._work(writer, recorder))
            try:
                await self._main
            except asyncio.CancelledError:
                if self._events.failure is None and not self.gate.closed:
                    raise
        self._events.raise_failure()
        if writer.failure is not None:  # the disk failed during a stop
            raise writer.failure
        if not self.gate.closed:
            self._close_journal(is_used_up=not had_journal and not recorder.unfinished)
        self._events.emit(RunEnded(self._outcome(), steady_now()))
        self._events.raise_failure()
        self._keep_record()

    async def _work(self, writer: BenchWriter, recorder: Recorder) -> None:
        started = asyncio.get_running_loop().time()
        plan = await self._make_plan()
        emit = self._events.emit
        stopping = EarlyStop(self.scope.until, plan, emit) if self.scope.until else Stopping()
        if self.scope.until:
            self._events.add(stopping.handle)
        if plan.has_work:
            from engine.models.tls import certificates_on_first_use

            with certificates_on_first_use():
                from engine.work.execution import open_execution

            minutes = self.scope.until.minutes if self.scope.until else None
            pipeline = Pipeline(plan, emit, stopping)
            self._events.add(pipeline.handle)
            if (most := self.scope.max_cost) is not None:
                self._events.add(Spending(self.config, plan, most, self._cost_reached).handle)
            async with open_execution(
                self.config,
                plan,
                pipeline,
                recorder,
                self.gate,
                emit=emit,
                flush=writer.flush,
                found=self._keep_record,
                logs=self.bench.paths.logs,
                runs=self.bench.paths.runs,
                server_grace=self._server_grace,
                deadline=None if minutes is None else started + 60.0 * minutes,
                wait=self.scope.wait,
            ) as execution:
                self._execution = execution
                if self.gate.closed:
                    pipeline.stop()
                late = self._hours_later(started)
                try:
                    await execution.run()
                finally:
                    if late is not None:
                        late.cancel()
                await writer.flush()
        if not self.gate.closed:
            stopping.end()

    def _hours_later(self, started: float) -> asyncio.TimerHandle | None:
        """Start nothing more when the hours of the scope are over."""
        if (hours := self.scope.max_hours) is None:
            return None
        reached = f"{hours:g} hours"
        return asyncio.get_running_loop().call_at(started + 3600.0 * hours, self._reach_limit, reached)

    def _cost_reached(self, spent: float) -> None:
        self._reach_limit(f"a cost of {self.scope.max_cost:g} (spent so far: {spent:.4g})")

    def _reach_limit(self, limit: str) -> None:
        """Start nothing more; calls in flight finish and count."""
        if self._execution is None or self.limit_reached or self.gate.closed:
            return
        self.limit_reached = limit
        self._warn(f"the limit of {limit} is reached: nothing more is started")
        self._execution.expire()

    async def _make_plan(self) -> Plan:
        plan = await asyncio.to_thread(make_plan, self.config, self.bench, self.scope)
        self.bench.register_settings(plan.settings)
        for task in plan.tasks:
            self._events.emit(planned_event(task))
        for warning in plan.warnings:
            self._warn(warning)
        return plan

    def _close_journal(self, *, is_used_up: bool) -> None:
        """Delete the journal if every part in it has its record, as after a run without trouble; else compact it."""
        if is_used_up:
            self.bench.paths.journal.unlink(missing_ok=True)
        else:
            self.bench.compact_journal()

    def _keep_record(self) -> None:
        """Write down what is known of this run so far, once a model was found that can be called."""
        if self._execution and (record := self._execution.record(self.config, self.scope, self.state)) is not None:
            write_run(self.bench.paths.runs / f"{self.id}.json", record)

    def _outcome(self) -> Literal["done", "failed", "interrupted"]:
        if self.gate.closed:
            return "interrupted"
        unreachable = self._execution is not None and self._execution.has_unreachable
        return "failed" if self.state.failed or unreachable else "done"

    def _cancel(self) -> None:
        if self._main is not None and not self._main.done():
            self._main.cancel()

    def _fold(self, event: Event) -> None:
        """Keep an event for `state`, which is read some times a second while hundreds of events come in."""
        self._unfolded.append(event)
        if len(self._unfolded) >= MOST_UNFOLDED:
            self._state, self._unfolded = fold(self._state, self._unfolded), []

    def _pass_on(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _on_saved(self, announcements: Sequence[object]) -> None:
        for event in announcements:
            if isinstance(event, _OF_RECORDS):
                self._events.emit(event)

    def _on_change(self, change: OtherChange) -> None:
        self._warn(str(change))

    def _warn(self, text: str) -> None:
        self._events.emit(notice("warning", text))
