"""The servers of one run: each has its turn in the order of the plan, and ends when nobody needs it any more."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp

from engine.config.model import Config
from engine.events import Event, Notice
from engine.models.connection import open_session
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.models.reply import readable
from engine.serving.endpoints import Place, Places
from engine.serving.plan import PlannedServer, ServerPlan, ServerSpec
from engine.serving.process import local_port, stop_orphans
from engine.serving.server import ServerFailed, ServerSettings, VllmServer


class Fleet:
    """Places for models: those that the plan serves, and by `others` those of servers that run anyway.

    `open` it before use, and `close` it, which ends every server. A server that runs already at an endpoint of the
    config, with the right model, is used and left alone. The servers take `key`, by default one that is made for them;
    an empty one stands for none.
    """

    def __init__(
        self,
        config: Config,
        plan: ServerPlan,
        users: Iterable[str],
        others: Places,
        *,
        endpoints: Callable[[str], Sequence[Endpoint]],
        logs: Path,
        tell: Callable[[Event], None],
        grace: float,
        key: str | None = None,
    ) -> None:
        self.servers: dict[PlannedServer, VllmServer] = {}
        self._config = config
        self._plan = plan
        self._others = others
        self._endpoints = endpoints
        self._tell = tell
        if key is None:
            key = secrets.token_urlsafe(24)
        vllm = config.vllm
        self._settings = ServerSettings(vllm.command, key, logs, vllm.start_timeout, vllm.restarts, grace)
        self._needed_by = {server: set(server.spec.entries) & set(users) for server in plan.servers}
        self._over: set[PlannedServer] = set()
        self._stopping = False
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def open(self) -> None:
        """Make the servers; none is started yet. Those that an earlier run left behind are ended first."""
        for name in await asyncio.to_thread(stop_orphans, self._settings.logs):
            self._notice("warning", f"{name}: a server that an earlier run had left behind was ended")
        self._session = await self._stack.enter_async_context(open_session())
        for planned in self._plan.servers:
            self._make(planned).told("waiting", "for its turn")

    async def close(self) -> None:
        """End every server, and wait until nothing of them is left. Whoever cancels this waits for it all the same."""
        self.stop()
        ending = asyncio.ensure_future(self._end())
        cancelled = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                cancelled = True
        ending.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _end(self) -> None:
        await asyncio.gather(*(server.stop() for server in self.servers.values()))
        await self._stack.aclose()

    def stop(self, *, at_once: bool = False) -> None:
        """Nobody waits for a server any more: those that start are broken off. With `at_once` all are killed."""
        self._stopping = True
        self._tell_change()
        for server in self.servers.values():
            if at_once or not server.is_up:
                server.break_off(at_once=at_once)

    @asynccontextmanager
    async def at(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[Place]:
        """The place of a model: its servers, once their turn has come and they are up."""
        planned = self._plan.of(name)
        if not planned:
            async with self._others.at(name, is_last_try=is_last_try, needed=needed) as place:
                yield place
            return
        try:
            if (running := await self._running_already(name, planned[0].spec)).endpoints:
                yield running
                return
            await self._turn_of(planned)
            if self._stopping or not needed():
                yield Place()
                return
            up = await self._all_up(planned)
            reports = [server.report for server in up if server.report is not None]
            yield Place([server.endpoint for server in up], up, reports)
        finally:
            await self._no_longer(name, planned)

    async def _running_already(self, name: str, spec: ServerSpec) -> Place:
        """The endpoints of the config where somebody serves the model already."""
        endpoints = self._endpoints(name)
        reports = await asyncio.gather(
            *(probe(self._session, endpoint, self._config.served_name(name)) for endpoint in endpoints)
        )
        found = []
        for endpoint, report in zip(endpoints, reports, strict=True):
            if not report.ok:
                continue
            if (other := _another_folder(report, spec)) is not None:
                self._notice(
                    "warning", f"{name}: {endpoint.address} serves {readable(other)} by that name, not {spec.model}"
                )
                continue
            found.append((replace(endpoint, context=report.max_model_len), report))
        for endpoint, _ in found:
            self._notice("info", f"{name}: {endpoint.address} serves it already; that server is used and left alone")
        return Place([endpoint for endpoint, _ in found], reports=[report for _, report in found])

    async def _turn_of(self, planned: Sequence[PlannedServer]) -> None:
        while not self._stopping and not all(self._plan.may_start(server, self._over) for server in planned):
            await self._changed.wait()

    async def _all_up(self, planned: Sequence[PlannedServer]) -> list[VllmServer]:
        """Those of the servers that came up; the others are told."""
        servers = [self.servers[each] for each in planned]
        results = await asyncio.gather(*(server.up() for server in servers), return_exceptions=True)
        for result in results:
            if isinstance(result, ServerFailed):
                self._notice("error", f"{result.title}. {result.hint}")
            elif isinstance(result, BaseException):
                raise result
        return [server for server in servers if server.is_up]

    async def _no_longer(self, name: str, planned: Sequence[PlannedServer]) -> None:
        """`name` needs its servers no more; end those that nobody needs."""
        for each in planned:
            self._needed_by[each].discard(name)
        unneeded = [each for each in planned if not self._needed_by[each]]
        await asyncio.gather(*(self.servers[each].stop() for each in unneeded))
        self._over.update(unneeded)
        self._tell_change()

    def _make(self, planned: PlannedServer) -> VllmServer:
        port, key = self._own_address(planned)
        server = VllmServer(planned, self._settings, self._session, self._tell, port, key)
        self.servers[planned] = server
        return server

    def _own_address(self, planned: PlannedServer) -> tuple[int | None, str | None]:
        """The port and key of the endpoint that the config names for this server, if it is one of this machine."""
        local = [
            (port, endpoint.api_key)
            for endpoint in self._endpoints(planned.spec.name)
            if (port := local_port(endpoint.base_url)) is not None
        ]
        return local[planned.replica] if planned.replica < len(local) else (None, None)

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _notice(self, level: str, text: str) -> None:
        self._tell(Notice(level, text, time.time()))  # type: ignore[arg-type]


def _another_folder(report: EndpointReport, spec: ServerSpec) -> str | None:
    """The folder that a server serves by the name of `spec`, if it says so and it is not that of `spec`."""
    root = next((model.root for model in report.models if model.id in spec.served_names), None)
    if not spec.is_folder or root is None or not root.startswith("/") or Path(root).resolve() == Path(spec.model):
        return None
    return root
