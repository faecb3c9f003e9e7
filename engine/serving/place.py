"""Where a server runs: on this machine, beside its interface for other machines (`engine.serving.cluster`)."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from engine.serving.adapters import RUNTIME_LOADING
from engine.serving.gpus import wait_for_memory
from engine.serving.held import until_released
from engine.serving.model_folder import folder_problems
from engine.serving.plan import PlannedServer
from engine.serving.process import LOOPBACK, ServerProcess, WardenOrder, is_free, pick_port, record_server
from engine.serving.server_log import Cause

MEMORY_SECONDS = 60.0  # to wait until the server before has released its GPU memory
OWN_VARIABLES = "ARENA_TUI_"  # begin the names of this program's variables, such as the token of its web UI


class RunningServer(Protocol):
    """A started server until the exit of its last process; see `ServerProcess`."""

    @property
    def failure(self) -> str | Cause | None: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def has_exited(self) -> asyncio.Event: ...
    def order(self, what: WardenOrder) -> None: ...
    async def wait_gone(self) -> None: ...
    async def close(self) -> None: ...


class ServerPlace(Protocol):
    """Finds where a server runs, anew for each start, and starts it there."""

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port where the server is called."""

    @property
    def listen(self) -> str:
        """The address at which it listens."""

    @property
    def devices(self) -> str:
        """The GPUs that it has, as they are shown."""

    async def find(self) -> Cause | None:
        """Find a port and free GPUs; return what prevents a start."""

    async def start(self, command: Sequence[str], key: str, on_line: Callable[[str], None]) -> RunningServer:
        """Start the server; `on_line` receives each line of its output."""

    async def leave(self) -> None:
        """Free what was found, once the server has exited."""


class LocalPlace:
    """A ServerPlace on this machine. `port` is that of the config, None for any free one.

    While another program holds `lock`, nothing is started; `nice` is how far the server stands back on the CPU. `waits`
    is called with what is waited for, `warn` with what is wrong but no reason against a start.
    """

    def __init__(
        self,
        planned: PlannedServer,
        program: str,
        logs: Path,
        grace: float,
        port: int | None,
        host: str = LOOPBACK,
        listen: str = LOOPBACK,
        *,
        lock: Path | None = None,
        nice: int = 0,
        waits: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.listen = listen
        self.devices = ",".join(map(str, planned.gpus))
        self._planned = planned
        self._program = program
        self._logs = logs
        self._grace = grace
        self._own_port = port
        self._port = port or pick_port(listen)
        self._host = host
        self._lock = lock
        self._nice = ("nice", "-n", str(nice)) if nice else ()
        self._waits = waits
        self._warn = warn
        self._ledger_file: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port where the server is called."""
        return self._host, self._port

    async def find(self) -> Cause | None:
        """Find a free port and wait for the memory of the planned GPUs; return what prevents a start."""
        if cause := await asyncio.to_thread(start_problem, self._planned, self._program):
            return cause
        await until_released(self._lock, self._waits)
        if not is_free(self._port, self.listen):
            if self._own_port is not None:
                return Cause(
                    f"port {self._port} is in use by another program",
                    "stop that program, or remove `endpoints` from the entry so that a free port is picked",
                )
            self._port = pick_port(self.listen)
        if self._planned.gpus:
            self._waits("for the memory of its GPUs")
            in_use = await wait_for_memory(self._planned.gpus, self._planned.share, MEMORY_SECONDS)
            if in_use:
                self._warn(f"{in_use}; starting anyway")
        return None

    async def start(self, command: Sequence[str], key: str, on_line: Callable[[str], None]) -> ServerProcess:
        """Start the server and write its ledger file."""
        environment = server_environment(self._planned, key)
        process = await ServerProcess.start([*self._nice, *command], environment, self._grace, on_line)
        await process.has_begun.wait()
        if process.session:
            self._ledger_file = record_server(
                self._logs, self._planned.name, process.session, process.warden_pid, process.mark
            )
        return process

    async def leave(self) -> None:
        """Remove the ledger file."""
        if self._ledger_file is not None:
            self._ledger_file.unlink(missing_ok=True)
            self._ledger_file = None


def start_problem(planned: PlannedServer, program: str) -> Cause | None:
    """Return what prevents any start on this machine: no such program, or a folder that vLLM refuses. Blocks."""
    return program_problem(program) or next(folder_problems(planned.spec), None)


def program_problem(program: str) -> Cause | None:
    """Return that there is no such program on this machine."""
    if shutil.which(program) is not None:
        return None
    hint = "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command"
    return Cause(f"{program!r} not found", hint)


def server_environment(
    planned: PlannedServer, key: str = "", inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a vLLM process, which holds its `key` and the variables of the config.

    Other variables are `inherited`, by default from this process.
    """
    spec = planned.spec
    own = {"VLLM_NO_USAGE_STATS": "1"} | ({"HF_HUB_OFFLINE": "1"} if spec.is_folder else {})
    own |= RUNTIME_LOADING if spec.adapters else {}
    set_for_it = {"VLLM_API_KEY": key} if key else {}
    if inherited is None:
        inherited = os.environ
        if planned.gpus:
            # Numbered as nvidia-smi does, which is where the numbers come from.
            set_for_it["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            set_for_it["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, planned.gpus))
    kept = {name: value for name, value in inherited.items() if not name.startswith(OWN_VARIABLES)}
    return {**own, **kept, **set_for_it, **spec.environment}
