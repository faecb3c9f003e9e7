"""POST requests to one URL, on the pooled connections of an aiohttp session, at the least cost per request.

`ClientSession.post` spends more than half of the time of a call on objects of the request: URL, headers, payload, a
task that writes it, timers, cookies. Here the head is made once per endpoint, its connections come from the session's
connector, and aiohttp's parser reads the replies. Requests through a proxy take `ClientSession.post`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from engine.errors import CallFailed, FailureKind
from engine.models.connection import CONNECT_TIMEOUT, read_body, read_error
from engine.models.refusal import readable

_CONNECTING = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
MOST_INTERIM = 100  # replies with a status below 200 that may come before the one that counts
_SWITCHING = 101  # the one status below 200 that ends a reply


class Received(NamedTuple):
    """A reply as it came; of one that is an error the body may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RequestSender:
    """Sends requests with the same URL and headers. Redirects are not followed, and no time is limited but connecting.

    Use it inside the loop of the session.
    """

    __slots__ = ("_head", "_headers", "_prepared", "_proxy", "_session", "_url")

    def __init__(self, session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str], proxy: str | None) -> None:
        self._session = session
        self._url = url
        self._headers = dict(headers)
        self._proxy = proxy
        self._prepared: aiohttp.ClientRequest | None = None  # what the connector asks of a request: host, port, TLS
        self._head = b""

    async def send(
        self, payload: bytes, largest: int, longest_pause: float, heard: Callable[[], None] = lambda: None
    ) -> Received:
        """Send one request with a JSON `payload` and read the reply; see `read_body` for the other arguments.

        Raises CallFailed for a reply that is too long or no HTTP, and `FAULTS` of `engine.models.connection`.
        """
        if self._proxy is not None:
            return await self._send_by_session(payload, largest, longest_pause, heard)
        connection = await self._connect()
        try:
            protocol = connection.protocol
            assert protocol is not None
            protocol.set_response_params(read_until_eof=True)
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection is closing")
            transport.writelines((b"%b%d\r\n\r\n" % (self._head, len(payload)), payload))
            message, content = await protocol.read()
            interim = 0
            while message.code < 200 and message.code != _SWITCHING:
                if (interim := interim + 1) > MOST_INTERIM:
                    raise CallFailed(FailureKind.MALFORMED, f"more than {MOST_INTERIM} interim replies came before one")
                message, content = await protocol.read()
            reply = _Reply(message.headers, content, connection)
            if message.code == 200:
                body = await read_body(reply, largest, longest_pause, heard)
            else:
                body = await read_error(reply)
        except BaseException as error:
            connection.close()
            if isinstance(error, HttpProcessingError):
                raise CallFailed(FailureKind.MALFORMED, f"the reply is not HTTP: {readable(error.message)}") from error
            if isinstance(error, OSError) and not isinstance(error, (aiohttp.ClientError, asyncio.TimeoutError)):
                raise aiohttp.ClientOSError(*error.args) from error
            raise
        connection.release()
        return Received(message.code, message.headers, body)

    async def _connect(self) -> aiohttp.connector.Connection:
        """Return an idle connection, or a new one."""
        request = self._prepared or self._prepare()
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            return await connector.connect(request, [], _CONNECTING)
        except aiohttp.ClientError:
            raise
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {self._url.host}") from error

    def _prepare(self) -> aiohttp.ClientRequest:
        """Make the head of all requests, but for the length that ends it. Raises what aiohttp finds wrong with it."""
        request = aiohttp.ClientRequest(
            "POST", self._url, headers=self._headers, loop=asyncio.get_running_loop(), session=self._session
        )
        lines = [f"POST {self._url.raw_path_qs} HTTP/1.1"]
        for name, value in request.headers.items():
            if "\r" in name + value or "\n" in name + value:
                raise ValueError(f"the header {name} has a line break")
            if name.lower() != "content-length":
                lines.append(f"{name}: {value}")
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._prepared = request
        return request

    async def _send_by_session(
        self, payload: bytes, largest: int, longest_pause: float, heard: Callable[[], None]
    ) -> Received:
        async with self._session.post(
            self._url,
            data=payload,
            headers=self._headers,
            proxy=self._proxy,
            timeout=_CONNECTING,
            allow_redirects=False,
        ) as response:
            if response.status == 200:
                body = await read_body(response, largest, longest_pause, heard)
            else:
                body = await read_error(response)
            return Received(response.status, response.headers, body)


class _Reply:
    """A reply whose head has arrived, as `read_body` reads it."""

    __slots__ = ("_connection", "content", "headers")

    def __init__(
        self, headers: Mapping[str, str], content: aiohttp.StreamReader, connection: aiohttp.connector.Connection
    ) -> None:
        self.headers = headers
        self.content = content
        self._connection = connection

    def close(self) -> None:
        """Read no more of it: its connection serves no other request."""
        self._connection.close()
