"""What a session needs of the engine: imported when first called, to keep the first frame quick; and states of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from arena_tui.invocation import Invocation
from arena_tui.session.run_watch import RunWatch
from engine.errors import ArenaError, BenchLocked, UsageProblem
from engine.events import RunEnded, TaskPlanned, steady_now
from engine.work.progress import RunState
from engine.work.reducer import fold, reduce

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.control.client import RemoteRun
    from engine.serving.forecast import ServerTurn
    from engine.work.duration import Duration
    from engine.work.following import Follower
    from engine.work.plan import Plan, Scope
    from engine.work.stopping import StopForecast


AttachMode: TypeAlias = Literal["control", "read-only"]


class PlannedRun(NamedTuple):
    """A plan, when its stop rule may end it, how long it takes, the servers that it starts, and what its calls cost."""

    plan: Plan
    forecast: StopForecast | None
    duration: Duration | None
    servers: list[ServerTurn]
    cost: float | None

    @property
    def state(self) -> RunState:
        """The state of the run before its start."""
        tasks = (*self.plan.answers, *self.plan.judgments)
        return fold(RunState(), (TaskPlanned(task.key, task.total, task.cached, task.stale) for task in tasks))


def plan_run(config: Config, bench: Bench, scope: Scope) -> PlannedRun:
    """Plan what `scope` still needs; imports also what a run needs. Call it in a thread. Raises ArenaError."""
    import engine.run
    import engine.work.execution  # noqa: F401  # slow, so the start of a run must not wait for it
    from engine.work.costs import expected_cost, expected_use
    from engine.work.duration import estimate_duration, server_turns
    from engine.work.plan import make_plan
    from engine.work.stopping import stop_forecast

    plan = make_plan(config, bench, scope)
    forecast = stop_forecast(scope.until, plan) if scope.until else None
    duration, servers = estimate_duration(config, bench, plan), server_turns(config, bench, plan)
    return PlannedRun(plan, forecast, duration, servers, expected_cost(expected_use(config, bench, plan)))


def read_config(invocation: Invocation) -> Config:
    """Return the config, if its bench exists. Raises ArenaError with all that keeps a run from starting."""
    try:
        config = invocation.config(keys=False)
        open_bench(config)
    except ArenaError as error:
        raise invocation.all_problems() or error from None
    return config


def open_bench(config: Config) -> Bench:
    """Open the bench of a config. Raises BenchError."""
    from engine.bench import Bench

    return Bench.open(config.data, config.bench)


def writer_of_bench(bench: Bench) -> BenchLocked | None:
    """Return the other process that writes to the bench; None without one."""
    from engine.bench.lock import writer_of

    return writer_of(bench.paths)


def is_watched(bench: Bench) -> bool:
    """Return whether a watch evaluates checkpoints for the bench, now or when the next one appears."""
    from engine.serving.held import is_held

    return bench.paths.watch_lock.exists() and is_held(bench.paths.watch_lock)


def follower_of(bench: Bench) -> Follower:
    """Return what reads the records that another process saves."""
    from engine.work.following import Follower

    return Follower(bench)


async def attach_to(
    bench: Bench, mode: AttachMode | None, watch: RunWatch, refused: Callable[[ArenaError], None]
) -> RemoteRun | ArenaError:
    """Return the run that another process has of the bench, or why it cannot be attached to.

    Without a `mode`, a run that has no terminal is controlled. `watch` hears its events, `refused` of refused orders.
    """
    from engine.control.client import RemoteRun, RunUnreachable

    try:
        remote = await RemoteRun.attach(bench.paths, control=mode == "control")
    except RunUnreachable as problem:
        return problem
    if mode is None and remote.conditions.log:
        remote.take_control()
    remote.on_refusal = lambda reason: refused(UsageProblem(f"the run refused an order: {reason}"))
    remote.listen(watch)
    return remote


def bug(error: Exception) -> ArenaError:
    """Return the error to show for a defect that ended a run."""
    return ArenaError(f"run aborted by a bug in arena-tui: {error!r}", "saved records are intact")


def failed(state: RunState) -> RunState:
    """Return the state of a run that ended before its work was done."""
    return reduce(state, RunEnded("failed", steady_now()))
