"""One server on a node of a Ray cluster: the actor that owns its process. Runs there, not in the run's process.

Its methods are called by `engine.serving.cluster`. The process is under a warden, which stops it when the actor's
process exits: with the run, by whatever signal, as Ray ends actors with their driver.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Coroutine, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from engine.bench.names import file_stem
from engine.serving.place import server_environment, start_problem
from engine.serving.plan import PlannedServer
from engine.serving.process import ServerProcess, WardenOrder, pick_port, record_server, stop_orphans
from engine.serving.server_log import Cause
from engine.version import __version__

ReportKind: TypeAlias = Literal["line", "failed", "exited", "gone"]
Report: TypeAlias = tuple[ReportKind, str | int | None]
ResultT = TypeVar("ResultT")
GATHERED_SECONDS = 0.2  # in which lines are gathered to one reply


class FoundPlace(NamedTuple):
    """Where a server can run: node, its address, a free port there and GPUs; or what prevents it."""

    node: str
    address: str
    port: int
    gpus: str
    problem: Cause | None = None


class NodeServer:
    """The process of one server on this node."""

    def __init__(self, planned: PlannedServer, logs: str) -> None:
        self._planned = planned
        self._ledger = Path(logs) / "nodes" / file_stem(socket.gethostname())
        self._ledger_file: Path | None = None
        self._process: ServerProcess | None = None
        self._reports: list[Report] = []
        self._has_reports = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def find(self, program: str, version: str) -> FoundPlace:
        """Return the place that this node has for the server."""
        util: Any = import_module("ray.util")
        address: str = util.get_node_ip_address()
        node = socket.gethostname()
        await asyncio.to_thread(stop_orphans, self._ledger)
        problem = await asyncio.to_thread(start_problem, self._planned, program)
        if version != __version__:
            problem = Cause(f"arena-tui {__version__} there, {version} here", "install the same version on all nodes")
        if problem is not None:
            problem = Cause(f"node {node} ({address}): {problem.title}", problem.hint)
        return FoundPlace(node, address, pick_port(address), os.environ.get("CUDA_VISIBLE_DEVICES", ""), problem)

    async def start(self, command: Sequence[str], key: str, grace: float) -> None:
        """Start the server; `read` returns what becomes of it."""
        inherited: Mapping[str, str] = os.environ
        if self._planned.spec.spans:  # vLLM joins the cluster and has Ray start its workers, which get their GPUs there
            ray: Any = import_module("ray")
            address = ray.get_runtime_context().gcs_address
            node = import_module("ray.util").get_node_ip_address()
            inherited = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
            inherited |= {"RAY_ADDRESS": address, "VLLM_HOST_IP": node}
        environment = server_environment(self._planned, key, inherited)
        # Ray kills the children of an actor with it: a warden among them could not stop its server any more.
        self._process = process = await ServerProcess.start(command, environment, grace, self._on_line, apart=True)
        await process.has_begun.wait()
        if process.session:
            self._ledger_file = record_server(
                self._ledger, self._planned.name, process.session, process.warden_pid, process.mark
            )
        self._ending = asyncio.create_task(self._follow(process))

    async def read(self) -> list[Report]:
        """Return the reports since the last call, as soon as there are any."""
        await self._has_reports.wait()
        await asyncio.sleep(GATHERED_SECONDS)
        reports, self._reports = self._reports, []
        self._has_reports.clear()
        return reports

    async def order(self, what: WardenOrder) -> None:
        """Pass an order on to the warden."""
        if self._process is not None:
            self._process.order(what)

    async def close(self) -> None:
        """Stop the server and wait until no process of it is left."""
        if self._process is not None:
            await self._process.close()
        if self._ledger_file is not None:
            self._ledger_file.unlink(missing_ok=True)

    async def _follow(self, process: ServerProcess) -> None:
        await process.has_exited.wait()
        if process.failure is not None:
            self._report("failed", process.failure)
        self._report("exited", process.exit_code)
        await process.wait_gone()
        self._report("gone", None)

    def _on_line(self, line: str) -> None:
        self._report("line", line)

    def _report(self, kind: ReportKind, what: str | int | None) -> None:
        self._reports.append((kind, what))
        self._has_reports.set()


class NodeActor:
    """The actor around a NodeServer, which has an event loop of its own.

    Where uvloop is installed, as with vLLM, Ray's loop is one of uvloop's in a thread, which starts no processes.
    """

    def __init__(self, planned: PlannedServer, logs: str) -> None:
        asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = NodeServer(planned, logs)

    async def find(self, program: str, version: str) -> FoundPlace:
        """See NodeServer."""
        return await self._run(self._server.find(program, version))

    async def start(self, command: Sequence[str], key: str, grace: float) -> None:
        """See NodeServer."""
        await self._run(self._server.start(command, key, grace))

    async def read(self) -> list[Report]:
        """See NodeServer."""
        return await self._run(self._server.read())

    async def order(self, what: WardenOrder) -> None:
        """See NodeServer."""
        await self._run(self._server.order(what))

    async def close(self) -> None:
        """See NodeServer."""
        await self._run(self._server.close())

    async def _run(self, call: Coroutine[object, object, ResultT]) -> ResultT:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))
