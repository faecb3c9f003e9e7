"""A session: one config and its bench while the UI is open, with at most one run at a time. Imports no Textual.

Heavy parts of the engine are imported when first needed, to keep the first frame quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from arena_tui.session.answer import AnswerWatch
from arena_tui.session.engine_parts import (
    bug,
    failed,
    follower_of,
    import_execution,
    open_bench,
    planned,
    writer_of_bench,
)
from arena_tui.session.judged_cache import JudgedCache
from arena_tui.session.run_watch import GpuWatch, RunWatch, SpeedGauge
from engine.errors import ArenaError, BenchLocked, UsageProblem
from engine.events import Event, steady_now
from engine.work.progress import RunSpeed, RunState
from engine.work.reducer import reduce

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.results import JudgedBench
    from engine.review.library import Library
    from engine.run import Run
    from engine.serving.forecast import ServerTurn
    from engine.work.duration import Duration
    from engine.work.following import Follower
    from engine.work.plan import Plan, Scope
    from engine.work.stopping import StopForecast


SessionStatus: TypeAlias = Literal["opening", "idle", "running", "paused", "stopping", "following"]


class ArenaSession:
    """What the screens read and command.

    `state` is the state of the run, or before any run that of the plan. Errors of background work are queued for
    `take_problem`. Call all methods in the event loop that called `open`.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.plan: Plan | None = None
        self.run: Run | None = None
        self.duration: Duration | None = None  # of `plan`
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
        self.retries_failed = False  # retry failed records when the run ends
        self.starts = False  # start a run as soon as the bench is open
        self.ports: Sequence[int] | None = None  # of this machine that a set-up asks; None: the usual ones
        self._config: Config | None = None
        self._bench: Bench | None = None
        self._scope: Scope | None = None
        self._state = RunState()
        self._running: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._problems: list[ArenaError] = []
        self._stack = AsyncExitStack()
        self._judged = JudgedCache()
        self._library: Library | None = None

    # -- opening and closing

    @property
    def is_open(self) -> bool:
        return self._config is not None

    @property
    def demo(self) -> bool:
        return self.invocation.demo

    @property
    def lacks_config(self) -> bool:
        """Whether this is a first start: no config was given, and the default one does not exist."""
        return not self.demo and self.invocation.config_path is None and not DEFAULT_CONFIG.exists()

    @property
    def config(self) -> Config:
        if self._config is None:
            raise UsageProblem("no config is open yet")
        return self._config

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            raise UsageProblem("no bench is open yet")
        return self._bench

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

            config = await self._stack.enter_async_context(demo_config(self.invocation.data))
        else:
            config = await asyncio.to_thread(self._read_config)
        self._bench = await asyncio.to_thread(open_bench, config)
        self._config = config
        self.writer = await asyncio.to_thread(writer_of_bench, self._bench)

    async def open_demo(self) -> None:
        """Open the demo instead. Raises ArenaError."""
        self.invocation = Invocation(None, self.invocation.data, demo=True)
        await self.open()

    async def reopen(self, bench: str | None = None) -> None:
        """Read the config again, with another `bench` if one is named. Raises ArenaError; all stays as it was then."""
        if self.is_running:
            raise UsageProblem("a run is in progress", "stop it first")
        before = self.invocation
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
        self.plan, self.run, self.duration, self.forecast, self.servers = None, None, None, None, []
        self._scope, self._state = None, RunState()

    async def close(self) -> None:
        """Stop the run, wait until everything is saved, and stop the demo's servers."""
        self.retries_failed = False
        if self._following is not None:
            self._following.cancel()
        if self.run is not None and self.is_running:
            self.run.stop()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        self.gpus.stop()
        self.answers.stop()
        await self._stack.aclose()

    # -- planning

    async def make_plan(self, scope: Scope | None = None) -> Plan:
        """Plan what `scope` still needs, and on success make it the scope of the session. Raises ArenaError."""
        from engine.work.duration import estimate_duration, server_turns
        from engine.work.plan import make_plan
        from engine.work.stopping import stop_forecast

        wanted = self.scope if scope is None else scope
        await asyncio.to_thread(import_execution)
        follower = await asyncio.to_thread(follower_of, self.bench) if self.writer else None
        plan = await asyncio.to_thread(make_plan, self.config, self.bench, wanted)
        forecast = await asyncio.to_thread(stop_forecast, wanted.until, plan) if wanted.until else None
        duration = await asyncio.to_thread(estimate_duration, self.config, self.bench, plan)
        servers = await asyncio.to_thread(server_turns, self.config, self.bench, plan)
        # All at once and with the state, since a screen may be painted at every await.
        self._scope, self.plan, self.forecast = wanted, plan, forecast
        self.duration, self.servers = duration, servers
        if not self.is_running:
            self._state = planned(plan)
            self.run = None
        if follower is not None:
            self._follow(follower)
        return plan

    # -- the run

    @property
    def state(self) -> RunState:
        return self._state if self.run is None else self.run.state

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    @property
    def read_only(self) -> bool:
        """Whether another process writes to this bench."""
        return self.writer is not None

    @property
    def status(self) -> SessionStatus:
        if not self.is_open:
            return "opening"
        if self.run is not None and self.is_running:
            if self.run.gate.closed:
                return "stopping"
            return "paused" if self.run.gate.paused else "running"
        return "following" if self.read_only else "idle"

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
        if self.run is not None:
            self.run.pause()

    def resume(self) -> None:
        if self.run is not None:
            self.run.resume()

    def stop(self) -> None:
        """Stop the run; a second call does not wait for the calls in flight."""
        self.retries_failed = False
        if self.run is None or not self.is_running:
            return
        if self.run.gate.closed:
            self.run.abort()
        else:
            self.run.stop()

    def retry_failed(self) -> None:
        """Retry failed records: now, or when the current run ends. Raises ArenaError."""
        if self.is_running:
            self.retries_failed = True
        else:
            self.start()

    async def finished(self) -> None:
        """Wait until no run is in progress."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])

    def set_parallel(self, model: str, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint of `model`, now and in later runs."""
        self._change_model(model, {"parallel": parallel})
        if self.run is not None and model in self.run.clients:
            self.run.clients[model].set_parallel(parallel)

    def set_rate(self, model: str, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint of `model`; None is no limit."""
        self._change_model(model, {"rate": rate})
        if self.run is not None and model in self.run.clients:
            self.run.clients[model].set_rate(rate)

    def take_problem(self) -> ArenaError | None:
        """Return the next error that has not been shown."""
        return self._problems.pop(0) if self._problems else None

    def now(self) -> float:
        """Return the time by the clock of the events."""
        return steady_now()

    # -- results

    async def judged(
        self, judges: Sequence[str] | None = None, baselines: Sequence[str] = (), *, strict: bool = False
    ) -> JudgedBench:
        """Return the current judgments of `judges` against `baselines`, by default the config's.

        With `strict`, only those that can be checked. Raises BenchError.
        """
        return await self._judged.load(
            self.bench,
            judges or self.config.judge.model,
            self.config.with_baselines(baselines).judge.pairing,
            self.config,
            strict=strict,
        )

    @property
    def library(self) -> Library:
        """The judgments of the bench, for reading them one by one."""
        if self._library is None or self._library.bench is not self.bench:
            from engine.review.library import Library

            self._library = Library(self.bench, self.config.judge.pairing)
        return self._library

    # -- inside

    def _read_config(self) -> Config:
        """Return the config, if its bench exists. Raises ArenaError with all that keeps a run from starting."""
        try:
            config = self.invocation.config(keys=False)
            open_bench(config)
        except ArenaError as error:
            raise self.invocation.all_problems() or error from None
        return config

    async def _execute(self, run: Run) -> None:
        try:
            await run.execute()
        except BenchLocked as error:
            self.writer = error
            self.run = None
            self._problems.append(error)
            await self._attempt(self.make_plan)
        except ArenaError as error:
            self._fail(run, error)
        except Exception as error:
            self._fail(run, bug(error))
        self.gpus.stop()
        if self.retries_failed and run.state.failed and run.state.phase == "failed":
            self.retries_failed = False
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

    def _change_model(self, name: str, changes: dict[str, object]) -> None:
        entry = self.config.models[name].model_copy(update=changes)
        self._config = self.config.model_copy(update={"models": {**self.config.models, name: entry}})
        if self.run is not None:
            self.run.config = self._config

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
