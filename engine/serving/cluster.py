"""Servers on the nodes of a Ray cluster: Ray finds the node, an actor there owns the server (`node_server`).

The run stays one process, which calls the servers over HTTP by the addresses of their nodes. Ray is imported only where
a config names it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config.servers import ClusterConfig
from engine.serving.nodes import connect, in_thread, node_rooms
from engine.serving.plan import PlannedServer
from engine.serving.process import WardenOrder
from engine.serving.server_log import Cause
from engine.version import __version__

if TYPE_CHECKING:
    from engine.serving.node_server import FoundPlace, Report

CLOSE_SECONDS = 30.0  # beyond the grace of a server, for the actor to reply


class ClusterPlace:
    """A ServerPlace on whichever node Ray chooses: on `node` (an id of Ray) if that has room.

    `waits` is called before a node is sought.
    """

    def __init__(
        self,
        planned: PlannedServer,
        cluster: ClusterConfig,
        program: str,
        logs: Path,
        grace: float,
        timeout: float,
        waits: Callable[[str], None],
        node: str = "",
    ) -> None:
        self._planned = planned
        self._node = node
        self._cluster = cluster
        self._program = program
        self._logs = logs
        self._grace = grace
        self._timeout = timeout
        self._waits = waits
        self._actor: Any = None
        self._group: Any = None  # that holds the room of a server over several nodes until vLLM takes it
        self._spanned = ""
        self._found: FoundPlace | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port where the server is called; port 0 before it was placed."""
        return (self._found.address, self._found.port) if self._found else ("localhost", 0)

    @property
    def listen(self) -> str:
        """The address at which it listens."""
        return self.address[0]

    @property
    def devices(self) -> str:
        """The node and its GPUs there, or how many on each of several nodes."""
        if self._found is None or self._spanned:
            return self._spanned
        return f"{self._found.node}:{self._found.gpus}" if self._found.gpus else self._found.node

    async def find(self) -> Cause | None:
        """Have Ray place an actor, and return what prevents a start on its node."""
        self.is_sought = True
        from engine.serving.node_server import NodeActor

        ray = await in_thread(partial(connect, self._cluster))
        count = self._planned.spec.gpus_each
        amount = round(self._planned.share, 4) if count == 1 and self._planned.spec.serve.memory else count
        self._waits(f"for a node with {amount:g} {self._cluster.resource} free")
        options: dict[str, Any] = {"num_cpus": 0, "max_concurrency": 16, "max_restarts": 0}
        match self._cluster.resource:
            case "GPU":
                options["num_gpus"] = amount
            case "CPU":
                options["num_cpus"] = amount
            case custom:
                options["resources"] = {custom: amount}
        if self._node:
            affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
            options["scheduling_strategy"] = affinity(self._node, soft=True)
        actor = ray.remote(NodeActor).options(**options)
        try:
            async with asyncio.timeout(self._timeout):
                if self._planned.spec.spans:
                    options = await self._reserve(count) | {"max_concurrency": 16, "max_restarts": 0}
                    actor = ray.remote(NodeActor).options(**options)
                placed = self._actor = await in_thread(partial(actor.remote, self._planned, str(self._logs)))
                found: FoundPlace = await placed.find.remote(self._program, __version__)
        except TimeoutError:
            return Cause(
                f"no node has {amount:g} {self._cluster.resource} free after {self._timeout:.0f} s",
                "add nodes, or raise `start_timeout` in [vllm]",
            )
        except ray.exceptions.RayError as error:
            return Cause(f"Ray cannot start it: {_reason(error)}", "see Ray's logs", is_transient=True)
        self._found = found
        return found.problem

    async def _reserve(self, count: int) -> dict[str, Any]:
        """Wait for room on several nodes, packed as vLLM packs; return the options of an actor on the first of them."""
        util = import_module("ray.util")
        bundles = [{self._cluster.resource: 1.0}] * count
        self._group = await in_thread(partial(util.placement_group, bundles, strategy="PACK"))
        await self._group.ready()
        table = await in_thread(partial(util.placement_group_table, self._group))
        ids = table["bundles_to_node_id"].values()
        names = {room.id: room.name for room in await in_thread(partial(node_rooms, self._cluster))}
        self._spanned = " + ".join(f"{names.get(node, node[:8])}:{number}x" for node, number in Counter(ids).items())
        first = Counter(ids).most_common(1)[0][0]
        affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        return {"num_cpus": 0, "num_gpus": 0, "scheduling_strategy": affinity(first, soft=False)}

    async def _release(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            await in_thread(partial(import_module("ray.util").remove_placement_group, group))

    async def start(self, command: Sequence[str], key: str, on_line: Callable[[str], None]) -> ClusterProcess:
        """Start the server on its node. One over several nodes takes what was reserved for it."""
        await self._release()
        node = f"node {self._found.node} ({self._found.address})" if self._found else "its node"
        process = ClusterProcess(self._actor, node, self._grace, on_line)
        await process.start(command, key)
        return process

    async def leave(self) -> None:
        """End the actor, so that Ray can give its room to another."""
        await self._release()
        actor, self._actor = self._actor, None
        if actor is not None:
            import ray

            await in_thread(partial(ray.kill, actor))


class ClusterProcess:
    """A RunningServer on another node."""

    def __init__(self, actor: Any, node: str, grace: float, on_line: Callable[[str], None]) -> None:
        self.failure: str | Cause | None = None
        self.exit_code: int | None = None
        self.has_exited = asyncio.Event()
        self._actor = actor
        self._node = node
        self._grace = grace
        self._on_line = on_line
        self._orders: set[asyncio.Future[Any]] = set()
        self._reading: asyncio.Task[None] | None = None

    async def start(self, command: Sequence[str], key: str) -> None:
        """Start the process; a node that is lost meanwhile is a failure of it."""
        self._reading = asyncio.create_task(self._read(list(command), key))

    def order(self, what: WardenOrder) -> None:
        """Send an order to the warden of the server."""
        sent = asyncio.ensure_future(_quietly(self._actor.order.remote(what)))
        self._orders.add(sent)
        sent.add_done_callback(self._orders.discard)

    async def wait_gone(self) -> None:
        """Wait until no process of the server is left, as far as its node can say."""
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def close(self) -> None:
        """Stop the server and wait until no process of it is left."""
        try:
            async with asyncio.timeout(self._grace + CLOSE_SECONDS):
                await _quietly(self._actor.close.remote())
                await self.wait_gone()
        except TimeoutError:
            pass  # a node that no longer replies; its warden ends the server with the actor
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, command: list[str], key: str) -> None:
        import ray

        try:
            await self._actor.start.remote(command, key, self._grace)
            while True:
                for report in await self._actor.read.remote():
                    if report[0] == "gone":
                        return
                    self._take(report)
        except ray.exceptions.RayError as error:
            self.failure = Cause(f"lost with {self._node}: {_reason(error)}", "see Ray's logs")
        finally:
            self.has_exited.set()

    def _take(self, report: Report) -> None:
        match report:
            case ("line", str(line)):
                self._on_line(line)
            case ("failed", str(why)):
                self.failure = why
            case ("exited", int(code)):
                self.exit_code = code
                self.has_exited.set()
            case ("exited", _):
                self.has_exited.set()


async def _quietly(reply: Any) -> None:
    """Await a reply of an actor that may be gone."""
    import ray

    with suppress(ray.exceptions.RayError):
        await reply


def _reason(error: BaseException) -> str:
    """Return what Ray says in its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
