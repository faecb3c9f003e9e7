"""The servers of one run: each starts in its turn of the plan and stops when no model needs it any more."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from engine.bench.run_files import load_runs
from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.errors import CallFailed, FailureKind, as_line
from engine.events import Event, notice
from engine.models.connection import open_session
from engine.models.discover import EndpointReport, probe
from engine.models.refusal import readable
from engine.serving.endpoints import Demand, EndpointSource, ModelEndpoints
from engine.serving.forecast import start_seconds
from engine.serving.growth import Growth
from engine.serving.held import lock_of
from engine.serving.listing import endpoints_of
from engine.serving.place import ServerPlace
from engine.serving.plan import PlannedServer, ServerPlan, ServerSpec
from engine.serving.process import LOOPBACK, local_port, stop_orphans
from engine.serving.server import ServerFailed, ServerSettings, VllmServer

if TYPE_CHECKING:
    from engine.serving.nodes import NodeRoom


LOOK_SECONDS = 0.5  # between two looks whether the servers that are not ready wait for a node


class Fleet:
    """An EndpointSource that starts the servers of the plan and leaves all other models to `others`.

    `prepare` it before use and `close` it at the end, which stops every server. A server that already runs at an
    endpoint of the config with the right model is used and not stopped. The servers require `key`, by default a random
    one; an empty key requires none. `runs` is the folder with what earlier runs recorded of their starts. The servers
    listen at the address `listen` and are called at `host`.
    """

    def __init__(
        self,
        config: Config,
        plan: ServerPlan,
        models: Iterable[str],
        others: EndpointSource,
        *,
        logs: Path,
        emit: Callable[[Event], None],
        grace: float,
        key: str | None = None,
        runs: Path | None = None,
        host: str = LOOPBACK,
        listen: str = LOOPBACK,
    ) -> None:
        self.servers: dict[PlannedServer, VllmServer] = {}
        self._config = config
        self._plan = plan
        self._others = others
        self._emit = emit
        self._runs = runs
        self._earlier: Sequence[Mapping[str, Any]] = ()
        if key is None:
            key = secrets.token_urlsafe(24)
        vllm = config.vllm
        self._settings = ServerSettings(
            vllm.command,
            key,
            logs,
            vllm.start_timeout,
            vllm.restarts,
            grace,
            host,
            listen,
            secrets=tuple(secrets_of(config)),
            lock=lock_of(config),
            nice=vllm.nice,
        )
        self._needed_by = {server: set(server.spec.entries) & set(models) for server in plan.servers}
        self._finished: set[PlannedServer] = set()
        self._stopping = False
        self._changed = asyncio.Event()
        self._growths: dict[ServerSpec, Growth] = {}  # of the models that are open and take all of a cluster
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def prepare(self) -> None:
        """Stop orphans of an earlier run and create the servers without starting any."""
        for name in await asyncio.to_thread(stop_orphans, self._settings.logs):
            self._emit(notice("warning", f"{name}: stopped a server that an earlier run had left running"))
        self._session = await self._stack.enter_async_context(open_session())
        if self._runs is not None:
            self._earlier = await asyncio.to_thread(load_runs, self._runs)
        for planned in self._plan.servers:
            self._create_server(planned).emit_status("waiting", "for its turn")
        if self._config.cluster.engine == "ray":
            from engine.serving.cluster_watch import ClusterWatch

            watch = ClusterWatch(self._config.cluster, self._emit, self._head_lost, self._nodes_joined)
            self._stack.push_async_callback(_cancelled, asyncio.create_task(watch.follow()))

    async def close(self) -> None:
        """Stop every server and wait until no process of them is left, even if the caller is cancelled."""
        self.stop()
        ending = asyncio.ensure_future(self._stop_all())
        cancelled = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                cancelled = True
        ending.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _stop_all(self) -> None:
        await asyncio.gather(*(growth.close() for growth in self._growths.values()))
        await asyncio.gather(*(server.stop() for server in self.servers.values()))
        await self._stack.aclose()
        if self._config.cluster.engine == "ray":
            from engine.serving.nodes import disconnect

            await asyncio.to_thread(disconnect)

    def stop(self, *, at_once: bool = False) -> None:
        """Wait for no server any more: abort the starts. With `at_once` kill all servers."""
        self._stopping = True
        self._signal_change()
        for server in self.servers.values():
            if at_once or not server.is_ready:
                server.abort(at_once=at_once)

    @asynccontextmanager
    async def open(self, name: str, demand: Demand) -> AsyncIterator[ModelEndpoints]:
        """Provide the servers of a model once their turn has come and they are ready."""
        planned = self._plan.of(name)
        if not planned:
            async with self._others.open(name, demand) as found:
                yield found
            return
        try:
            if (running := await self._already_running(name, planned[0].spec)).endpoints:
                yield running
                return
            await self._wait_for_turn(planned)
            if self._stopping or not demand.needed():
                yield ModelEndpoints()
                return
            ready = await self._start_all(planned)
            ready = [server for server in ready if not self._lacks(server, name)]
            if ready and not await self._may_mix(name, planned[0].spec, ready, demand):
                yield ModelEndpoints()
                return
            reports = [server.report for server in ready if server.report is not None]
            endpoints = [server.endpoint for server in ready if server.is_ready]
            yield ModelEndpoints(endpoints, [*ready, *self._growth(planned[0].spec)], reports)
        finally:
            await self._release(name)

    async def _already_running(self, name: str, spec: ServerSpec) -> ModelEndpoints:
        """Return the endpoints of the config at which the model is served already."""
        endpoints = endpoints_of(self._config, name)
        reports = await asyncio.gather(
            *(probe(self._session, endpoint, self._config.served_name(name)) for endpoint in endpoints)
        )
        found = []
        for endpoint, report in zip(endpoints, reports, strict=True):
            if not report.ok:
                continue
            if (other := _other_folder(report, spec)) is not None:
                self._emit(
                    notice(
                        "warning",
                        f"{name}: {endpoint.address} serves {readable(other)} under that name, not {spec.model}",
                    )
                )
                continue
            found.append((replace(endpoint, context=report.max_model_len), report))
        for endpoint, _ in found:
            self._emit(
                notice("info", f"{name}: using the running server at {endpoint.address}; it will not be stopped")
            )
        return ModelEndpoints([endpoint for endpoint, _ in found], reports=[report for _, report in found])

    async def _wait_for_turn(self, planned: Sequence[PlannedServer]) -> None:
        while not self._stopping and not all(self._plan.may_start(server, self._finished) for server in planned):
            await self._changed.wait()

    async def _start_all(self, planned: Sequence[PlannedServer]) -> list[VllmServer]:
        """Return the servers that started; emit an error for each of the others.

        Those that still wait for a node while another one is ready are returned too.
        """
        starting = {asyncio.create_task(self._start(self.servers[each])): self.servers[each] for each in planned}
        pending = set(starting)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                late = [starting[task] for task in pending]
                if any(server.is_ready for server in starting.values()) and all(server.is_placing for server in late):
                    break
        except BaseException:
            for task in pending:
                task.cancel()
            raise
        for task in pending:
            self._stack.push_async_callback(_cancelled, task)
        return [server for server in starting.values() if server.is_ready or server in late]

    async def _start(self, server: VllmServer) -> None:
        try:
            await server.wait_ready()
        except ServerFailed as failed:
            self._emit(notice("error", as_line(failed.title, failed.hint)))

    def _lacks(self, server: VllmServer, name: str) -> bool:
        """Report an adapter that a server could not load; return whether it is `name`."""
        if (problem := server.without.get(name)) is None:
            return False
        hint = "the other models of its server go on"
        self._emit(notice("error", as_line(f"{name}: adapter cannot be used: {problem}", hint)))
        return True

    async def _may_mix(self, name: str, spec: ServerSpec, ready: Sequence[VllmServer], demand: Demand) -> bool:
        """Wait until a base may be called on a server with adapters; return False if it is no longer wanted.

        Where the base is not itself in batches with adapters, its calls wait until theirs are made.
        """
        adapters = {adapter.entry for adapter in spec.adapters}
        if name in adapters or all(server.mixes for server in ready):
            return True
        self._emit(
            notice(
                "warning",
                f"{name}: its server gives other replies to the base model in batches with adapters (a known fault of "
                "vLLM 0.32 on CPUs); its calls wait until those of the adapters are made",
            )
        )
        demand.waits()
        while any(self._needed_by[planned] & adapters for planned in self._plan.of(name)):
            if self._stopping or not demand.needed():
                return False
            await self._changed.wait()
        return not self._stopping and demand.needed()

    async def _release(self, name: str) -> None:
        """Stop the servers of `name` that no other model needs."""
        planned = [each for each in self.servers if name in each.spec.entries]
        for each in planned:
            self._needed_by[each].discard(name)
        unneeded = [each for each in planned if not self._needed_by[each]]
        for spec in {each.spec for each in unneeded} & self._growths.keys():
            await self._growths.pop(spec).close()
        await asyncio.gather(*(self.servers[each].stop() for each in unneeded))
        self._finished.update(unneeded)
        self._signal_change()

    def _growth(self, spec: ServerSpec) -> list[Growth]:
        """Return what starts further servers of a spec; nothing for one that does not take all of a cluster."""
        if self._config.cluster.engine != "ray" or spec.serve.replicas != "max":
            return []
        if spec not in self._growths:
            self._growths[spec] = Growth(spec, self._create_further, self._emit)
        return [self._growths[spec]]

    def _create_further(self, spec: ServerSpec, node: str) -> VllmServer:
        """Return a server beyond the plan, on no device of it."""
        siblings = [each for each in self.servers if each.spec is spec]
        planned = PlannedServer(spec, (), spec.share, len(siblings))
        self._needed_by[planned] = set(self._needed_by[siblings[0]])
        return self._create_server(planned, node)

    def _nodes_joined(self, rooms: Sequence[NodeRoom]) -> None:
        """Fill nodes that joined, unless servers of lost nodes wait for them."""
        if self._stopping or any(server.is_placing for server in self.servers.values()):
            return
        for growth in self._growths.values():
            rooms = growth.fill(rooms)

    def _head_lost(self, address: str) -> None:
        """End the servers, as the nodes of a cluster without its head do."""
        title = f"the head of the Ray cluster ({address}) is gone, and with it the servers"
        hint = "results are saved; start the cluster again, and resume with the same command"
        self._emit(notice("error", as_line(title, hint)))
        self.stop()
        for server in self.servers.values():
            server.withdraw(CallFailed(FailureKind.CONNECTION, title, attempts=0, hint=hint))

    def _create_server(self, planned: PlannedServer, node: str = "") -> VllmServer:
        port, key = self._configured_address(planned)
        seconds, measured = start_seconds(planned.spec, self._earlier)
        expected = seconds if measured or planned.spec.is_folder else None
        place = None
        if self._config.cluster.engine == "ray":
            key, place = None, self._cluster_place(planned, node)
        server = VllmServer(planned, self._settings, self._session, self._emit, port, key, expected, place)
        self.servers[planned] = server
        return server

    def _cluster_place(self, planned: PlannedServer, node: str) -> ServerPlace:
        from engine.serving.cluster import ClusterPlace

        settings = self._settings
        return ClusterPlace(
            planned,
            self._config.cluster,
            settings.command[0],
            settings.logs.resolve(),
            settings.grace,
            settings.start_timeout,
            lambda what: self.servers[planned].emit_status("waiting", what),
            node,
        )

    def _configured_address(self, planned: PlannedServer) -> tuple[int | None, str | None]:
        """Return port and key of the endpoint that the config names for this server, if it is on this machine."""
        local = [
            (port, endpoint.api_key)
            for endpoint in endpoints_of(self._config, planned.spec.name)
            if (port := local_port(endpoint.base_url)) is not None
        ]
        return local[planned.replica] if planned.replica < len(local) else (None, None)

    def _signal_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _other_folder(report: EndpointReport, spec: ServerSpec) -> str | None:
    """Return the folder that a server reports for the name of `spec`, if it is another one."""
    root = next((model.root for model in report.models if model.id in spec.served_names), None)
    if not spec.is_folder or root is None or not root.startswith("/") or Path(root).resolve() == Path(spec.model):
        return None
    return root
