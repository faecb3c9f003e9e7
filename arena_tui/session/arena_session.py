"""A session: one config and its bench while the UI is open, with at most one run at a time. Imports no Textual.

Heavy parts of the engine are imported when first needed, to keep the first frame quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from arena_tui.session.gpu_watch import GpuWatch
from arena_tui.session.run_watch import RunWatch
from engine.errors import ArenaError, BenchLocked, UsageProblem
from engine.events import Event, RunEnded, TaskPlanned, steady_now
from engine.work.progress import RunState, reduce

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.results import JudgedBench
    from engine.review.library import Library
    from engine.run import Run
    from engine.work.duration import Duration
    from engine.work.following import Follower
    from engine.work.plan import Plan, Scope
    from engine.work.stopping import StopForecast


_Stamp: TypeAlias = tuple[tuple[Path, int, int], ...]
KEPT = 4  # combinations of judges and baseline


class JudgedCache:
    """Holds what was read of one bench, by the judges and the baselines that were asked for."""

    def __init__(self) -> None:
        self._held: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[_Stamp, JudgedBench]] = {}
        self._reading = asyncio.Lock()  # screens that ask at once share one reading

    async def load(self, bench: Bench, judges: Sequence[str], baselines: Sequence[str]) -> JudgedBench:
        """The current judgments of `judges` against `baselines`. Raises BenchError if there is none."""
        from engine.results import judged_bench

        asked = tuple(judges), tuple(baselines)
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, bench)
            held = self._held.pop(asked, None)
            if held is None or held[0] != stamp:
                held = stamp, await asyncio.to_thread(judged_bench, bench, *asked)
            self._held[asked] = held
            while len(self._held) > KEPT:
                del self._held[next(iter(self._held))]
            return held[1]


def _stamp(bench: Bench) -> _Stamp:
    """What changes whenever a file that a leaderboard rests on does."""
    paths = bench.paths
    other = {paths.journal, paths.errors, paths.settings}
    stamps = []
    for path in (paths.questions, *paths.appended_files()):
        if path in other or path.parent == paths.review_dir:
            continue
        try:
            told = path.stat()
        except OSError:
            continue
        stamps.append((path, told.st_mtime_ns, told.st_size))
    return tuple(stamps)


Status: TypeAlias = Literal["opening", "idle", "running", "paused", "stopping", "following"]


class ArenaSession:
    """What the screens read and command.

    `state` is the run as it stands, or before any run what the plan says. Errors that come up while nobody waits for
    them are handed out by `take_problem`. All methods belong to the event loop that called `open`.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.plan: Plan | None = None
        self.run: Run | None = None
        self.duration: Duration | None = None  # of `plan`
        self.forecast: StopForecast | None = None  # of `plan`, where its scope has a stop rule
        self.watch = RunWatch()
        self.gpus = GpuWatch()
        self.writer: BenchLocked | None = None  # who holds the bench, while that is another process
        self.reviewer: str | None = None  # whose labels the review makes; None: the user of this machine
        self.retries_failed = False  # whether what failed is tried again when the run ends
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
        """Whether this is a first start: no config was named, and there is none where it would be."""
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
        """What the next run would do."""
        if self._scope is None:
            from engine.work.plan import Scope

            self._scope = Scope()
        return self._scope

    async def open(self) -> None:
        """Read the config (in demo mode, start its servers) and find the bench. Raises ArenaError.

        Variables that hold API keys need not be set before a run is started.
        """
        if self.demo:
            from arena_tui.starters import demo_config

            config = await self._stack.enter_async_context(demo_config(self.invocation.data))
        else:
            config = await asyncio.to_thread(self.invocation.config, keys=False)
        self._bench = await asyncio.to_thread(_open_bench, config)
        self._config = config
        self.writer = await asyncio.to_thread(_writer_of, self._bench)

    async def open_demo(self) -> None:
        """Go over to the demo, for a first start. Raises ArenaError."""
        self.invocation = Invocation(None, self.invocation.data, demo=True)
        await self.open()

    async def close(self) -> None:
        """Stop what is running, wait until everything is saved, and end the demo's servers."""
        self.retries_failed = False
        if self._following is not None:
            self._following.cancel()
        if self.run is not None and self.is_running:
            self.run.stop()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        self.gpus.stop()
        await self._stack.aclose()

    # -- planning

    async def make_plan(self, scope: Scope | None = None) -> Plan:
        """Read the bench and plan what `scope` still needs. Raises ArenaError; if not, the scope is the session's."""
        from engine.work.duration import estimate_duration
        from engine.work.plan import make_plan
        from engine.work.stopping import stop_forecast

        wanted = self.scope if scope is None else scope
        follower = await asyncio.to_thread(_follower, self.bench) if self.writer else None
        plan = await asyncio.to_thread(make_plan, self.config, self.bench, wanted)
        forecast = await asyncio.to_thread(stop_forecast, wanted.until, plan) if wanted.until else None
        duration = await asyncio.to_thread(estimate_duration, self.config, self.bench, plan)
        # All at once, and with the state: a screen may be painted at every await.
        self._scope, self.plan, self.forecast, self.duration = wanted, plan, forecast, duration
        if not self.is_running:
            self._state = _planned(plan)
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
        """Whether another process writes to this bench: this one only looks on."""
        return self.writer is not None

    @property
    def status(self) -> Status:
        if not self.is_open:
            return "opening"
        if self.run is not None and self.is_running:
            if self.run.gate.closed:
                return "stopping"
            return "paused" if self.run.gate.paused else "running"
        return "following" if self.read_only else "idle"

    def start(self) -> None:
        """Begin a run of `scope`. Raises ArenaError when that cannot be."""
        from engine.config.load import require_keys
        from engine.run import Run

        if self.is_running:
            raise UsageProblem("a run is going on already")
        require_keys(self.config, {*self.config.answer_models(), *self.config.judge.model})
        self.run = Run(self.config, self.scope)
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
        """Try again what failed: at once, or when the run that is going on has ended. Raises ArenaError."""
        if self.is_running:
            self.retries_failed = True
        else:
            self.start()

    async def finished(self) -> None:
        """Wait until no run is going on."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])

    def set_parallel(self, model: str, parallel: int) -> None:
        """Change how many calls may be in flight at each endpoint of `model`, now and in later runs."""
        self._change_model(model, {"parallel": parallel})
        if self.run is not None and model in self.run.clients:
            self.run.clients[model].set_parallel(parallel)

    def set_rate(self, model: str, rate: float | None) -> None:
        """Change how many calls may start per second at each endpoint of `model`; None is no bound."""
        self._change_model(model, {"rate": rate})
        if self.run is not None and model in self.run.clients:
            self.run.clients[model].set_rate(rate)

    def take_problem(self) -> ArenaError | None:
        """The next error that was not shown yet."""
        return self._problems.pop(0) if self._problems else None

    # -- results

    async def judged(self, judges: Sequence[str] | None = None, baselines: Sequence[str] = ()) -> JudgedBench:
        """The current judgments of `judges` against `baselines`, by default the config's; see `JudgedCache.load`."""
        return await self._judged.load(
            self.bench, judges or self.config.judge.model, baselines or self.config.judge.baselines
        )

    @property
    def library(self) -> Library:
        """The judgments of the bench, for reading them one by one."""
        if self._library is None or self._library.bench is not self.bench:
            from engine.review.library import Library

            self._library = Library(self.bench, self.config.judge.baseline)
        return self._library

    # -- inside

    async def _execute(self, run: Run) -> None:
        try:
            await run.execute()
        except BenchLocked as error:
            self.writer = error
            self.run = None
            self._problems.append(error)
            await self._attempt(self.make_plan)
        except ArenaError as error:
            self._problems.append(error)
            self.watch.note("error", str(error))
            self._state = _failed(run.state)
            self.run = None
        except Exception as error:
            self._problems.append(_defect(error))
            self.watch.note("error", str(_defect(error)))
            self._state = _failed(run.state)
            self.run = None
        self.gpus.stop()
        if self.retries_failed and run.state.failed and run.state.phase == "failed":
            self.retries_failed = False
            asyncio.get_running_loop().call_soon(self._start_again)

    def _heard(self, event: Event) -> None:
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
        self._following = asyncio.create_task(self._keep_following(follower))
        self.gpus.start()

    async def _keep_following(self, follower: Follower) -> None:
        """Fold what the other process saves into the state, until it lets go of the bench."""
        if self.plan is not None:
            await follower.follow(self.plan, self._heard)
        self.gpus.stop()
        self.writer = None
        self.watch.note("info", "the other process has ended; this one may write now")
        self._following = None
        await self._attempt(self.make_plan)


def _open_bench(config: Config) -> Bench:
    """The bench; in passing, what a run and the endpoint table need is imported where it holds up nobody."""
    import engine.run
    import engine.work.execution  # noqa: F401
    from engine.bench import Bench

    return Bench.open(config.data, config.bench)


def _writer_of(bench: Bench) -> BenchLocked | None:
    from engine.bench.lock import writer_of

    return writer_of(bench.paths)


def _follower(bench: Bench) -> Follower:
    from engine.work.following import Follower

    return Follower(bench)


def _planned(plan: Plan) -> RunState:
    """The state of a run that has not begun."""
    state = RunState()
    for task in (*plan.answers, *plan.judgments):
        state = reduce(state, TaskPlanned(task.key, task.total, task.cached, task.stale))
    return state


def _defect(error: Exception) -> ArenaError:
    return ArenaError(f"the run broke off by a defect of arena-tui: {error!r}", "what was saved before is intact")


def _failed(state: RunState) -> RunState:
    return reduce(state, RunEnded("failed", steady_now()))
