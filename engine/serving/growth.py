"""Further servers of a model that takes all of a cluster: on nodes that join during the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.errors import as_line
from engine.events import Event, notice
from engine.models.client import ModelClient
from engine.serving.nodes import NodeRoom
from engine.serving.plan import ServerSpec
from engine.serving.server import ServerFailed, VllmServer


class Growth:
    """A ManagedServer for servers that are not planned yet: `fill` starts them, attached clients get them once ready.

    `create` makes a server of the spec that prefers the node of the given id.
    """

    def __init__(
        self, spec: ServerSpec, create: Callable[[ServerSpec, str], VllmServer], emit: Callable[[Event], None]
    ) -> None:
        self._spec = spec
        self._create = create
        self._emit = emit
        self._filled: set[str] = set()  # nodes, each once: a server that fails there is not tried again and again
        self._clients: list[ModelClient] = []
        self._ready: list[VllmServer] = []
        self._starting: set[asyncio.Task[None]] = set()

    def attach(self, client: ModelClient) -> None:
        """Send calls of `client` to the further servers, also to those that are still to come."""
        self._clients.append(client)
        for server in self._ready:
            self._provide(server, client)

    def fill(self, rooms: Sequence[NodeRoom]) -> list[NodeRoom]:
        """Start as many servers as nodes have room for that were not filled yet; return what is left of the nodes."""
        left = []
        for room in rooms:
            free = room.free
            while room.id not in self._filled and free >= self._spec.gpus_each:
                free -= self._spec.gpus_each
                server = self._create(self._spec, room.id)
                self._emit(notice("info", f"{server.name}: a further server, as node {room.name} has joined"))
                task = asyncio.create_task(self._start(server))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
            if free < room.free:
                self._filled.add(room.id)
            left.append(NodeRoom(room.id, room.name, free))
        return left

    async def close(self) -> None:
        """Wait for no server any more."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)

    async def _start(self, server: VllmServer) -> None:
        try:
            await server.wait_ready()
        except ServerFailed as failed:
            self._emit(notice("warning", as_line(failed.title, failed.hint)))
            return
        if server.is_ready:
            self._ready.append(server)
            for client in self._clients:
                self._provide(server, client)

    def _provide(self, server: VllmServer, client: ModelClient) -> None:
        is_adapter = any(adapter.entry == client.name for adapter in self._spec.adapters)
        if client.name not in server.without and (server.mixes or is_adapter):
            server.attach(client)
            client.add(server.endpoint)
