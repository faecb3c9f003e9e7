"""The evaluation of one checkpoint: its servers, its runs, and where it stands then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from engine.bench import Bench
from engine.checkpoints.options import WatchOptions
from engine.checkpoints.report import BestComparison, CheckpointReport, CheckpointState
from engine.checkpoints.servers import KeptServers, idle_gpus, on_gpus
from engine.checkpoints.standings import Surveyed, against, survey
from engine.config.model import Config
from engine.errors import ArenaError
from engine.events import CallEnded, CallStarted, Event, Notice
from engine.run import Run
from engine.watching.entries import asking_only, template_of, with_checkpoint
from engine.watching.ledger import WatchedCheckpoint
from engine.work.plan import Scope, make_plan
from engine.work.progress import RunState

LOOK_SECONDS = 0.5  # between two looks whether the folder is still there
CarryOut = Callable[[Run], Awaitable[RunState]]


class Interrupted(Exception):
    """The watch, or the run of an evaluation, was stopped."""


@dataclass
class _Calls:
    """The calls of an evaluation: how many, and for how long at least one was in flight."""

    count: int = 0
    seconds: float = 0.0
    last_error: str = ""
    _in_flight: int = 0
    _since: float = 0.0

    def hear(self, event: Event) -> None:
        if isinstance(event, CallStarted):
            self.count += 1
            if not self._in_flight:
                self._since = time.monotonic()
            self._in_flight += 1
        elif isinstance(event, CallEnded):
            self._in_flight -= 1
            if not self._in_flight:
                self.seconds += time.monotonic() - self._since
        elif isinstance(event, Notice) and event.level == "error":
            self.last_error = str(event.text)


class Evaluator:
    """Evaluates checkpoints one at a time. `carry_out` executes a run, `say` gets a line for people."""

    def __init__(
        self,
        config: Config,
        bench: Bench,
        options: WatchOptions,
        kept: KeptServers,
        carry_out: CarryOut,
        say: Callable[[str], None],
    ) -> None:
        self.is_gone = False  # the folder of the checkpoint was deleted during its evaluation
        self._config = config
        self._bench = bench
        self._options = options
        self._kept = kept
        self._carry_out = carry_out
        self._say = say
        self._run: Run | None = None
        self._stopping = asyncio.Event()
        self._has_baseline = False
        self._scope = options.scope  # of the checkpoint that is evaluated

    def stop(self) -> None:
        """Stop the run in progress in order; the second time at once."""
        if self._run is not None:
            if self._stopping.is_set():
                self._run.abort()
            else:
                self._run.stop()
        self._stopping.set()

    async def evaluate(
        self, checkpoint: WatchedCheckpoint, best: WatchedCheckpoint | None, waited: float, alpha: float
    ) -> CheckpointReport:
        """Evaluate until the stop rule needs nothing more; see `CheckpointReport` for `waited` and `alpha`.

        Raises Interrupted after `stop`, and ArenaError for what keeps it from being evaluated.
        """
        self.is_gone = False
        self._scope = self._at_level(alpha)
        started, calls = time.monotonic(), _Calls()
        config = self._with(self._config, checkpoint)
        surveyed = await self._survey(config, checkpoint)
        if surveyed is None or not surveyed.is_finished:
            await self._make(checkpoint, best, calls)
            surveyed = await self._survey(config, checkpoint)
        state: CheckpointState = "evaluated" if surveyed is not None and surveyed.is_finished else "failed"
        message = ""
        if state == "failed" and self.is_gone:
            state = "deleted"
            count = surveyed.standing.questions if surveyed is not None else 0
            message = f"its folder was deleted during its evaluation; {count} judged questions are kept"
        elif state == "failed":
            message = calls.last_error or "some calls failed; the reasons are in errors.jsonl"
        standing = surveyed.standing if surveyed is not None else None
        return CheckpointReport(
            model=checkpoint.model,
            step=checkpoint.step,
            path=checkpoint.path,
            kind=checkpoint.kind,
            state=state,
            baseline=self._config.judge.baseline,
            standing=standing if standing is not None and standing.questions else None,
            alpha=alpha,
            best=await self._against(checkpoint, best),
            calls=calls.count,
            waited=round(waited, 3),
            seconds=round(time.monotonic() - started, 3),
            seconds_of_calls=round(calls.seconds, 3),
            message=message,
        )

    def _at_level(self, alpha: float) -> Scope:
        """Return the scope of one checkpoint, which decides with a probability `alpha` of a wrong decision."""
        scope = self._options.scope
        assert scope.until is not None
        return replace(scope, until=msgspec.structs.replace(scope.until, alpha=alpha))

    # -- the runs

    async def _make(self, checkpoint: WatchedCheckpoint, best: WatchedCheckpoint | None, calls: _Calls) -> None:
        like = template_of(self._config, checkpoint, self._options.like)
        config = await self._on_gpus(self._with(self._config, checkpoint))
        kept = {*config.judge.model, *([like] if checkpoint.kind == "adapter" else [])}
        if any(config.models[name].serve is not None for name in self._baselines(config) if name not in kept):
            await self._answer_baselines(config)  # by a server of its own, before those of checkpoints need the GPUs
        self._raise_if_stopping()
        config = await self._kept.serve(config, checkpoint, like)
        self._raise_if_stopping()
        await self._answer_baselines(config)
        alone, scope = asking_only(config, [checkpoint.model]), replace(self._scope, models=(checkpoint.model,))
        if not await self._kept.mixes(config, checkpoint, like):
            self._say(
                f"{like}: its server gives other replies to the base model in batches with adapters (a known fault of "
                "vLLM 0.32 on CPUs), so all answers of a checkpoint are made before its judgments"
            )
            await self._carry(alone, replace(scope, until=None, judgments=False), checkpoint, calls)
        if not self.is_gone or checkpoint.kind == "adapter":
            await self._carry(alone, scope, checkpoint, calls)
        rule = self._options.until_best
        if rule is None or best is None or checkpoint.kind != "adapter" or best.kind != "adapter" or self.is_gone:
            return
        if best.is_on_disk:
            both = await self._kept.serve(self._with(config, best), best, like)
            until = msgspec.structs.replace(rule, opponent=best.model)
            names = (checkpoint.model, best.model)
            await self._carry(
                asking_only(both, list(names)), replace(scope, models=names, until=until), checkpoint, calls
            )

    async def _answer_baselines(self, config: Config) -> None:
        """Make the missing answers of the baselines, once."""
        names = self._baselines(config)
        if self._has_baseline or not names:
            return
        scope = Scope(models=tuple(names), limit=self._options.limit, judgments=False, wait=self._options.wait)
        asked = asking_only(config, names)
        plan = await asyncio.to_thread(make_plan, asked, self._bench, scope)
        if plan.has_work:
            self._say(f"answers of the baseline come first: {plan.calls} calls, once")
            await self._carry(asked, scope, None, _Calls())
        self._has_baseline = True

    def _baselines(self, config: Config) -> list[str]:
        """Return the baselines that can be called."""
        names = [name for name in config.judge.pairing.names if name in config.models]
        return [name for name in names if config.models[name].can_be_called]

    async def _carry(self, config: Config, scope: Scope, checkpoint: WatchedCheckpoint | None, calls: _Calls) -> None:
        """Execute one run. Raises Interrupted where the watch was stopped."""
        self._raise_if_stopping()
        run = Run(config, scope)
        run.listen(calls.hear)
        self._run = run
        looking = asyncio.create_task(self._look_after(run, checkpoint)) if checkpoint is not None else None
        try:
            state = await self._carry_out(run)
        finally:
            self._run = None
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
        if checkpoint is not None and not checkpoint.is_on_disk:
            self.is_gone = True
        if state.phase == "interrupted" and not self.is_gone:  # by the watch, or by another process that is attached
            raise Interrupted
        self._raise_if_stopping()

    async def _look_after(self, run: Run, checkpoint: WatchedCheckpoint) -> None:
        """Abort a run whose model was deleted before its server had loaded it; weights in memory stay."""
        while True:
            if not await asyncio.to_thread(lambda: checkpoint.is_on_disk):
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.is_gone = True
        own = [server for server in run.servers if checkpoint.model in server.spec.entries]
        if checkpoint.kind == "model" and not any(server.is_ready for server in own):
            run.abort()

    async def _on_gpus(self, config: Config) -> Config:
        """Return the config with the GPUs for this evaluation; wait until one is idle where none was named."""
        named = self._options.gpus if self._options.gpus is not None else self._config.vllm.gpus
        if named is not None:
            return on_gpus(config, named)
        while (idle := await asyncio.to_thread(idle_gpus, self._kept.gpus)) == []:
            self._say("no GPU is idle; waiting for one")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.poll):
                    await self._stopping.wait()
            self._raise_if_stopping()
        return config if idle is None else on_gpus(config, idle)

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Interrupted

    # -- what came of them

    def _with(self, config: Config, checkpoint: WatchedCheckpoint) -> Config:
        return with_checkpoint(config, checkpoint, template_of(self._config, checkpoint, self._options.like))

    async def _survey(self, config: Config, checkpoint: WatchedCheckpoint) -> Surveyed | None:
        """Return where the checkpoint stands; None where the bench holds nothing of one that is deleted."""
        model = checkpoint.model
        if self.is_gone:
            config = self._config
        try:
            found = await asyncio.to_thread(survey, asking_only(config, [model]), self._bench, self._scope, [model])
        except ArenaError as error:
            if self.is_gone:
                return None
            raise error
        return found.get(model)

    async def _against(self, checkpoint: WatchedCheckpoint, best: WatchedCheckpoint | None) -> BestComparison | None:
        if best is None or best.model == checkpoint.model:
            return None
        config = self._config
        for each in (checkpoint, best):  # what their servers could still answer is not passed over
            config = self._with(config, each) if each.is_on_disk else config
        config = asking_only(config, [checkpoint.model, best.model])
        scope = self._options.scope
        found = await asyncio.to_thread(against, config, self._bench, scope, checkpoint.model, best.model)
        return None if found is None else BestComparison(model=best.model, step=best.step, standing=found)
