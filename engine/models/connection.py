"""The HTTP session of a run, small requests, bounded reading of bodies, and aiohttp's exceptions in words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from engine.errors import CallFailed, FailureKind
from engine.models.endpoint import Endpoint
from engine.models.refusal import readable
from engine.models.stream import STREAM_FACTOR, STREAM_TAIL, STREAM_TYPE, is_end, is_stream

LARGEST_BODY = 64 * 2**20  # bytes: a hundred times the longest answer of a model
LARGEST_ERROR, LONGEST_ERROR = 2**20, 15.0  # bytes and seconds in which the body of an error is read
SMALLEST_BOUND = 2**18  # bytes of a reply beside its tokens
TOKEN_BYTES = 1024  # of a reply: a token is an event of its own in a stream, and may be escaped as JSON
LOGPROB_BYTES = 512  # of a reply, for each log-probability
LONGEST_END = 0.5  # seconds to wait for the end of a body after the last event of its stream
KEEP_ALIVE = 4.0  # seconds: vLLM closes idle connections after 5, and a request lost to that costs a retry
CONNECT_TIMEOUT = 15.0  # seconds to get a connection, apart from the time for the reply
DNS_TTL = 300
PROBE_AFTER, PROBE_EVERY, PROBES = 60, 15, 4  # seconds, seconds, times: a vanished host is noticed in two minutes
FAULTS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)  # ValueError: a URL or header that aiohttp rejects


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session without limits of its own (the pool has them), without cookies, with certificates verified.

    It reads neither the environment on each call nor `~/.netrc`: `proxy_for` decides once per endpoint.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE,
        ttl_dns_cache=DNS_TTL,
        socket_factory=_probed_socket,
    )
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


class Link:
    """Whether a request went out on a connection that was idle before: no socket was made since `begin`.

    A contextvar, because tracing of aiohttp, which reports the same, costs each call 10 % of its time.
    """

    __slots__ = ("reused",)

    def __init__(self) -> None:
        self.reused = True

    @classmethod
    def begin(cls) -> Link:
        """Return the link of the request that the current task is about to send."""
        link = cls()
        _link.set(link)
        return link


_link: ContextVar[Link] = ContextVar("link")


def proxy_for(url: URL) -> str | None:
    """Return the proxy that the environment (`https_proxy`, `no_proxy`, ...) names for `url`; None for this machine."""
    host = url.host or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy and proxy.startswith(("http://", "https://")) else None


async def fetch(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    url: URL,
    *,
    time_limit: float,
    largest: int,
    body: bytes | None = None,
) -> tuple[int, bytes]:
    """Send one small request, a POST if it has a JSON `body`, and return the status and the body of the reply.

    Raises CallFailed for a reply beyond `largest` bytes, ArenaError for an unusable key, and `FAULTS`.
    """
    headers = endpoint.headers()
    if body is not None:
        headers["Content-Type"] = "application/json"
    async with session.request(
        "GET" if body is None else "POST",
        url,
        data=body,
        headers=headers,
        proxy=proxy_for(url),
        timeout=aiohttp.ClientTimeout(total=time_limit),
        allow_redirects=False,
    ) as response:
        return response.status, await read_body(response, largest)


class Incoming(Protocol):
    """A reply whose head has arrived."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> aiohttp.StreamReader: ...
    def close(self) -> object: ...


async def read_body(
    response: Incoming,
    largest: int = LARGEST_BODY,
    longest_pause: float | None = None,
    heard: Callable[[], None] = lambda: None,
) -> bytes:
    """Read the whole body, calling `heard` for each piece; a stream may be longer, and ends with its last event.

    Raises CallFailed (MALFORMED) beyond `largest` bytes, CallFailed (TIMEOUT) when no byte arrives for `longest_pause`
    seconds, and what aiohttp raises.
    """
    content, headers = response.content, response.headers
    length = headers.get("Content-Length")
    if length is not None and int(length) <= largest and "Content-Encoding" not in headers:
        if content.is_eof() and content.exception() is None:  # as a rule it came with the head
            return content.read_nowait()
        if longest_pause is None:
            return await content.read()
    time = asyncio.get_running_loop().time
    pieces: list[bytes] = []
    read, tail, ended = 0, b"", False
    streamed = headers.get("Content-Type", "").partition(";")[0].strip().lower() == STREAM_TYPE
    try:
        async with asyncio.timeout(longest_pause) as pause:
            async for piece in content.iter_any():
                streamed = streamed or (not read and is_stream(piece))
                read += len(piece)
                heard()
                if read > (most := min(LARGEST_BODY, largest * STREAM_FACTOR) if streamed else largest):
                    response.close()
                    size = f"{most / 2**20:.0f} MiB" if most >= 2**20 else f"{most / 2**10:.0f} KiB"
                    raise CallFailed(FailureKind.MALFORMED, f"the reply is longer than {size}")
                pieces.append(piece)
                if ended:
                    continue
                if streamed:
                    ended = is_end(tail + piece)
                    tail = (tail + piece)[-STREAM_TAIL:]
                if ended or longest_pause is not None:
                    pause.reschedule(time() + (LONGEST_END if ended else longest_pause or 0.0))
    except aiohttp.ClientPayloadError:
        if not ended:
            raise
    except TimeoutError:
        if not pause.expired():  # that of the whole call
            raise
        response.close()
        if not ended:
            message = f"the reply stopped midway: no byte for {longest_pause:g} s"
            raise CallFailed(FailureKind.TIMEOUT, message) from None
    return b"".join(pieces)


async def read_error(response: Incoming) -> bytes:
    """Return the body of an error, or as much as arrives of it within LARGEST_ERROR bytes and LONGEST_ERROR seconds."""
    pieces: list[bytes] = []
    read = 0
    try:
        async with asyncio.timeout(LONGEST_ERROR) as limit:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                read += len(piece)
                if read >= LARGEST_ERROR:
                    response.close()
                    break
    except TimeoutError:
        if not limit.expired():  # that of the whole call
            raise
        response.close()
    return b"".join(pieces)[:LARGEST_ERROR]


def failure_of(error: BaseException, seconds: float) -> CallFailed:
    """Return the failure that `error` stands for, raised `seconds` after the request began."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return _connection(f"no connection within {seconds:.0f} s", "check the host of base_url and the network")
        case TimeoutError():
            return CallFailed(
                FailureKind.TIMEOUT,
                f"no complete reply within {seconds:.0f} s",
                hint="raise `timeout` of this model, or lower `parallel` or max_tokens",
            )
        case aiohttp.ClientConnectorCertificateError():
            return _connection(
                f"TLS: this machine does not trust the server's certificate ({_text_of(error.certificate_error)})",
                "set SSL_CERT_FILE to the certificate of the authority that signed it, or to the certificate itself",
            )
        case aiohttp.ClientConnectorSSLError():
            return _connection(f"TLS: {_text_of(error)}", "check http or https in base_url, and the certificate")
        case aiohttp.ClientConnectorDNSError():
            return _connection("unknown host in base_url", "check the spelling of base_url")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return _connection("connection refused", "start the server, or correct base_url")
        case aiohttp.ClientConnectorError():
            return _connection(_text_of(error.os_error), "check base_url and the network")
        case aiohttp.ServerDisconnectedError():
            return _connection("the server closed the connection without a reply")
        case aiohttp.ClientPayloadError(__cause__=ContentEncodingError()):
            return CallFailed(FailureKind.MALFORMED, "the reply cannot be decompressed")
        case aiohttp.ClientPayloadError():
            return _connection("the server closed the connection inside the reply")
        case aiohttp.ClientOSError() | OSError():
            return _connection(f"the connection broke: {_text_of(error)}")
        case aiohttp.InvalidURL():
            return CallFailed(FailureKind.REJECTED, "base_url is not a URL", hint="correct base_url")
        case aiohttp.ClientResponseError():
            return CallFailed(FailureKind.MALFORMED, f"the reply is not HTTP: {_text_of(error)}")
    return CallFailed(FailureKind.MALFORMED, f"the exchange failed: {_text_of(error)}")


def bound_of(body: dict[str, Any]) -> int:
    """Return the most bytes of a reply to the request `body` that are read: generous for what it asks for."""
    max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
    if not isinstance(max_tokens, int):
        return LARGEST_BODY
    ranked = body.get("top_logprobs") or 0
    logprobs = LOGPROB_BYTES * (1 + (ranked if isinstance(ranked, int) else 20)) if body.get("logprobs") else 0
    return min(LARGEST_BODY, SMALLEST_BOUND + max_tokens * (TOKEN_BYTES + logprobs))


def is_stale(error: BaseException, seconds: float, link: Link) -> bool:
    """Return whether an idle connection was probably closed just when the request went out on it.

    Servers drop idle connections (vLLM after 5 s); the request was then not read, and may go out again at once. A new
    connection that is closed without a reply is no such case: nothing answers behind it.
    """
    if not link.reused or seconds >= 1.0 or isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError))


def _connection(message: str, hint: str = "") -> CallFailed:
    return CallFailed(FailureKind.CONNECTION, message, hint=hint)


def _text_of(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return readable(str(text)) or type(error).__name__


def _probed_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket on which the kernel probes the other side now and then.

    A call may be silent for many minutes while a model writes; to a host that vanished it would never end.
    """
    if link := _link.get(None):
        link.reused = False
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", PROBE_AFTER), ("TCP_KEEPINTVL", PROBE_EVERY), ("TCP_KEEPCNT", PROBES)):
        if hasattr(socket, option):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
