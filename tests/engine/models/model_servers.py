"""What the tests' servers say, as the bytes and objects of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

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
