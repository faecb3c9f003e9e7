"""What the tests' servers say, as the bytes and objects of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from engine.errors import CallFailed
from engine.events import Event, Notice
from engine.models.client import ModelClient
from engine.models.endpoint import Endpoint
from engine.records import Completion

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

KEY = "sk-planted-0123456789"
BODY = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}


def reply(content: Any = "Hi there.", finish_reason: Any = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as vLLM writes it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
                "stop_reason": None,
            }
        ],
        "usage": {"prompt_tokens": 12, "total_tokens": 20, "completion_tokens": 8, "prompt_tokens_details": None},
    }


def encoded(content: Any = "Hi there.", finish_reason: Any = "stop", **message: Any) -> bytes:
    return msgspec.json.encode(reply(content, finish_reason, **message))


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One whole HTTP request off the wire, or b"" when the client is gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    return head + await reader.readexactly(length)


def http(body: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP reply on the wire; `length` may lie."""
    announced = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n".encode() + body


class Caller:
    """Makes clients whose events are kept, and whose backoff takes no time."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.events: list[Event] = []
        self._session = session
        self._news = asyncio.Event()

    def __call__(self, *base_urls: str, api_key: str | None = None, **options: Any) -> ModelClient:
        settings: dict[str, Any] = {"parallel": 64, "attempts": 3, "chance": lambda: 0.0, **options}
        endpoints = [Endpoint(base_url, api_key) for base_url in base_urls]
        return ModelClient("tiny", endpoints, session=self._session, emit=self._keep, **settings)

    def _keep(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until that is so after some event."""
        async with asyncio.timeout(10):
            while not happened():
                self._news.clear()
                await self._news.wait()

    @property
    def notices(self) -> list[Notice]:
        return [event for event in self.events if isinstance(event, Notice)]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


def replies(*statuses: int, headers: dict[str, str] | None = None) -> tuple[Handler, list[web.Request]]:
    """A handler that gives these statuses in turn (the last one for ever), and the requests that it saw."""
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request)
        status = statuses[min(len(seen), len(statuses)) - 1]
        if status == 200:
            return web.Response(body=encoded(), content_type="application/json")
        return web.json_response({"error": {"message": f"trouble with {KEY}"}}, status=status, headers=headers)

    return handler, seen


async def failure_of(call: Awaitable[Completion]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value
