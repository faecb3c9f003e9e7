"""A session: one config and its bench while the UI is open, with at most one run at a time. Imports no Textual.

Heavy parts of the engine are imported when first needed, to keep the first frame quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from arena_tui.invocation import Invocation
from arena_tui.session.answer import AnswerWatch
from arena_tui.session.engine_parts import (
    AttachMode,
    attach_to,
    bug,
    failed,
    follower_of,
    is_watched,
    open_bench,
    plan_run,
    read_config,
    writer_of_bench,
)
from arena_tui.session.open_bench import OpenBench
from arena_tui.session.run_watch import GpuWatch, RunWatch, SpeedGauge
from engine.errors import ArenaError, BenchLocked, UsageProblem
from engine.events import Event, steady_now
from engine.work.progress import RunSpeed, RunState
from engine.work.reducer import reduce

if TYPE_CHECKING:
    from engine.control.client import RemoteRun
    from engine.run import Run
    from engine.serving.forecast import ServerTurn
    from engine.work.duration import Duration
    from engine.work.following import Follower
    from engine.work.plan import Plan, Scope
    from engine.work.stopping import StopForecast


SessionStatus: TypeAlias = Literal["opening", "idle", "running", "paused", "stopping", "following"]


class ArenaSession(OpenBench):
    """What the screens read and command.

    `state` is the state of the run, or before any run that of the plan. Errors of background work are queued for
    `take_problem`. Call all methods in the event loop that called `open`.
    """

    def __init__(self, invocation: Invocation) -> None:
        super().__init__()
        self.invocation = invocation
        self.plan: Plan | None = None
        self.run: Run | RemoteRun | None = None
        self.remote: RemoteRun | None = None  # `run` while it is one of another process
        self.duration: Duration | None = None  # of `plan`
        self.cost: float | None = None  # of `plan`, by the prices of the config
        self.servers: list[ServerTurn] = []  # that a run of `plan` starts
        self.forecast: StopForecast | None = None  # of `plan`, where its scope has a stop rule
        self.watch = RunWatch()
        self.gpus = GpuWatch()
        self.answers = AnswerWatch()
        self.gauge = SpeedGauge()  # of the current run
        self.speed: RunSpeed | None = None  # of the current run, while it is active
        self.failure: ArenaError | None = None  # that ended the last run before its work was done
        self.writer: BenchLocked | None = None  # the other process that holds the lock of the bench
        self.reviewer: str | None = None  # name for the labels of a review; None: the user of this machine
        self.starts = False  # start a run as soon as the bench is open
        self.ports: Sequence[int] | None = None  # of this machine that a set-up asks; None: the usual ones
        self.unattached: ArenaError | None = None  # why it is followed in its files only
        self.attach_as: AttachMode | None = None  # to a run of another process; None: in control if it has no terminal
        self._scope: Scope | None = None
        self._state = RunState()
        self._running: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._awaiting: asyncio.Task[None] | None = None
        self._problems: list[ArenaError] = []
        self._stack = AsyncExitStack()

    # -- opening and closing

    @property
    def demo(self) -> bool:
        return self.invocation.demo

    @property
    def lacks_config(self) -> bool:
        """Whether this is a first start: no config was given, and the default one does not exist."""
        return not self.demo and self.invocation.lacks_config

    @property
    def scope(self) -> Scope:
        """The scope of the next run."""
        if self._scope is None:
            from engine.work.plan import Scope

            self._scope = Scope()
        return self._scope

    async def open(self) -> None:
        """Read the config (in demo mode, start its servers) and find the bench. Raises ArenaError with all problems.

        Variables of API keys need not be set until a run is started.
        """
        if self.demo:
            from arena_tui.starters import demo_config

            config = await self._stack.enter_async_context(demo_config(self.invocation))
        else:
            config = await asyncio.to_thread(read_config, self.invocation)
        self._bench = await asyncio.to_thread(open_bench, config)
        self._config = config
        self.writer = await asyncio.to_thread(writer_of_bench, self._bench)
        if self.writer is not None:
            await self._attach()
        self._await_watch()

    async def open_demo(self) -> None:
        """Open the demo instead. Raises ArenaError."""
        self.invocation = replace(self.invocation, config_path=None, demo=True)
        await self.open()

    async def reopen(self, bench: str | None = None) -> None:
        """Read the config again, with another `bench` if one is named. Raises ArenaError; all stays as it was then."""
        if self.is_running and self.remote is None:
            raise UsageProblem("a run is in progress", "stop it first")
        before, attached, attending = self.invocation, self.remote, self._running
        if bench is not None:
            self.invocation = replace(before, bench=bench)
        try:
            await self.open()
        except ArenaError:
            self.invocation = before
            raise
        if self._following is not None:
            self._following.cancel()
            self._following = None
        self.plan, self.duration, self.forecast, self.servers, self._scope = None, None, None, [], None
        if self._running is attending:  # there is no other run to attach to
            self.run, self.remote, self._running, self._state = None, None, None, RunState()
        if attached is not None and attending is not None:
            attending.cancel()
            attached.close()

    async def close(self) -> None:
        """Stop the run, wait until everything is saved, and stop the demo's servers. Runs of others go on."""
        for task in (self._following, self._awaiting):
            if task is not None:
                task.cancel()
        if self.remote is not None:
            self.remote.close()
            if self._running is not None:
                self._running.cancel()
        elif self.run is not None and self.is_running:
            self.run.stop()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        self.gpus.stop()
        self.answers.stop()
        await self._stack.aclose()

    # -- planning

    async def make_plan(self, scope: Scope | None = None) -> Plan:
        """Plan what `scope` still needs, and on success make it the scope of the session. Raises ArenaError."""
        wanted = self.scope if scope is None else scope
        follows = self.writer is not None and self.remote is None
        follower = await asyncio.to_thread(follower_of, self.bench) if follows else None
        found = await asyncio.to_thread(plan_run, self.config, self.bench, wanted)
        # All at once and with the state, since a screen may be painted at every await.
        self._scope, self.plan, self.forecast = wanted, found.plan, found.forecast
        self.duration, self.servers, self.cost = found.duration, found.servers, found.cost
        if not self.is_running:
            self._state = found.state
            self.run = None
        if follower is not None:
            self._follow(follower)
        return found.plan

    # -- the run

    @property
    def state(self) -> RunState:
        return self._state if self.run is None else self.run.state

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    @property
    def read_only(self) -> bool:
        """Whether another process writes to this bench and this one does not control it."""
        return self.writer is not None and not (self.remote is not None and self.remote.controls)

    @property
    def retries_failed(self) -> bool:
        """Whether failed records are retried when the run ends."""
        return self.is_running and self.run is not None and self.run.retries_failed

    @property
    def status(self) -> SessionStatus:
        if not self.is_open:
            return "opening"
        if self.read_only:
            return "following"
        return self.run.status if self.run is not None and self.is_running else "idle"

    def measure(self) -> None:
        """Take the speed of the run now, and rate what is judged so far. Call it before painting."""
        state = self.state
        is_active = self.status in ("running", "paused", "stopping", "following")
        self.speed = self.gauge.pace(state) if is_active else None
        if self.plan is not None or self.run is not None:
            source = self.bench.paths.root, self.config.judge.baseline
            self.answers.look(source, state, self.judged, is_running=self.is_running)

    def start(self) -> None:
        """Start a run of `scope`. Raises ArenaError."""
        from engine.config.load import require_keys
        from engine.run import Run

        if self.is_running:
            raise UsageProblem("a run is already in progress")
        require_keys(self.config, {*self.config.answer_models(), *self.config.judge.model})
        self.run = Run(self.config, self.scope)
        self.failure = None
        self.gauge = SpeedGauge()
        self.watch = RunWatch()
        self.run.listen(self.watch)
        self._running = asyncio.create_task(self._execute(self.run))
        self.gpus.start()

    def pause(self) -> None:
        if self.run is not None and not self.read_only:
            self.run.pause()

    def resume(self) -> None:
        if self.run is not None and not self.read_only:
            self.run.resume()

    def stop(self) -> None:
        """Stop the run; a second call does not wait for the calls in flight."""
        if self.run is None or not self.is_running or self.read_only:
            return
        if self.run.status == "stopping":
            self.run.abort()
        else:
            self.run.stop()

    def retry_failed(self) -> None:
        """Retry failed records: now, or when the current run ends. Raises ArenaError."""
        if self.is_running and self.run is not None:
            self.run.retries_failed = True
        else:
            self.start()

    async def finished(self) -> None:
        """Wait until no run is in progress."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])

    def set_limits(self, model: str, parallel: int, rate: float | None) -> None:
        """Change how many calls may be in flight, and start per second, at each endpoint of `model`: now and later.

        A rate of None is no limit.
        """
        entry = self.config.models[model].model_copy(update={"parallel": parallel, "rate": rate})
        self._config = self.config.model_copy(update={"models": {**self.config.models, model: entry}})
        if self.run is not None and not self.read_only:
            self.run.set_limits(model, parallel, rate)

    def take_problem(self) -> ArenaError | None:
        """Return the next error that has not been shown."""
        return self._problems.pop(0) if self._problems else None

    def now(self) -> float:
        """Return the time by the clock of the events."""
        return steady_now()

    # -- inside

    async def _execute(self, run: Run) -> None:
        try:
            await run.execute()
        except BenchLocked as error:
            self.writer = error
            self.run = None
            self._problems.append(error)
            self._running = None
            await self._attach()
            await self._attempt(self.make_plan)
        except ArenaError as error:
            self._fail(run, error)
        except Exception as error:
            self._fail(run, bug(error))
        self.gpus.stop()
        if run.retries_failed and run.state.failed and run.state.phase == "failed":
            asyncio.get_running_loop().call_soon(self._start_again)

    def _fail(self, run: Run, error: ArenaError) -> None:
        self.failure = error
        self._problems.append(error)
        self.watch.note("error", str(error))
        self._state = failed(run.state)
        self.run = None

    def _take_event(self, event: Event) -> None:
        self._state = reduce(self._state, event)
        self.watch(event)

    def _start_again(self) -> None:
        try:
            self.start()
        except ArenaError as error:
            self._problems.append(error)

    async def _attempt(self, action: Callable[[], Awaitable[object]]) -> None:
        try:
            await action()
        except ArenaError as error:
            self._problems.append(error)

    async def _attach(self) -> None:
        """Attach to the run of the other process; if that cannot be, what it saves is followed in its files."""
        watch = RunWatch()
        found = await attach_to(self.bench, self.attach_as, watch, self._problems.append)
        if isinstance(found, ArenaError):
            self.unattached = found
            return
        self.run, self.remote, self.watch, self.gauge = found, found, watch, SpeedGauge()
        self._running = asyncio.create_task(self._attend(found))
        self.gpus.start()

    async def _attend(self, remote: RemoteRun) -> None:
        """Take in what the other process does until it has released the bench; attach again to a next run of its."""
        from engine.bench.lock import LOOK_SECONDS

        await remote.follow()
        self.remote = None
        self.gpus.stop()
        if not remote.has_ended:
            self._state, self.run = failed(remote.state), None
        while (writer := await asyncio.to_thread(writer_of_bench, self.bench)) is not None:
            self.writer = writer
            await self._attach()
            if self.remote is not None:
                return
            await asyncio.sleep(LOOK_SECONDS)
        self.writer = None
        self.watch.note("info", "the other process has ended its run; this one can write now")

    def _await_watch(self) -> None:
        """Attach to each run of a watch of this bench, which has one for each checkpoint that it evaluates."""
        if self._awaiting is not None:
            self._awaiting.cancel()
        self._awaiting = asyncio.create_task(self._attach_to_watch())

    async def _attach_to_watch(self) -> None:
        from engine.bench.lock import LOOK_SECONDS

        while await asyncio.to_thread(is_watched, self.bench):
            if not self.is_running and self.writer is None:
                self.writer = await asyncio.to_thread(writer_of_bench, self.bench)
                if self.writer is not None:
                    await self._attach()
            await asyncio.sleep(LOOK_SECONDS)

    def _follow(self, follower: Follower) -> None:
        if self._following is not None:
            self._following.cancel()
        self.gauge = SpeedGauge()
        self._following = asyncio.create_task(self._keep_following(follower))
        self.gpus.start()

    async def _keep_following(self, follower: Follower) -> None:
        """Fold what the other process saves into the state, until it releases the bench."""
        if self.plan is not None:
            await follower.follow(self.plan, self._take_event)
        self.gpus.stop()
        self.writer = None
        self.watch.note("info", "the other process has ended; this one can write now")
        self._following = None
        await self._attempt(self.make_plan)
