"""Replies and faults on the wire: JSON and server-sent events in vLLM's layout, cut connections, slow bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from aiohttp import web

from engine.simulator.cast import Said
from engine.simulator.faults import Altered, Disconnect, Dribble, Hang, Status
from engine.simulator.requests import error_body
from engine.simulator.text import pieces

_CHUNKS_PER_SECOND = 50.0  # the most that a stream sends; more tokens share a chunk


def usage(prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """The token counts of a reply; `completion_tokens` sums over its choices."""
    completion = sum(one.tokens for one in said)
    reasoning = sum(one.reasoning_tokens for one in said)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": None,
        "completion_tokens_details": {"reasoning_tokens": reasoning} if reasoning else None,
    }


def completion(identity: str, model: str, prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """A whole reply."""
    return {
        "id": identity,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.content, "reasoning": one.reasoning, "refusal": None},
                "logprobs": one.logprobs,
                "finish_reason": one.finish_reason,
                "stop_reason": None,
                "token_ids": None,
            }
            for index, one in enumerate(said)
        ],
        "system_fingerprint": "simulated",
        "usage": usage(prompt, said),
    }


def chunks(
    identity: str, model: str, said: Sequence[Said], tokens_per_second: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    """The chunks of a streamed reply, each after the pause in seconds that comes before it."""
    together = max(1, round(tokens_per_second / _CHUNKS_PER_SECOND)) if tokens_per_second else 16
    pause = together / tokens_per_second if tokens_per_second else 0.0
    base = {"id": identity, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}

    def chunk(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}

    for index, one in enumerate(said):
        yield 0.0, chunk(index, {"role": "assistant", "content": ""})
        for field, text in (("reasoning", one.reasoning), ("content", one.content)):
            parts = pieces(text or "")
            for start in range(0, len(parts), together):
                yield pause, chunk(index, {field: "".join(parts[start : start + together])})
        yield 0.0, chunk(index, {}, one.finish_reason)


def usage_chunk(identity: str, model: str, prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """The last chunk of a stream that was asked for its usage."""
    base = {"id": identity, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
    return {**base, "choices": [], "usage": usage(prompt, said)}


_REASONS = {429: "Too Many Requests", 500: "InternalServerError", 503: "Service Unavailable"}
encode = msgspec.json.encode


def json_response(body: Any, status: int = 200) -> web.Response:
    """A whole JSON reply."""
    return web.Response(body=encode(body), status=status, content_type="application/json")


def fault_response(fault: Status) -> web.Response:
    """The reply of a Status fault."""
    body = fault.body
    if body is None:
        kind = _REASONS.get(fault.status, "BadRequestError" if fault.status < 500 else "InternalServerError")
        body = encode(error_body("simulated fault", kind, fault.status))
    return web.Response(body=body, status=fault.status, content_type=fault.content_type, headers=fault.headers)


async def hang(request: web.Request, fault: Hang) -> web.StreamResponse:
    """Say nothing; the client's leaving cancels this."""
    await asyncio.sleep(fault.seconds) if fault.seconds != float("inf") else await asyncio.Event().wait()
    return await disconnect(request, Disconnect(), b"")


async def disconnect(request: web.Request, fault: Disconnect, body: bytes) -> web.StreamResponse:
    """Close the connection, after a part of `body` if the fault says so."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    if fault.after_bytes is not None:
        await response.prepare(request)
        await response.write(body[: fault.after_bytes])
    if (transport := request.transport) is not None:
        if fault.reset:
            linger = struct.pack("ii", 1, 0)  # on, 0 seconds: closing sends RST instead of FIN
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        else:
            transport.close()
    return response


async def dribble(request: web.Request, fault: Dribble, body: bytes) -> web.StreamResponse:
    """Send `body` in small pieces."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    for start in range(0, len(body), fault.size):
        await asyncio.sleep(fault.pause)
        await response.write(body[start : start + fault.size])
    await response.write_eof()
    return response


def altered(fault: Altered, reply: dict[str, Any]) -> bytes:
    """The encoded reply with the fault's changes."""
    choices = [
        {**choice, **fault.choice, "message": {**choice["message"], **fault.message}} if not index else choice
        for index, choice in enumerate(reply["choices"])
    ]
    body = encode({**reply, "choices": choices if fault.choices else []})
    return body.replace(*fault.raw) if fault.raw else body


async def stream(
    request: web.Request,
    identity: str,
    model: str,
    said: Sequence[Said],
    tokens_per_second: float,
    prompt_tokens: int | None,
) -> web.StreamResponse:
    """Send a reply as server-sent events; with `prompt_tokens` a chunk with the usage comes last."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for pause, chunk in chunks(identity, model, said, tokens_per_second):
        if pause:
            await asyncio.sleep(pause)
        await response.write(b"data: " + encode(chunk) + b"\n\n")
    if prompt_tokens is not None:
        await response.write(b"data: " + encode(usage_chunk(identity, model, prompt_tokens, said)) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
