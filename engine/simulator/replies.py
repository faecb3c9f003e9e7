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

from engine.simulator.cast import ReplyChoice
from engine.simulator.faults import Altered, Disconnect, Dribble, Hang, Status
from engine.simulator.requests import error_body
from engine.simulator.text import pieces

_CHUNKS_PER_SECOND = 50.0  # the most that a stream sends; more tokens share a chunk
_REASONS = {429: "Too Many Requests", 500: "InternalServerError", 503: "Service Unavailable"}
encode = msgspec.json.encode


class ChatReply(msgspec.Struct, frozen=True):
    """A chat reply that is to be sent."""

    identity: str
    model: str
    prompt_tokens: int
    choices: Sequence[ReplyChoice]

    def completion(self) -> dict[str, Any]:
        """Return the whole reply."""
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": {
                        "role": "assistant",
                        "content": choice.content,
                        "reasoning": choice.reasoning,
                        "refusal": None,
                    },
                    "logprobs": choice.logprobs,
                    "finish_reason": choice.finish_reason,
                    "stop_reason": None,
                    "token_ids": None,
                }
                for index, choice in enumerate(self.choices)
            ],
            "system_fingerprint": "simulated",
            "usage": self._usage(),
        }

    def chunks(self, tokens_per_second: float, *, with_usage: bool) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the chunks of a stream, each with the pause in seconds before it."""
        together = max(1, round(tokens_per_second / _CHUNKS_PER_SECOND)) if tokens_per_second else 16
        pause = together / tokens_per_second if tokens_per_second else 0.0
        head = self._head("chat.completion.chunk")

        def chunk(index: int, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None) -> Any:
            given = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
            return {**head, "choices": [given]}

        for index, choice in enumerate(self.choices):
            yield 0.0, chunk(index, {"role": "assistant", "content": ""})
            for field, text in (("reasoning", choice.reasoning), ("content", choice.content)):
                parts = pieces(text or "")
                likely = choice.logprobs["content"] if choice.logprobs and field == "content" else None
                for start in range(0, len(parts), together):
                    end = start + together
                    likely_here = None if likely is None else {"content": likely[start:end]}
                    yield pause, chunk(index, {field: "".join(parts[start:end])}, logprobs=likely_here)
            yield 0.0, chunk(index, {}, choice.finish_reason)
        if with_usage:
            yield 0.0, {**head, "choices": [], "usage": self._usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.identity, "object": kind, "created": int(time.time()), "model": self.model}

    def _usage(self) -> dict[str, Any]:
        """Return the token counts; `completion_tokens` sums over the choices."""
        completion = sum(choice.tokens for choice in self.choices)
        reasoning = sum(choice.reasoning_tokens for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + completion,
            "completion_tokens": completion,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": reasoning} if reasoning else None,
        }


def json_response(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(body), status=status, content_type="application/json")


def fault_response(fault: Status) -> web.Response:
    body = fault.body
    if body is None:
        kind = _REASONS.get(fault.status, "BadRequestError" if fault.status < 500 else "InternalServerError")
        body = encode(error_body("simulated fault", kind, fault.status))
    return web.Response(body=body, status=fault.status, content_type=fault.content_type, headers=fault.headers)


async def hang(request: web.Request, fault: Hang) -> web.StreamResponse:
    """Send nothing; cancelled when the client disconnects."""
    await asyncio.sleep(fault.seconds) if fault.seconds != float("inf") else await asyncio.Event().wait()
    return await disconnect(request, Disconnect(), b"")


async def disconnect(request: web.Request, fault: Disconnect, body: bytes) -> web.StreamResponse:
    """Close the connection, after a part of `body` if the fault has one."""
    response = _sized(body)
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
    response = _sized(body)
    await response.prepare(request)
    for start in range(0, len(body), fault.size):
        await asyncio.sleep(fault.pause)
        await response.write(body[start : start + fault.size])
    await response.write_eof()
    return response


def altered(fault: Altered, reply: ChatReply) -> bytes:
    """Return the encoded reply with the fault's changes."""
    whole = reply.completion()
    first, *others = whole["choices"]
    first = {**first, **fault.choice, "message": {**first["message"], **fault.message}}
    body = encode({**whole, "choices": [first, *others] if fault.choices else []})
    return body.replace(*fault.raw) if fault.raw else body


async def stream(
    request: web.Request, reply: ChatReply, tokens_per_second: float, *, with_usage: bool
) -> web.StreamResponse:
    """Send a reply as server-sent events, the usage last."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for pause, chunk in reply.chunks(tokens_per_second, with_usage=with_usage):
        if pause:
            await asyncio.sleep(pause)
        await response.write(b"data: " + encode(chunk) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _sized(body: bytes) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
