"""The only place that puts the parts together: one `Run`, one stream of events, one state.

    config + bench -> survey -> answers lanes -> survey again -> judgments lanes -> everything on disk

A run owns the bench (its lock and its writer) while it lasts. It starts nothing that it does not end.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Literal, TypeVar

import aiohttp

from engine.bench import Bench
from engine.bench.lock import BenchLock
from engine.bench.recover import recover
from engine.bench.writer import BenchWriter
from engine.config.model import Config
from engine.config.sampling import judge_sampling
from engine.errors import CallFailed
from engine.events import Event, Notice, RunEnded, Stage, StageStarted, TaskPlanned
from engine.models.client import ModelClient
from engine.models.session import open_session
from engine.models.tokens import TokenCounter, load_counter
from engine.work.jobs import AnswerJob, AnswerUnit, GameUnit, JudgeJob, Unit
from engine.work.order import question_major
from engine.work.play import AnswerPlayer, JudgePlayer
from engine.work.progress import RunState, reduce
from engine.work.reach import reachable
from engine.work.recorder import Recorder
from engine.work.roster import has_endpoint
from engine.work.scheduler import Gate, Lane
from engine.work.survey import Scope, Survey, survey

Listener = Callable[[Event], None]
GRACE_SECONDS = 10.0  # how long calls in flight may go on after a stop

UnitT = TypeVar("UnitT", bound=Unit)


class Run:
    """One run of a config on its bench. Use it once: `await run.execute()`.

    `state` is the run as it stands; `listen` adds a callback that sees every event after it was folded in. `pause`,
    `resume` and `stop` may be called from the loop at any time.
    """

    def __init__(self, config: Config, scope: Scope | None = None, *, grace: float = GRACE_SECONDS) -> None:
        self.config = config
        self.scope = scope or Scope()
        self.state = RunState()
        self.bench = Bench.open(config.data, config.bench)
        self.gate = Gate()
        self.clients: dict[str, ModelClient] = {}
        self._grace = grace
        self._listeners: list[Listener] = []
        self._main: asyncio.Task[None] | None = None
        self._unreachable = False
        self._parts_before = False
        self._recorder: Recorder | None = None

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
        for client in self.clients.values():
            client.close()
        if self._main is not None:
            asyncio.get_running_loop().call_later(self._grace, self.abort)

    def abort(self) -> None:
        """Stop at once; what is in flight is lost, what is finished is kept."""
        self.gate.close()
        if self._main is not None and not self._main.done():
            self._main.cancel()

    async def execute(self) -> RunState:
        """Do all of it. Raises ArenaError for what a user must mend. A stop is no error: the state's phase tells."""
        with BenchLock(self.bench.paths):
            for cut in recover(self.bench.paths):
                self._notice("warning", str(cut))
            if self.bench.paths.journal.exists():
                self.bench.compact_journal()  # so that interrupted runs do not let it grow
            async with BenchWriter(self.bench.paths, on_saved=self._on_saved) as writer:
                self._main = asyncio.create_task(self._stages(writer))
                try:
                    await self._main
                except asyncio.CancelledError:
                    if not self.gate.closed:
                        self._main.cancel()
                        raise
            if writer.failure is not None:  # a stop was under way when the disk gave out
                raise writer.failure
            if not self.gate.closed:
                self._close_journal()
        self._emit(RunEnded(self._outcome(), time.time()))
        return self.state

    def _close_journal(self) -> None:
        """Drop the journal if every part in it has found its record, as after a run without trouble; else tidy it."""
        if self._parts_before or self._recorder is None or self._recorder.unfinished:
            self.bench.compact_journal()
        else:
            self.bench.paths.journal.unlink(missing_ok=True)

    def _outcome(self) -> Literal["done", "failed", "interrupted"]:
        if self.gate.closed:
            return "interrupted"
        return "failed" if self.state.failed or self._unreachable else "done"

    async def _stages(self, writer: BenchWriter) -> None:
        recorder = self._recorder = Recorder(self.bench.paths, writer)
        self._parts_before = self.bench.paths.journal.exists()
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session())
            counter_coming = asyncio.create_task(load_counter()) if self.scope.answers else None
            plan = await self._survey(first=True)
            if any(task.jobs for task in plan.answers):
                counter = await counter_coming if counter_coming else None
                await self._answers(plan, session, recorder, counter)
                await writer.flush()
                if self.scope.judgments and not self.gate.closed:
                    plan = await self._survey(first=False)
            elif counter_coming:
                counter_coming.cancel()
            if not self.gate.closed and any(task.jobs for task in plan.judgments):
                await self._judgments(plan, session, recorder)
            await writer.flush()

    async def _survey(self, *, first: bool) -> Survey:
        found = await asyncio.to_thread(survey, self.config, self.bench, self.scope)
        self.bench.register_settings(found.settings)
        for task in (*(found.answers if first else ()), *found.judgments):
            self._emit(TaskPlanned(task.task, task.total, task.cached, task.stale))
        if first:
            for warning in found.warnings:
                self._notice("warning", warning)
            for line in stale_notes(self.bench, found):
                self._notice("warning", line)
        return found

    async def _answers(
        self, plan: Survey, session: aiohttp.ClientSession, recorder: Recorder, counter: TokenCounter | None
    ) -> None:
        lanes = []
        for task in plan.answers:
            if task.jobs and (client := await self._client(task.task.model, session)):
                units = [unit for job in task.jobs if isinstance(job, AnswerJob) for unit in job.units()]
                served_name = self.config.served_name(task.task.model)
                player = AnswerPlayer(client, served_name, counter, recorder)
                lanes.append(self._lane(units, client, player.play, recorder))
        await self._run_lanes("answers", lanes)

    async def _judgments(self, plan: Survey, session: aiohttp.ClientSession, recorder: Recorder) -> None:
        lanes = []
        for judge, judging in plan.judging.items():
            jobs = [
                job
                for task in plan.judgments
                if task.task.judge == judge
                for job in task.jobs
                if isinstance(job, JudgeJob)
            ]
            if jobs and (client := await self._client(judge, session)):
                served_name = self.config.served_name(judge)
                sampling = judge_sampling(self.config, judge)
                player = JudgePlayer(client, served_name, sampling, judging.prompt, judging.labels, recorder)
                lanes.append(self._lane(question_major(jobs), client, player.play, recorder))
        await self._run_lanes("judgments", lanes)

    def _lane(
        self,
        units: Sequence[UnitT],
        client: ModelClient,
        play: Callable[[UnitT], Awaitable[None]],
        recorder: Recorder,
    ) -> Lane[UnitT]:
        def fail(unit: UnitT, error: CallFailed) -> None:
            recorder.fail(unit, error)

        return Lane(units, client, play, fail, self.gate)

    async def _run_lanes(self, stage: Stage, lanes: Sequence[Lane[AnswerUnit] | Lane[GameUnit]]) -> None:
        if not lanes:
            return
        # The plan lives as long as the stage: the garbage collector need not look through its thousands of texts again
        # and again (a tenth of the engine's time).
        gc.freeze()
        self._emit(StageStarted(stage, time.time()))
        running = [asyncio.create_task(lane.run()) for lane in lanes]
        try:
            await asyncio.gather(*running)
        finally:  # one lane broke, or all of them are cancelled: none may outlive the stage
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            gc.unfreeze()

    async def _client(self, name: str, session: aiohttp.ClientSession) -> ModelClient | None:
        """A client for the endpoints of a model that serve it, or None after telling why there is none."""
        if not has_endpoint(self.config, name):
            self._unreachable = True
            serve = " (this version does not start servers itself)" if self.config.models[name].serve else ""
            self._notice("error", f"{name}: there is work for it, but its entry in the config has no endpoint{serve}")
            return None
        endpoints, unfit = await reachable(session, self.config, name)
        for report in unfit:
            self._notice("warning" if endpoints else "error", f"{name}: {report.url}: {report.error}. {report.hint}")
        if not endpoints:
            self._unreachable = True
            return None
        entry = self.config.models[name]
        self.clients[name] = ModelClient(
            name,
            endpoints,
            parallel=entry.parallel,
            rate=entry.rate,
            timeout=entry.timeout,
            idle_timeout=entry.idle_timeout,
            attempts=entry.attempts,
            session=session,
            emit=self._emit,
        )
        return self.clients[name]

    def _on_saved(self, announcements: Sequence[object]) -> None:
        for event in announcements:
            if event is not None:
                self._emit(event)  # type: ignore[arg-type]

    def _notice(self, level: str, text: str) -> None:
        self._emit(Notice(level, text, time.time()))  # type: ignore[arg-type]

    def _emit(self, event: Event) -> None:
        self.state = reduce(self.state, event)
        for listener in self._listeners:
            listener(event)


def stale_notes(bench: Bench, found: Survey) -> list[str]:
    """One line for each group of cached records that were made with other settings than today's."""
    return [
        f"{count} {task.task.stage} of {task.task.model} were made with "
        f"{bench.describe_settings(digest, found.settings)}; --refresh stale makes them again"
        for task in (*found.answers, *found.judgments)
        for digest, count in task.settings_found.items()
    ]
