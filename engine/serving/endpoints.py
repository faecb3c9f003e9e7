"""A place where a model can be called: endpoints, and who keeps them up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from engine.models.client import ModelClient
from engine.models.discover import EndpointReport
from engine.models.endpoint import Endpoint


class Keeper(Protocol):
    """Whoever keeps an endpoint up, and holds the calls of a client while it is down."""

    def attach(self, client: ModelClient) -> None: ...


@dataclass(frozen=True)
class Place:
    """Endpoints that serve a model, and what they say of themselves. None are where nobody serves it: that was told."""

    endpoints: Sequence[Endpoint] = ()
    keepers: Sequence[Keeper] = ()
    reports: Sequence[EndpointReport] = ()


class Nowhere:
    """Has no place for anybody."""

    @asynccontextmanager
    async def at(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[Place]:
        """None."""
        yield Place()


class Places(Protocol):
    """Where models can be called, for as long as they are needed."""

    def at(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AbstractAsyncContextManager[Place]:
        """The place of a model, for the length of the block. Where it takes a while until there is one, `needed` is
        asked then whether it still is; if not, there is none.
        """
