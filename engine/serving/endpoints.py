"""Where a model can be called: the interface between a run and the servers, its own or others'."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from engine.models.client import ModelClient
from engine.models.discover import EndpointReport
from engine.models.endpoint import Endpoint


class ManagedServer(Protocol):
    """A server that is started again when it exits; while it is down it holds the calls of attached clients."""

    def attach(self, client: ModelClient) -> None: ...


@dataclass(frozen=True)
class ModelEndpoints:
    """The endpoints that serve one model, and their reports; empty if none does (the reason was emitted)."""

    endpoints: Sequence[Endpoint] = ()
    servers: Sequence[ManagedServer] = ()
    reports: Sequence[EndpointReport] = ()


class EndpointSource(Protocol):
    """Provides the endpoints of models for as long as they are used."""

    def open(
        self, name: str, *, is_last_try: bool, needed: Callable[[], bool]
    ) -> AbstractAsyncContextManager[ModelEndpoints]:
        """Provide the endpoints of a model for the length of the block.

        This may wait for a server; after the wait `needed` decides whether one is still started.
        """


class NoEndpoints:
    """An EndpointSource without any endpoint."""

    @asynccontextmanager
    async def open(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[ModelEndpoints]:
        """Provide none."""
        yield ModelEndpoints()
