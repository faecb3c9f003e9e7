"""A server on a raw socket that does to chat calls what servers, gateways and networks do to them.

`FAULTS` says by name what happens to a call and what it must come to. A fault gets the connection and the true reply,
and says whether the connection may be used again.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any, NamedTuple

from engine.errors import FailureKind

Strike = Callable[[dict[str, Any], int], str | None]  # (request, how often it has come) -> name of a fault
Does = Callable[[asyncio.StreamWriter, dict[str, Any]], Awaitable[bool]]


class Fault(NamedTuple):
    """What a fault does, and how a call ends that always meets it: `kind` None is a good reply."""

    does: Does
    kind: FailureKind | None
    passing: bool = True  # whether it is tried again
    truncated: bool = False


def http(body: bytes, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """A reply on the wire; `length` may lie."""
    announced = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {announced}\r\n\r\n".encode()
        + body
    )


def completion(content: object, finish_reason: object = "stop", **message: object) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }


def encoded(reply: object) -> bytes:
    return json.dumps(reply, ensure_ascii=False).encode()


def sends(data: bytes | Callable[[], bytes]) -> Does:
    """The same bytes for everybody."""

    async def does(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
        writer.write(data() if callable(data) else data)
        return True

    return does


def status(line: str, headers: str = "", body: bytes = b'{"error": {"message": "planted trouble"}}') -> Does:
    return sends(http(body, line, headers))


def alters(**changes: object) -> Does:
    """The true reply with other fields in its choice's message, or `finish_reason`."""

    async def does(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
        choice = reply["choices"][0]
        finish_reason = changes.get("finish_reason", choice["finish_reason"])
        message = choice["message"] | {key: value for key, value in changes.items() if key != "finish_reason"}
        altered = reply | {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}
        writer.write(http(encoded(altered)))
        return True

    return does


def lacks(**fields: object) -> Does:
    """The true reply with other fields at its top; None leaves a field out."""

    async def does(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
        writer.write(http(encoded({key: value for key, value in (reply | fields).items() if value is not ...})))
        return True

    return does


def breaks_off(*, after: int | None, reset: bool) -> Does:
    """Close the connection (with a RST if `reset`), before the reply or `after` bytes of its body."""

    async def does(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
        if after is not None:
            body = encoded(reply)
            writer.write(http(body[:after], length=len(body)))
            await writer.drain()
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return False

    return does


def mangles(change: Callable[[bytes], bytes]) -> Does:
    """The true reply's bytes, changed."""

    async def does(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
        writer.write(http(change(encoded(reply))))
        return True

    return does


async def hangs(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
    while not writer.is_closing():
        await asyncio.sleep(0.05)
    return False


async def stalls(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
    body = encoded(reply)
    writer.write(http(body[:20], length=len(body)))
    return await hangs(writer, reply)


async def dribbles(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
    body = encoded(reply)
    writer.write(http(b"", length=len(body)))
    for start in range(0, len(body), 40):
        writer.write(body[start : start + 40])
        await asyncio.sleep(0.01)
    return True


async def dribbles_for_ever(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> bool:
    writer.write(http(b"", length=10**9))
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.05)
    return False


NOTHING_RUNS = b"vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\n"
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>nginx</body></html>"
BAD_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk\r\n"
GZIP_OF_NOTHING = http(b"this is no gzip", headers="Content-Encoding: gzip\r\n")
REPETITION = "и снова, " * 5000

KIND = FailureKind
FAULTS: dict[str, Fault] = {
    "429 Retry-After": Fault(status("429 Too Many Requests", "Retry-After: 0\r\n"), KIND.RATE_LIMITED),
    "429 Retry-After as a date": Fault(
        sends(lambda: http(b"{}", "429 Too Many", f"Retry-After: {formatdate(usegmt=True)}\r\n")), KIND.RATE_LIMITED
    ),
    "429": Fault(status("429 Too Many Requests"), KIND.RATE_LIMITED),
    "500": Fault(status("500 Internal Server Error"), KIND.SERVER),
    "502 with HTML": Fault(status("502 Bad Gateway", body=HTML), KIND.SERVER),
    "503": Fault(status("503 Service Unavailable"), KIND.SERVER),
    "408": Fault(status("408 Request Timeout", body=b""), KIND.SERVER),
    "400": Fault(status("400 Bad Request"), KIND.REJECTED, passing=False),
    "401": Fault(status("401 Unauthorized"), KIND.UNAUTHORIZED, passing=False),
    "404": Fault(status("404 Not Found"), KIND.REJECTED, passing=False),
    "200 with HTML": Fault(sends(http(HTML)), KIND.MALFORMED),
    "204": Fault(sends(b"HTTP/1.1 204 No Content\r\n\r\n"), KIND.MALFORMED),
    "closed before the reply": Fault(breaks_off(after=None, reset=False), KIND.CONNECTION),
    "reset before the reply": Fault(breaks_off(after=None, reset=True), KIND.CONNECTION),
    "closed inside the body": Fault(breaks_off(after=30, reset=False), KIND.CONNECTION),
    "reset inside the body": Fault(breaks_off(after=30, reset=True), KIND.CONNECTION),
    "stalled inside the body": Fault(stalls, KIND.TIMEOUT),
    "hanging": Fault(hangs, KIND.TIMEOUT),
    "dribbling": Fault(dribbles, None),
    "dribbling for ever": Fault(dribbles_for_ever, KIND.TIMEOUT),
    "not HTTP": Fault(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), KIND.MALFORMED),
    "chunks that are none": Fault(sends(BAD_CHUNKS), KIND.MALFORMED),
    "gzip that is none": Fault(sends(GZIP_OF_NOTHING), KIND.MALFORMED),
    "truncated JSON": Fault(mangles(lambda body: body[:-20]), KIND.MALFORMED),
    "JSON that is not UTF-8": Fault(mangles(lambda body: body.replace(b"TRUE", b"TR\xff\xfeUE")), KIND.MALFORMED),
    "no bytes": Fault(mangles(lambda body: b""), KIND.MALFORMED),
    "JSON that is no object": Fault(mangles(lambda body: b"[" + body + b"]"), KIND.MALFORMED),
    "error object in a 200": Fault(sends(http(b'{"error": {"message": "CUDA error"}}')), KIND.MALFORMED),
    "error of the server behind in a 200": Fault(
        sends(http(b'{"error": {"message": "upstream", "code": 503}, "choices": null}')), KIND.SERVER
    ),
    "empty choices": Fault(lacks(choices=[]), KIND.MALFORMED),
    "null choices": Fault(lacks(choices=None), KIND.MALFORMED),
    "missing choices": Fault(lacks(choices=...), KIND.MALFORMED),
    "a choice without message": Fault(lacks(choices=[{"index": 0}]), KIND.MALFORMED),
    "null content": Fault(alters(content=None), KIND.EMPTY),
    "empty content": Fault(alters(content=""), KIND.EMPTY),
    "blank content": Fault(alters(content=" \n\t "), KIND.EMPTY),
    "content of another type": Fault(alters(content=42), KIND.MALFORMED),
    "abort": Fault(alters(finish_reason="abort"), KIND.ABORTED),
    "finish_reason error": Fault(alters(finish_reason="error"), KIND.ABORTED),
    "cut by repetition detection": Fault(alters(finish_reason="repetition"), KIND.ABORTED),
    "tool call": Fault(alters(finish_reason="tool_calls", content=None), KIND.EMPTY),
    "content filter": Fault(alters(finish_reason="content_filter"), KIND.REJECTED, passing=False),
    "all thinking": Fault(alters(finish_reason="length", content="<think>hm"), KIND.TRUNCATED, passing=False),
    "length": Fault(alters(finish_reason="length"), None, truncated=True),
    "endless repetition": Fault(alters(content=f"TRUE {REPETITION}", finish_reason="length"), None, truncated=True),
    "a NUL in the text": Fault(alters(content="TRUE \0 \x1b[2J [[A>B]]"), None),
}  # fmt: skip


class FaultServer:
    """Serves `answer(request)` as chat completions, unless `strike` names a fault for the request."""

    def __init__(self, models: list[str], answer: Callable[[dict[str, Any]], str], strike: Strike) -> None:
        self.requests: Counter[bytes] = Counter()  # chat calls by body
        self.struck: Counter[str] = Counter()
        self._models = http(encoded({"object": "list", "data": [{"id": name, "object": "model"} for name in models]}))
        self._answer = answer
        self._strike = strike

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and what becomes of it; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        if not head.startswith(b"POST"):
            replies = {b"/v1/models": self._models, b"/metrics": http(NOTHING_RUNS)}
            writer.write(replies.get(head.split(b" ")[1], http(b"{}", "404 Not Found")))
            return True
        request = json.loads(body)
        self.requests[body] += 1
        reply = completion(self._answer(request))
        reply["usage"]["completion_tokens"] = request.get("max_tokens", 3)  # as a reply has that ends in "length"
        name = self._strike(request, self.requests[body])
        if name is None:
            writer.write(http(encoded(reply)))
            return True
        self.struck[name] += 1
        return await FAULTS[name].does(writer, reply)


@asynccontextmanager
async def serving(server: FaultServer, port: int = 0) -> AsyncIterator[str]:
    """Let `server` listen on loopback; gives its base URL. Nothing of it is left afterwards."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        connections.add(connection)
        try:
            await server.connected(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            connections.discard(connection)

    listening = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
