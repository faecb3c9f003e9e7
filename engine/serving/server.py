"""One `vllm serve` that arena-tui runs: started, watched, started again when it dies, and ended with all it began."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from engine.bench.names import file_stem
from engine.errors import ArenaError, CallFailed, FailureKind
from engine.events import Event, Notice, ServerChanged, ServerStatus, steady_now
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.serving.gpus import wait_for_memory
from engine.serving.plan import PlannedServer, masked
from engine.serving.process import ServerProcess, is_free, pick_port, record_server
from engine.serving.ready import until_healthy, until_it_chats
from engine.serving.server_log import Cause, ServerLog, Startup, exit_cause, follow

MEMORY_SECONDS = 60.0  # that are waited for the memory of the server before
PAUSE_SECONDS = 5.0  # before another try at what may pass
TRIES = 3
LAST_LINES = 300  # of its log, in which the cause of a death is looked for
LEAST_STEP = 0.05  # of a stage, that is worth telling


class ServerFailed(ArenaError):
    """A server did not come up, or died too often."""

    exit_code = 1


@dataclass(frozen=True)
class ServerSettings:
    """What all servers of a run have in common. `key` is what they are asked with; it never reaches a file. `grace` is
    how many seconds they may take to end."""

    command: Sequence[str]
    key: str
    logs: Path
    start_timeout: float = 1800.0
    restarts: int = 3
    grace: float = 30.0


class VllmServer:
    """`up` waits until it serves; `stop` ends it. Events tell all that happens; clients are held while it is down.

    A port that is given is that of the config, with the `key` there; without one a free port is picked.
    """

    def __init__(
        self,
        planned: PlannedServer,
        settings: ServerSettings,
        session: aiohttp.ClientSession,
        tell: Callable[[Event], None],
        port: int | None = None,
        key: str | None = None,
    ) -> None:
        self.name = planned.name
        self.spec = planned.spec
        self.startup = Startup()
        self.report: EndpointReport | None = None  # what it says of itself, once it is up
        self._planned = planned
        self._settings = settings
        self._session = session
        self._tell = tell
        self._own_port = port
        self._key = key or settings.key
        self._port = port or pick_port()
        secrets = [self._key, *self.spec.environment.values()]
        self.log = ServerLog(settings.logs / f"{file_stem(self.name)}.log", secrets)
        self._status: ServerStatus = "waiting"
        self._clients: list[ModelClient] = []
        self._stopping = asyncio.Event()
        self._at_once = False
        self._process: ServerProcess | None = None
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        context = self.report.max_model_len if self.report else None
        return Endpoint(f"http://127.0.0.1:{self._port}/v1", self._key, context=context)

    @property
    def command(self) -> list[str]:
        """The command line; no secret is in it."""
        own = ["--host", "127.0.0.1", "--port", str(self._port), "--served-model-name", *self.spec.served_names]
        quiet = "--disable-uvicorn-access-log"
        if quiet not in self.spec.arguments:
            own.append(quiet)  # thousands of lines, one per call
        return [*self._settings.command, "serve", self.spec.model, *own, *self.spec.arguments]

    def attach(self, client: ModelClient) -> None:
        """Hold the calls of `client` here whenever the server is down."""
        self._clients.append(client)
        if self._status != "ready":
            client.hold(self.endpoint.address)

    async def up(self) -> None:
        """Start, and wait until it serves. Raises ServerFailed; returns without it being up after `stop`."""
        if self._life is None:
            self._life = asyncio.create_task(self._live())
        stopping = asyncio.create_task(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [self._up, stopping, self._life]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._up.done():
            self._up.result()

    @property
    def is_up(self) -> bool:
        return self._status == "ready"

    def break_off(self, *, at_once: bool = False) -> None:
        """Begin to end it; with `at_once` it is killed, whatever it does."""
        self._stopping.set()
        if at_once and not self._at_once:
            self._at_once = True
            if self._process is not None:
                self._process.order("kill")

    async def stop(self) -> None:
        """End it, and wait until no process of it is left."""
        self.break_off()
        if self._life is None and self._status == "waiting":
            self.told("stopped", detail="it was not needed")
        if self._life is not None:
            await asyncio.shield(self._life)

    def told(self, status: ServerStatus, stage: str = "", detail: str = "", share: float | None = None) -> None:
        """Tell of a change."""
        self._status = status
        gpus = ",".join(map(str, self._planned.gpus))
        address = self.endpoint.address
        self._tell(
            ServerChanged(self.name, self.spec.entries, status, steady_now(), stage, share, address, detail, gpus)
        )

    # -- its life

    async def _live(self) -> None:
        """Lives until it is stopped, or dies for good."""
        try:
            await self._lives()
        except Exception as error:
            self._failed(Cause(f"it broke off by a defect of arena-tui: {error!r}"))
            raise

    async def _lives(self) -> None:
        tries, restarts = TRIES, self._settings.restarts
        while not self._stopping.is_set():
            cause = await self._one_life()
            if cause is None:
                break
            if not self._up.done():
                tries -= 1
                if not (cause.passes and tries):
                    self._failed(cause)
                    return
                self._notice("warning", f"{cause.title}; it is tried again")
            elif not restarts:
                self._failed(Cause(f"died {self._settings.restarts + 1} times, at last: {cause.title}", cause.hint))
                return
            else:
                restarts -= 1
                self._notice("warning", f"its server died and is started again: {cause.title}")
            self.told("down", detail=cause.title)
            if cause.passes:
                await self._pause(PAUSE_SECONDS)
        self.told("stopped")

    async def _one_life(self) -> Cause | None:
        """From a start to an end; the cause of an end that nobody asked for."""
        if (cause := await self._before_start()) is not None or self._stopping.is_set():
            return cause
        self.startup = Startup()
        self.log.begin(" ".join(masked(self.command)))
        self.told("starting", self.startup.stage)
        process = await ServerProcess.start(self.command, self._environment(), self._settings.grace, self._on_line)
        self._process = process
        await process.has_begun.wait()
        ledger_file = None
        if process.session:
            ledger_file = record_server(self._settings.logs, self.name, process.session, process.warden_pid)
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
                self.told("stopping")
            await process.close()
            self._process = None
            if ledger_file is not None:
                ledger_file.unlink(missing_ok=True)
        return None if serving.cancelled() else serving.result()

    async def _serve(self, process: ServerProcess) -> Cause:
        """Wait until it is up, then until it ends; why it ended."""
        exited = asyncio.create_task(process.has_exited.wait())
        ready = asyncio.create_task(self._ready())
        try:
            await asyncio.wait([exited, ready], return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and (cause := ready.result()) is not None:
                return cause
            if ready.done():
                process.order("serving")
                self._is_up()
                await exited
                for client in self._clients:
                    client.hold(self.endpoint.address)
            return await self._cause_of_end(process)
        finally:
            for task in (exited, ready):
                task.cancel()
            await asyncio.gather(exited, ready, return_exceptions=True)

    async def _ready(self) -> Cause | None:
        """Wait until a first call goes well; why it will never."""
        try:
            async with asyncio.timeout(self._settings.start_timeout):
                await until_healthy(self._session, self.endpoint)
                self.told("starting", "asking for a first token")
                cause = await until_it_chats(self._session, self.endpoint, self.spec.served_names[0])
                self.report = await probe(self._session, self.endpoint, self.spec.served_names[0])
                return cause
        except TimeoutError:
            return Cause(
                f"it was not up after {self._settings.start_timeout:.0f} s, while {self.startup.stage}",
                "its log tells what it did; raise start_timeout in [vllm] if it needs longer",
            )

    async def _cause_of_end(self, process: ServerProcess) -> Cause:
        await process.wait_gone()  # its last lines are there then
        if process.failure is not None:
            return Cause(
                f"{self._settings.command[0]!r} cannot be run: {process.failure}",
                "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command",
            )
        return exit_cause(process.exit_code, list(self.log.lines)[-LAST_LINES:] if self._up.done() else self.log.lines)

    def _is_up(self) -> None:
        self.told("ready", detail=self._facts())
        self.log.lines.clear()
        for client in self._clients:
            client.resume(self.endpoint.address)
        if not self._up.done():
            self._up.set_result(None)

    def _failed(self, cause: Cause) -> None:
        self.told("failed", detail=cause.title)
        failed = ServerFailed(f"{self.name}: {cause.title}", f"{cause.hint}; its log: {self.log.path}".lstrip("; "))
        refusal = CallFailed(FailureKind.CONNECTION, failed.title, attempts=0, hint=failed.hint)
        for client in self._clients:
            client.give_up(self.endpoint.address, refusal)
        if self._up.done():
            self._notice("error", f"{cause.title}. {failed.hint}")
        else:
            self._up.set_exception(failed)
            self._up.exception()  # whoever waits is told; nobody need

    # -- before a start

    async def _before_start(self) -> Cause | None:
        if shutil.which(self._settings.command[0]) is None:
            return Cause(
                f"{self._settings.command[0]!r} is not there",
                "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command",
            )
        if self.spec.is_folder and not await asyncio.to_thread(Path(self.spec.model).exists):
            return Cause(f"there is no {self.spec.model}", "check `model` of the entry")
        if not is_free(self._port):
            if self._own_port is not None:
                return Cause(
                    f"port {self._port} is taken by another program",
                    "stop it, or leave `endpoints` out of the entry: a free port is picked then",
                )
            self._port = pick_port()
        if self._planned.gpus:
            self.told("waiting", "for the memory of its GPUs")
            wrong = await wait_for_memory(self._planned.gpus, self._planned.share, MEMORY_SECONDS)
            if wrong:
                self._notice("warning", f"{wrong}; it is started all the same")
        return None

    def _environment(self) -> dict[str, str]:
        own = {"VLLM_NO_USAGE_STATS": "1"} | ({"HF_HUB_OFFLINE": "1"} if self.spec.is_folder else {})
        set_for_it = {"VLLM_API_KEY": self._key} if self._key else {}
        if self._planned.gpus:
            # Numbered as nvidia-smi does, which is where the numbers come from.
            set_for_it["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            set_for_it["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, self._planned.gpus))
        return {**own, **os.environ, **set_for_it, **self.spec.environment}

    def _on_line(self, line: str) -> None:
        self.log.write(line)
        if self._status != "starting":
            return
        before, self.startup = self.startup, follow(self.startup, line)
        step = (self.startup.share or 0.0) - (before.share or 0.0)
        if self.startup.stage != before.stage or step >= LEAST_STEP:
            self.told("starting", self.startup.stage, share=self.startup.share)
        else:
            self.startup = Startup(before.stage, before.share, self.startup.max_model_len, self.startup.kv_cache_tokens)

    def _facts(self) -> str:
        told = []
        if self.startup.max_model_len:
            told.append(f"context {self.startup.max_model_len} tokens")
        if self.startup.kv_cache_tokens:
            told.append(f"KV cache {self.startup.kv_cache_tokens} tokens")
        return ", ".join(told)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _notice(self, level: str, text: str) -> None:
        self._tell(Notice(level, f"{self.name}: {text}", time.time()))  # type: ignore[arg-type]
