"""What a session needs of the engine: imported when first called, to keep the first frame quick; and states of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ArenaError, BenchLocked
from engine.events import RunEnded, TaskPlanned, steady_now
from engine.work.progress import RunState
from engine.work.reducer import reduce

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.work.following import Follower
    from engine.work.plan import Plan


def open_bench(config: Config) -> Bench:
    """Open the bench of a config. Raises BenchError."""
    from engine.bench import Bench

    return Bench.open(config.data, config.bench)


def import_execution() -> None:
    """Import what a run needs, which is slow, so that its start does not block the event loop."""
    import engine.run
    import engine.work.execution  # noqa: F401


def writer_of_bench(bench: Bench) -> BenchLocked | None:
    """Return the other process that writes to the bench; None without one."""
    from engine.bench.lock import writer_of

    return writer_of(bench.paths)


def follower_of(bench: Bench) -> Follower:
    """Return what reads the records that another process saves."""
    from engine.work.following import Follower

    return Follower(bench)


def planned(plan: Plan) -> RunState:
    """Return the state of a run that has not started."""
    state = RunState()
    for task in (*plan.answers, *plan.judgments):
        state = reduce(state, TaskPlanned(task.key, task.total, task.cached, task.stale))
    return state


def bug(error: Exception) -> ArenaError:
    """Return the error to show for a defect that ended a run."""
    return ArenaError(f"run aborted by a bug in arena-tui: {error!r}", "saved records are intact")


def failed(state: RunState) -> RunState:
    """Return the state of a run that ended before its work was done."""
    return reduce(state, RunEnded("failed", steady_now()))
