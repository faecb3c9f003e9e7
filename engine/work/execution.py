"""Carries out a plan that has work: session, token counter, servers, workers. Not imported where nothing is missing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config.model import Config
from engine.events import Event
from engine.models.client import ModelClient
from engine.models.connection import open_session
from engine.models.tokens import load_counter
from engine.serving.endpoints import ConfiguredEndpoints
from engine.serving.plan import server_plan
from engine.work.plan import Plan, Scope
from engine.work.progress import RunState
from engine.work.provenance import run_record
from engine.work.queue import Gate, Pipeline
from engine.work.recorder import Recorder
from engine.work.worker import Resources, Workers

if TYPE_CHECKING:
    from engine.serving.fleet import Fleet
    from engine.serving.server import VllmServer


class Execution:
    """The parts of a run that make calls: workers on the queues of a pipeline, and the servers that the run starts."""

    def __init__(self, plan: Plan, pipeline: Pipeline, workers: Workers, fleet: Fleet | None) -> None:
        self._plan = plan
        self._pipeline = pipeline
        self._workers = workers
        self._fleet = fleet

    @property
    def clients(self) -> Mapping[str, ModelClient]:
        return self._workers.clients

    @property
    def servers(self) -> Sequence[VllmServer]:
        return tuple(self._fleet.servers.values()) if self._fleet is not None else ()

    @property
    def has_unreachable(self) -> bool:
        """Whether a model with work could not be called."""
        return self._workers.has_unreachable

    async def run(self) -> None:
        """Make every record that is wanted. Raises what broke one (StorageError, a defect)."""
        # The plan lives as long as the work: the garbage collector need not look through its thousands of texts
        # again and again (a tenth of the engine's time).
        gc.freeze()
        try:
            await self._workers.run()
        finally:
            gc.unfreeze()

    def stop(self) -> None:
        """Start no more calls; those in flight continue."""
        self._pipeline.stop()
        self._wind_down()

    def abort(self) -> None:
        """Kill the servers of the run at once."""
        if self._fleet is not None:
            self._fleet.stop(at_once=True)

    def expire(self) -> None:
        """Start nothing more and let what is in flight finish, as after a last question: time is up."""
        self._pipeline.expire()
        self._wind_down()

    def record(self, config: Config, scope: Scope, state: RunState) -> dict[str, Any] | None:
        """Return what `runs/<id>.json` holds; None while no model was found that can be called.

        `config` is that of now: limits of models may change during a run.
        """
        reports = self._workers.reports
        return run_record(config, scope, self._plan, reports, self.servers, state) if reports else None

    def _wind_down(self) -> None:
        self._workers.stop()
        if self._fleet is not None:
            self._fleet.stop()


@asynccontextmanager
async def open_execution(
    config: Config,
    plan: Plan,
    pipeline: Pipeline,
    recorder: Recorder,
    gate: Gate,
    *,
    emit: Callable[[Event], None],
    flush: Callable[[], Awaitable[None]],
    found: Callable[[], None],
    logs: Path,
    runs: Path,
    server_grace: float,
    deadline: float | None,
    wait: float,
) -> AsyncIterator[Execution]:
    """Make the parts, and end them with the block. See `Resources` for `flush` and `Workers` for `found`.

    At the `deadline`, by the clock of the loop, the execution expires. See `Scope` for `wait`.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        loading = asyncio.create_task(load_counter()) if pipeline.answers else None
        if loading is not None:
            stack.callback(loading.cancel)
        configured = ConfiguredEndpoints(config, session, emit, wait=wait)
        names = [name for name in pipeline.models if pipeline.has_work(name)]
        servers = await asyncio.to_thread(server_plan, config, names, list(pipeline.games))
        if servers.servers and not servers.all_at_once:  # then no server may wait for results of another
            for judge in pipeline.games:
                pipeline.judge_waits(judge)
        fleet = None
        if servers.servers:
            from engine.serving.fleet import Fleet

            fleet = Fleet(
                config,
                servers,
                names,
                configured,
                logs=logs,
                emit=emit,
                grace=server_grace,
                runs=runs,
            )
            stack.push_async_callback(fleet.close)
            await fleet.prepare()
        resources = Resources(session, recorder, await loading if loading else None, gate, emit, flush)
        workers = Workers(config, plan, pipeline, fleet or configured, resources, found=found)
        execution = Execution(plan, pipeline, workers, fleet)
        if deadline is not None:
            stack.callback(asyncio.get_running_loop().call_at(deadline, execution.expire).cancel)
        yield execution
