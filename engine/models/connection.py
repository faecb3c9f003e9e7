"""The HTTP session of a run, bounded reading of bodies, and aiohttp's exceptions in words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from engine.errors import CallFailed, FailureKind
from engine.models.reply import readable

LARGEST_BODY = 64 * 2**20  # bytes: a hundred times the longest answer that a model can give


async def read_body(
    response: aiohttp.ClientResponse, largest: int = LARGEST_BODY, longest_pause: float | None = None
) -> bytes:
    """The whole body. Raises CallFailed (MALFORMED) beyond `largest` bytes, and what aiohttp raises.

    Raises CallFailed (TIMEOUT) when nothing comes for `longest_pause` seconds.
    """
    length = response.content_length
    is_small = length is not None and length <= largest and "Content-Encoding" not in response.headers
    if is_small and (longest_pause is None or response.content.is_eof()):  # as a rule it came with the headers
        return await response.read()
    try:
        async with asyncio.timeout(longest_pause) as pause:
            return await _read_pieces(response, largest, longest_pause, pause)
    except TimeoutError:
        if not pause.expired():  # that of the whole call
            raise
        response.close()
        raise CallFailed(
            FailureKind.TIMEOUT, f"the reply stopped in its middle: nothing came for {longest_pause:g} s"
        ) from None


async def _read_pieces(
    response: aiohttp.ClientResponse, largest: int, longest_pause: float | None, pause: asyncio.Timeout
) -> bytes:
    time = asyncio.get_running_loop().time
    read = 0
    pieces: list[bytes] = []
    async for piece in response.content.iter_any():
        read += len(piece)
        if read > largest:
            response.close()
            raise CallFailed(FailureKind.MALFORMED, f"the reply is longer than {largest / 2**20:.0f} MiB")
        pieces.append(piece)
        if longest_pause is not None:
            pause.reschedule(time() + longest_pause)
    return b"".join(pieces)


KEEP_ALIVE = 4.0  # seconds: vLLM closes idle connections after 5, and to lose that race costs a retry
CONNECT_TIMEOUT = 15.0  # seconds to get a connection, apart from the time for the reply
DNS_TTL = 300
PROBE_AFTER, PROBE_EVERY, PROBES = 60, 15, 4  # seconds, seconds, times: a host that vanished is noticed in two minutes


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session without limits of its own (those are the pool's), without cookies, with certificates verified.

    It does not read the environment on each call, nor `~/.netrc` at all: `proxy_for` decides once per endpoint.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE,
        ttl_dns_cache=DNS_TTL,
        socket_factory=_watched_socket,
    )
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def proxy_for(url: URL) -> str | None:
    """The proxy that the environment (`https_proxy`, `no_proxy`, ...) names for `url`; none for this machine itself."""
    host = url.host or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy and proxy.startswith(("http://", "https://")) else None


def _watched_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket on which the kernel asks now and then whether the other side is still there.

    A call may be silent for many minutes while a model writes; one to a host that went away would be so for ever.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", PROBE_AFTER), ("TCP_KEEPINTVL", PROBE_EVERY), ("TCP_KEEPCNT", PROBES)):
        if hasattr(socket, option):  # not everywhere
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


FAULTS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)  # ValueError: a URL or header that aiohttp refuses


def failure_of(error: BaseException, seconds: float) -> CallFailed:
    """The failure that `error` stands for, raised `seconds` after the request began."""
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
                f"TLS: this machine does not trust the server's certificate ({_words(error.certificate_error)})",
                "name the file of the authority that signed it (or the certificate itself) in SSL_CERT_FILE",
            )
        case aiohttp.ClientConnectorSSLError():
            return _connection(
                f"TLS: {_words(error)}", "check that base_url says http or https rightly, and the certificate"
            )
        case aiohttp.ClientConnectorDNSError():
            return _connection("the host name of base_url is not known", "check base_url for a typing mistake")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return _connection("connection refused", "start the server, or correct base_url")
        case aiohttp.ClientConnectorError():
            return _connection(_words(error.os_error), "check base_url and the network")
        case aiohttp.ServerDisconnectedError():
            return _connection("the server closed the connection without a reply")
        case aiohttp.ClientPayloadError(__cause__=ContentEncodingError()):
            return CallFailed(FailureKind.MALFORMED, "the reply's compression cannot be undone")
        case aiohttp.ClientPayloadError():
            return _connection("the server closed the connection inside the reply")
        case aiohttp.ClientOSError() | OSError():
            return _connection(f"the connection broke: {_words(error)}")
        case aiohttp.InvalidURL():
            return CallFailed(FailureKind.REJECTED, "base_url is not a URL", hint="correct base_url")
        case aiohttp.ClientResponseError():
            return CallFailed(FailureKind.MALFORMED, f"the reply is not HTTP: {_words(error)}")
    return CallFailed(FailureKind.MALFORMED, f"the exchange failed: {_words(error)}")


def is_stale(error: BaseException, seconds: float) -> bool:
    """Whether it looks as if an idle connection had been closed just when the request went out on it.

    Servers drop idle connections (vLLM after 5 s); the request was then not read, and may go out again at once.
    """
    if seconds >= 1.0 or isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError))


def _connection(message: str, hint: str = "") -> CallFailed:
    return CallFailed(FailureKind.CONNECTION, message, hint=hint)


def _words(error: BaseException) -> str:
    told = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return readable(str(told)) or type(error).__name__
