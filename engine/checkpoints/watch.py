"""The loop of a watch: finds checkpoints, evaluates one after the other, reports each, and stops when it is asked to.

What is left to do follows from the folders and the bench alone: a restart goes on where the last watch was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from engine.bench import Bench
from engine.bench.atomic import storage_error
from engine.bench.lock import until_free
from engine.checkpoints.evaluation import CarryOut, Evaluator, Interrupted
from engine.checkpoints.options import WatchOptions
from engine.checkpoints.report import CheckpointReport, CheckpointState, WatchEvent, WatchNotice
from engine.checkpoints.servers import KeptServers
from engine.checkpoints.standings import CALLED, best_of, level_of, survey
from engine.config.model import Config
from engine.errors import ArenaError, BenchLocked, UsageProblem, as_line
from engine.events import Event, NoticeLevel
from engine.ratings.stop_rule import Standing
from engine.run import SERVER_GRACE_SECONDS, Run
from engine.serving.held import is_held, lock_of
from engine.watching.entries import asking_only, name_for, template_of, with_checkpoint
from engine.watching.folders import examine_folder, fingerprint
from engine.watching.ledger import WatchedCheckpoint, load_checkpoints, register_checkpoint
from engine.watching.scan import FoundFolder, Scanner, in_order

TRIES = 2  # of a checkpoint, after which its failure is reported
LATER_TRIES = 4  # after that, for a server that is down for a while; not with `once`


class Watch:
    """One watch of a training. Use it once: `await watch.run()`.

    `emit` gets what is reported, `heard` the events of the servers that are kept, `carry_out` executes a run (by
    default `Run.execute`).
    """

    def __init__(
        self,
        config: Config,
        options: WatchOptions,
        emit: Callable[[WatchEvent], None],
        *,
        heard: Callable[[Event], None] = lambda _: None,
        carry_out: CarryOut = Run.execute,
    ) -> None:
        self.options = options
        self.bench = Bench.open(config.data, config.bench)
        self.reports: dict[str, CheckpointReport] = {}  # the last one of each checkpoint
        self._config = options.applied_to(config)
        self._emit = emit
        self._folder = options.folder.resolve() if options.folder is not None else None
        self._scanner = Scanner(self._folder, options.pattern)
        self._kept = KeptServers(self.bench.paths.logs, heard, SERVER_GRACE_SECONDS)
        self._evaluator = Evaluator(
            self._config, self.bench, options, self._kept, carry_out, lambda text: self._say("info", text)
        )
        self._known = load_checkpoints(self.bench.paths)
        self._standings: dict[str, Standing] = {}  # of those that need nothing more, or can get nothing more
        self._requested: dict[Path, int | None] = {}  # steps by folder
        self._tries: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._said: set[str] = set()
        self._complete_since: dict[Path, float] = {}
        self._compared: dict[Path, float] = {}  # time of the last file when the weights were last compared
        self._woken = asyncio.Event()
        self._stopping = False
        self._idle_since = time.monotonic()
        self._began = time.time()

    # -- from outside

    @property
    def best(self) -> str | None:
        """The best checkpoint so far: the one whose score has the highest lower limit."""
        return best_of(self._standings)

    @property
    def was_stopped(self) -> bool:
        """Whether it was stopped before it was through."""
        return self._stopping

    @property
    def is_gone(self) -> bool:
        """Whether the folder of the checkpoint that is evaluated was deleted, so that errors of its calls say nothing
        new."""
        return self._evaluator.is_gone

    def request(self, path: Path, step: int | None) -> str:
        """Take the folder of a checkpoint that a trainer names; return the name of its model. Raises UsageProblem."""
        path = path.resolve()
        if not path.is_dir():
            raise UsageProblem(f"{path}: no such folder on this machine", "name the folder of the checkpoint")
        model = self._name(path, self._relative(path), "")
        known = self._known.get(model)
        if known is None:  # written down at once, so that a next watch knows of it
            kind = examine_folder(path).kind or "model"
            known = WatchedCheckpoint(model, str(path), kind, tstamp=round(time.time(), 3))
        self._keep(msgspec.structs.replace(known, step=known.step if step is None else step))
        self._requested[path] = step
        self._tries.pop(model, None)
        self._woken.set()
        return model

    def waiting(self) -> list[str]:
        """Return the folders that were named in requests and are not evaluated yet."""
        done = {each.path for each in self.reports.values()}
        return [str(path) for path in self._requested if str(path) not in done]

    def stop(self) -> None:
        """Start nothing more: the run in progress is stopped in order; with a second call, at once."""
        self._stopping = True
        self._evaluator.stop()
        self._kept.abort()
        self._woken.set()

    # -- the loop

    async def run(self) -> None:
        """Watch until `stop`, with `once` until nothing is left. Raises ArenaError for what a user must fix."""
        paths = self.bench.paths
        lock = FileLock(paths.watch_lock, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            hint = "one watch at a time evaluates checkpoints for a bench; stop it first"
            raise BenchLocked(f"another process watches a training for the bench {paths.name}", hint) from None
        except OSError as error:
            raise storage_error(paths.root, error) from error
        try:
            await self._read_known()
            await self._loop()
        finally:
            await self._kept.close()
            lock.release()

    async def _loop(self) -> None:
        while not self._stopping:
            self._woken.clear()
            named = [*self._requested, *(Path(each.path) for each in self._known.values())]
            found = await asyncio.to_thread(self._scanner.look, named)
            for each in found:
                if each.state.refused:
                    self._say("warning", f"{each.name}: not evaluated: {each.state.refused}")
            left = [each for each in in_order(found, self.options.order) if self._is_open(each)]
            ready = [each for each in left if each.is_ready]
            for each in ready:
                self._complete_since.setdefault(each.path, time.monotonic())
            if ready:
                await self._take(ready[0])
                self._idle_since = time.monotonic()
            elif self.options.once and all(each.is_stable for each in left):
                for each in left:
                    self._say("warning", f"{each.name}: not evaluated: waits for {each.waits_for}")
                return
            else:
                await self._close_idle()
                await self._pause()

    async def _take(self, found: FoundFolder) -> None:
        """Evaluate a folder and report it; a problem of one checkpoint does not end the watch."""
        checkpoint = await self._register(found)
        if checkpoint is None:
            self._say("warning", f"{found.name}: deleted before its evaluation began")
            return
        model = checkpoint.model
        self._tries[model] = self._tries.get(model, 0) + 1
        self.reports[model] = self._report(checkpoint, "evaluating")
        best = self._known.get(self.best) if self.best is not None else None
        now = time.monotonic()
        waited = now - self._complete_since.get(found.path, now)
        if found.changed >= self._began:  # written while this watch looked on
            waited = max(waited, time.time() - found.changed)
        try:
            report = await self._evaluator.evaluate(checkpoint, best, waited, self._level(model))
        except Interrupted:
            self.reports[model] = self._report(checkpoint, "interrupted")
            if not self._stopping:
                self._say("info", "its run was stopped by another process, so the watch ends")
                self.stop()
            return
        except BenchLocked as busy:
            self._tries[model] -= 1
            self.reports[model] = self._report(checkpoint, "waiting", as_line(busy.title))
            self._say("warning", f"{model}: waiting until the bench is free: {as_line(busy.title)}")
            await self._until_free()
            return
        except ArenaError as error:
            if self._stopping:
                self.reports[model] = self._report(checkpoint, "interrupted")
                return
            if found.path.is_dir():
                report = self._report(checkpoint, "failed", as_line(error.title, error.hint))
            else:
                report = self._report(checkpoint, "deleted", "its folder was deleted before its evaluation began")
        if report.standing is not None and report.state in ("evaluated", "deleted"):
            self._standings[model] = report.standing
        self.reports[model] = report = msgspec.structs.replace(report, is_best=self.best == model)
        tries = self._tries[model]
        if report.state != "failed" or tries == TRIES:
            self._emit(report)
        elif tries < TRIES:
            self._say("warning", f"{model}: {report.message}; trying again")
        if tries >= TRIES:
            self._retry_at[model] = time.monotonic() + self.options.retry_seconds * 2.0 ** (tries - TRIES)

    async def _register(self, found: FoundFolder) -> WatchedCheckpoint | None:
        """Write down the checkpoint; return None if its folder has gone meanwhile."""
        assert found.state.kind is not None
        try:
            weights = await asyncio.to_thread(fingerprint, found.path, found.state.kind)
        except OSError:
            return None
        model = self._name(found.path, self._relative(found.path), weights)
        known, asked = self._known.get(model), self._requested.get(found.path)
        kept = known.step if known is not None and known.step is not None else found.step
        checkpoint = WatchedCheckpoint(
            model=model,
            path=str(found.path),
            kind=found.state.kind,
            step=kept if asked is None else asked,
            weights=weights,
            tstamp=round(time.time(), 3),
        )
        self._keep(checkpoint)
        return checkpoint

    def _keep(self, checkpoint: WatchedCheckpoint) -> None:
        register_checkpoint(self.bench.paths, checkpoint)
        self._known[checkpoint.model] = checkpoint

    async def _read_known(self) -> None:
        """Read where the checkpoints of earlier watches stand."""
        answered = set(await asyncio.to_thread(self.bench.models_with_answers))
        models = [model for model in self._known if model in answered]
        config = self._config
        for model in models:
            checkpoint = self._known[model]
            if checkpoint.is_on_disk:
                with suppress(UsageProblem):  # reported when it is taken
                    like = template_of(self._config, checkpoint, self.options.like)
                    config = with_checkpoint(config, checkpoint, like)
        order, asked = list(self._known), asking_only(config, models)
        found = await asyncio.to_thread(survey, asked, self.bench, self.options.scope, models, order)
        for model, surveyed in found.items():
            checkpoint = self._known[model]
            is_deleted = not checkpoint.is_on_disk
            if not surveyed.is_finished and not is_deleted:
                continue
            standing = surveyed.standing if surveyed.standing.questions else None
            if standing is not None:
                self._standings[model] = standing
            report = self._report(checkpoint, "evaluated" if surveyed.is_finished else "deleted")
            self.reports[model] = msgspec.structs.replace(report, standing=standing)
        if self.reports:
            self._say("info", f"{_counted(len(self.reports))} evaluated before; best so far: {self.best or 'none'}")

    def _level(self, model: str) -> float:
        """Return the error that may be spent on a checkpoint now: see `level_of`."""
        called = {name: standing.verdict in CALLED for name, standing in self._standings.items()}
        return level_of(self.options.until, model, list(self._known), called)

    # -- what is open

    def _is_open(self, found: FoundFolder) -> bool:
        """Return whether a folder is to be evaluated, now or when it is complete."""
        if found.state.kind is None or found.state.refused:
            return False
        of_folder = [name for name, each in self._known.items() if each.path == str(found.path)]
        if not of_folder:
            return True
        model = of_folder[-1]
        report = self.reports.get(model)
        if report is not None and report.state in ("evaluated", "deleted"):
            return not found.is_stable or self._has_other_weights(found, model)
        tries = self._tries.get(model, 0)
        if tries < TRIES:
            return True
        may_retry = not self.options.once and tries < TRIES + LATER_TRIES
        return may_retry and time.monotonic() >= self._retry_at.get(model, 0.0)

    def _has_other_weights(self, found: FoundFolder, model: str) -> bool:
        """Return whether a training has written another checkpoint into the folder of an evaluated one."""
        assert found.state.kind is not None
        if not found.is_ready or self._compared.get(found.path) == found.changed:
            return False
        self._compared[found.path] = found.changed
        try:
            return fingerprint(found.path, found.state.kind) != self._known[model].weights
        except OSError:
            return False

    def _relative(self, path: Path) -> str:
        folder = self._folder
        return str(path.relative_to(folder)) if folder is not None and path.is_relative_to(folder) else path.name

    def _name(self, path: Path, relative: str, weights: str) -> str:
        stem = self.options.like or (self._folder.name if self._folder is not None else path.parent.name)
        return name_for(path, relative, stem or self.bench.name, weights, self._known)

    # -- helpers

    def _report(self, checkpoint: WatchedCheckpoint, state: CheckpointState, message: str = "") -> CheckpointReport:
        return CheckpointReport(
            model=checkpoint.model,
            step=checkpoint.step,
            path=checkpoint.path,
            kind=checkpoint.kind,
            state=state,
            baseline=self._config.judge.baseline,
            message=message,
        )

    def _say(self, level: NoticeLevel, text: str) -> None:
        """Report a line, each text once."""
        if text not in self._said:
            self._said.add(text)
            self._emit(WatchNotice(level, text))

    async def _close_idle(self) -> None:
        """Stop kept servers when none was needed for long, or when another program wants the machine."""
        if not self._kept.is_up:
            return
        is_old = time.monotonic() - self._idle_since > self.options.idle_seconds
        if is_old or await asyncio.to_thread(is_held, lock_of(self._config)):
            await self._kept.close()

    async def _until_free(self) -> None:
        """Wait until no other process writes to the bench, or until the watch is stopped."""
        tasks = [asyncio.create_task(until_free(self.bench.paths)), asyncio.create_task(self._woken.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self) -> None:
        """Wait for the next look, or until something happens."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.poll):
                await self._woken.wait()


def _counted(checkpoints: int) -> str:
    return "1 checkpoint was" if checkpoints == 1 else f"{checkpoints} checkpoints were"
