"""One `vllm serve` process tree: start, watch, restart after a crash, stop with everything it started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from engine.bench.names import file_stem
from engine.errors import ArenaError, CallFailed, FailureKind, as_line
from engine.events import Event, ServerChanged, ServerStatus, notice, steady_now
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.redaction import argument_secrets, masked
from engine.serving.adapters import base_stays_itself, load_adapter
from engine.serving.place import LocalPlace, RunningServer, ServerPlace
from engine.serving.plan import PlannedServer
from engine.serving.process import LOOPBACK
from engine.serving.ready import first_call, until_healthy
from engine.serving.registry import base_url
from engine.serving.server_log import Cause, ServerLog, Startup, exit_cause, follow, inherited_secrets

RETRY_PAUSE_SECONDS = 5.0  # before another start after a transient cause
TRIES = 3
LAST_LINES = 300  # of its log, searched for the cause of an exit
LEAST_STEP = 0.05  # share of a stage that is worth an event


class ServerFailed(ArenaError):
    """A server did not start, or exited too often."""

    exit_code = 1


@dataclass(frozen=True)
class ServerSettings:
    """Settings shared by all servers of a run: `key` (sent with every call, never written), `grace` (seconds).

    Servers listen at `listen` and are called at `host`.
    """

    command: Sequence[str]
    key: str
    logs: Path
    start_timeout: float = 1800.0
    restarts: int = 3
    grace: float = 30.0
    host: str = LOOPBACK
    listen: str = LOOPBACK
    secrets: Sequence[str] = ()  # of the config, beside those of the server itself
    lock: Path | None = None  # see `LocalPlace`
    nice: int = 0


class VllmServer:
    """One server of the plan: `wait_ready` starts it, `stop` stops it; every change of state is an event.

    Attached clients hold their calls while it is down. `port` and `key` are those of the endpoint in the config;
    without them a free port is picked and the key of the run is used. `place` is where it runs: on this machine unless
    one is given, then perhaps elsewhere at each start.
    """

    def __init__(
        self,
        planned: PlannedServer,
        settings: ServerSettings,
        session: aiohttp.ClientSession,
        emit: Callable[[Event], None],
        port: int | None = None,
        key: str | None = None,
        expected: float | None = None,
        place: ServerPlace | None = None,
    ) -> None:
        self.name = planned.name
        self.spec = planned.spec
        self.startup = Startup()
        self.report: EndpointReport | None = None  # once it is ready
        self.without: dict[str, str] = {}  # entries of adapters that it could not load, and why
        self.is_placing = False  # a place for it is sought
        self.mixes = True  # the base is itself in batches with adapters, or is not called
        self._planned = planned
        self._settings = settings
        self._session = session
        self._emit = emit
        self._expected = expected
        self._key = key or settings.key
        self._place = place or LocalPlace(
            planned,
            settings.command[0],
            settings.logs,
            settings.grace,
            port,
            settings.host,
            settings.listen,
            lock=settings.lock,
            nice=settings.nice,
            waits=lambda what: self.emit_status("waiting", what),
            warn=lambda text: emit(notice("warning", f"{planned.name}: {text}")),
        )
        secrets = [self._key, *self.spec.environment.values(), *settings.secrets, *inherited_secrets()]
        arguments = [*settings.command, *self.spec.arguments]
        self.log = ServerLog(settings.logs / f"{file_stem(self.name)}.log", [*secrets, *argument_secrets(arguments)])
        self._status: ServerStatus = "waiting"
        self._clients: list[ModelClient] = []
        self._stopping = asyncio.Event()
        self._at_once = False
        self._called_at = ""  # its address when it was last ready
        self._process: RunningServer | None = None
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._runner: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        context = self.report.max_model_len if self.report else None
        return Endpoint(base_url(*self.address), self._key, context=context)

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port where it is called."""
        return self._place.address

    @property
    def command(self) -> list[str]:
        """The command line, without any secret."""
        own = ["--host", self._place.listen, "--port", str(self.address[1])]
        own += ["--served-model-name", *self.spec.served_names]
        quiet = "--disable-uvicorn-access-log"
        if quiet not in self.spec.arguments:
            own.append(quiet)  # thousands of lines, one per call
        return [*self._settings.command, "serve", self.spec.model, *own, *self.spec.arguments]

    def attach(self, client: ModelClient) -> None:
        """Hold the calls of `client` to this endpoint while the server is down."""
        self._clients.append(client)
        if self._status != "ready":
            client.hold(self.endpoint.address)

    async def wait_ready(self) -> None:
        """Start the server and wait until it is ready, or until `stop`. Raises ServerFailed."""
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        stopping = asyncio.create_task(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [self._up, stopping, self._runner]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._up.done():
            self._up.result()

    @property
    def is_ready(self) -> bool:
        return self._status == "ready"

    def abort(self, *, at_once: bool = False) -> None:
        """Start stopping without waiting; with `at_once` kill the server."""
        self._stopping.set()
        if at_once and not self._at_once:
            self._at_once = True
            if self._process is not None:
                self._process.order("kill")

    def withdraw(self, why: CallFailed) -> None:
        """Start stopping; attached clients send nothing more here, and calls that wait for it fail for `why`."""
        for client in self._clients:
            client.disable(self.endpoint.address, why)
        self.abort()

    async def stop(self) -> None:
        """Stop the server and wait until no process of it is left."""
        self.abort()
        if self._runner is None and self._status == "waiting":
            self.emit_status("stopped", detail="not needed")
        if self._runner is not None:
            await asyncio.shield(self._runner)

    def emit_status(self, status: ServerStatus, stage: str = "", detail: str = "", share: float | None = None) -> None:
        """Emit a change of status."""
        self._status = status
        gpus = self._place.devices
        address = self.endpoint.address if self.address[1] else ""
        self._emit(
            ServerChanged(
                self.name,
                self.spec.entries,
                status,
                steady_now(),
                stage,
                share,
                address,
                detail,
                gpus,
                self._expected if status == "starting" else None,
            )
        )

    async def _run(self) -> None:
        """Run until stopped or failed for good."""
        try:
            await self._run_with_restarts()
        except Exception as error:
            self._mark_failed(Cause(f"aborted by a defect of arena-tui: {error!r}"))
            raise

    async def _run_with_restarts(self) -> None:
        tries, restarts = TRIES, self._settings.restarts
        while not self._stopping.is_set():
            cause = await self._run_once()
            if cause is None:
                break
            if not self._up.done():
                tries -= 1
                if not (cause.is_transient and tries):
                    self._mark_failed(cause)
                    return
                self._emit(notice("warning", as_line(f"{self.name}: {cause.title}", "trying again")))
            elif not restarts:
                self._mark_failed(
                    Cause(f"exited {self._settings.restarts + 1} times, the last time: {cause.title}", cause.hint)
                )
                return
            else:
                restarts -= 1
                self._emit(notice("warning", f"{self.name}: server exited and is restarted: {cause.title}"))
            self.emit_status("down", detail=cause.title)
            if cause.is_transient:
                await self._pause(RETRY_PAUSE_SECONDS)
        self.emit_status("stopped")

    async def _run_once(self) -> Cause | None:
        """Start the process once and wait for its end; return the cause unless `stop` ended it."""
        if (cause := await self._find_place()) is not None or self._stopping.is_set():
            await self._place.leave()
            return cause
        self.startup = Startup()
        self.log.begin(" ".join(masked(self.command)))
        self.emit_status("starting", self.startup.stage)
        process = await self._place.start(self.command, self._key, self._on_line)
        self._process = process
        if self._at_once:
            process.order("kill")
        serving = asyncio.create_task(self._serve(process))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            if self._stopping.is_set():
                self.emit_status("stopping")
            await process.close()
            self._process = None
            await self._place.leave()
        return None if serving.cancelled() else serving.result()

    async def _find_place(self) -> Cause | None:
        """Find where it runs; return what prevents a start. `stop` ends that."""
        self.is_placing = True
        finding = asyncio.create_task(self._place.find())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([finding, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.is_placing = False
            for task in (finding, stopping):
                task.cancel()
            await asyncio.gather(finding, stopping, return_exceptions=True)
        return None if finding.cancelled() else finding.result()

    async def _serve(self, process: RunningServer) -> Cause:
        """Wait until the server is ready, then until it exits; return why it did."""
        exited = asyncio.create_task(process.has_exited.wait())
        ready = asyncio.create_task(self._ready())
        try:
            await asyncio.wait([exited, ready], return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and (cause := ready.result()) is not None:
                return cause
            if ready.done():
                process.order("serving")
                self._mark_ready()
                await exited
                for client in self._clients:
                    client.hold(self.endpoint.address)
            return await self._cause_of_end(process)
        finally:
            for task in (exited, ready):
                task.cancel()
            await asyncio.gather(exited, ready, return_exceptions=True)

    async def _ready(self) -> Cause | None:
        """Wait until a first call succeeds; return the cause if it never will."""
        try:
            async with asyncio.timeout(self._settings.start_timeout):
                await until_healthy(self._session, self.endpoint)
                self.emit_status("starting", "asking for a first token")
                cause = await first_call(self._session, self.endpoint, self.spec.served_names[0])
                await self._load_adapters()
                self.report = await probe(self._session, self.endpoint, self.spec.served_names[0])
                return cause
        except TimeoutError:
            return Cause(
                f"not ready after {self._settings.start_timeout:.0f} s (stage: {self.startup.stage})",
                "see its log; raise `start_timeout` in [vllm] if it needs longer",
            )

    async def _load_adapters(self) -> None:
        self.without.clear()
        for number, adapter in enumerate(self.spec.adapters):
            self.emit_status("starting", "loading adapters", share=number / len(self.spec.adapters))
            if problem := await load_adapter(self._session, self.endpoint, adapter):
                self.without[adapter.entry] = problem
        loaded = [each.served_name for each in self.spec.adapters if each.entry not in self.without]
        if loaded and len(self.spec.entries) > len(self.spec.adapters):
            self.mixes = await base_stays_itself(self._session, self.endpoint, self.spec.served_names[0], loaded)

    async def _cause_of_end(self, process: RunningServer) -> Cause:
        await process.wait_gone()  # then its last lines have been read
        if process.failure is not None:
            if isinstance(process.failure, Cause):
                return process.failure
            return Cause(
                f"{self._settings.command[0]!r} cannot be run: {process.failure}",
                "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command",
            )
        return exit_cause(process.exit_code, list(self.log.lines)[-LAST_LINES:] if self._up.done() else self.log.lines)

    def _mark_ready(self) -> None:
        self.emit_status("ready", detail=self._describe())
        self.log.lines.clear()
        former, self._called_at = self._called_at, self.endpoint.address
        for client in self._clients:
            client.add(self.endpoint)
            if former and former != self._called_at:
                client.disable(former, CallFailed(FailureKind.CONNECTION, f"moved to {self._called_at}", attempts=0))
        if not self._up.done():
            self._up.set_result(None)

    def _mark_failed(self, cause: Cause) -> None:
        self.emit_status("failed", detail=cause.title)
        failed = ServerFailed(f"{self.name}: {cause.title}", as_line(cause.hint, f"log: {self.log.path}"))
        refusal = CallFailed(FailureKind.CONNECTION, failed.title, attempts=0, hint=failed.hint)
        for client in self._clients:
            client.disable(self.endpoint.address, refusal)
        if self._up.done():
            self._emit(notice("error", as_line(failed.title, failed.hint)))
        else:
            self._up.set_exception(failed)
            self._up.exception()  # mark as retrieved: there may be no waiter

    def _on_line(self, line: str) -> None:
        self.log.write(line)
        if self._status != "starting":
            return
        before, self.startup = self.startup, follow(self.startup, line)
        step = (self.startup.share or 0.0) - (before.share or 0.0)
        if self.startup.stage != before.stage or step >= LEAST_STEP:
            self.emit_status("starting", self.startup.stage, share=self.startup.share)
        else:
            self.startup = Startup(before.stage, before.share, self.startup.max_model_len, self.startup.kv_cache_tokens)

    def _describe(self) -> str:
        facts = []
        if self.startup.max_model_len:
            facts.append(f"context {self.startup.max_model_len} tokens")
        if self.startup.kv_cache_tokens:
            facts.append(f"KV cache {self.startup.kv_cache_tokens} tokens")
        return ", ".join(facts)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
