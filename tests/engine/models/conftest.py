"""Small servers on loopback for the tests of calls to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from ssl import SSLContext

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from model_servers import Caller, Connected, Handler

from engine.models.connection import open_session


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start a server that answers every request by `handler`; gives its base URL."""
    started: list[TestServer] = []

    async def start(handler: Handler, *, port: int = 0, ssl: SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app, port=port or None, scheme="https" if ssl else "http")
        started.append(server)
        await server.start_server(shutdown_timeout=0, ssl=ssl)
        return f"{server.scheme}://127.0.0.1:{server.port}/v1"

    yield start
    for server in started:
        await server.close()


@pytest.fixture
async def serve_raw() -> AsyncIterator[Callable[[Connected], Awaitable[str]]]:
    """Start a server that does with every connection what `connected` says; gives its base URL."""
    started: list[asyncio.Server] = []

    async def start(connected: Connected) -> str:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await connected(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        started.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    yield start
    for server in started:
        server.close()


@pytest.fixture
def caller(session: aiohttp.ClientSession) -> Caller:
    return Caller(session)
