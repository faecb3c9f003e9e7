"""The shared HTTP session, and the words for what goes wrong with its connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import ContentEncodingError
from model_servers import Connected, encoded, http, read_request

from engine.errors import FailureKind
from engine.models.connection import Link, failure_of, is_stale
from engine.models.discover import probe
from engine.models.endpoint import Endpoint

Serve = Callable[..., Awaitable[str]]
ServeRaw = Callable[[Connected], Awaitable[str]]

PROXIES = """
import sys
from yarl import URL
from engine.models.connection import proxy_for
for url in sys.argv[1:]:
    print(proxy_for(URL(url)))
"""


CALL = """
import asyncio
from engine.models.client import Endpoint, ModelClient
from engine.models.connection import open_session

async def main():
    async with open_session() as session:
        endpoints = [Endpoint("http://gpu.invalid/v1")]
        client = ModelClient("tiny", endpoints, parallel=1, session=session, emit=lambda event: None, attempts=1)
        print((await client.complete({})).content)

asyncio.run(main())
"""


def environment_without_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def proxies(*urls: str, **environment: str) -> list[str]:
    kept = environment_without_proxies()
    command = [sys.executable, "-c", PROXIES, *urls]
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_no_proxy_stands_between_us_and_this_machine():
    own = ["http://localhost:8000/v1", "http://127.0.0.1:8000/v1", "http://127.1.2.3/v1", "http://[::1]:8000/v1"]
    assert set(proxies(*own, HTTP_PROXY="http://proxy:3128")) == {"None"}


def test_the_proxy_of_the_environment_is_used_for_others_but_for_those_that_it_leaves_out():
    urls = ["https://api.example.com/v1", "http://gpu1/v1", "https://gpu1.cluster/v1"]
    environment = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".cluster"}
    assert proxies(*urls, **environment) == ["http://proxy:3128", "None", "None"]


def test_a_kind_of_proxy_that_cannot_be_used_is_left_out():
    assert proxies("http://gpu1/v1", ALL_PROXY="socks5://proxy:1080") == ["None"]


async def test_a_call_goes_through_the_proxy_of_the_environment(serve: Serve):
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(body=encoded("through the proxy"))

    own = {**environment_without_proxies(), "HTTP_PROXY": (await serve(proxy)).removesuffix("/v1")}
    call = await asyncio.create_subprocess_exec(sys.executable, "-c", CALL, env=own, stdout=subprocess.PIPE)
    output, _ = await call.communicate()
    assert output.decode().strip() == "through the proxy"
    assert asked == ["http://gpu.invalid/v1/chat/completions"]


async def test_cookies_are_neither_kept_nor_sent(serve: Serve, session: aiohttp.ClientSession):
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "id=7; Path=/"})

    base_url = (await serve(handler)).replace("127.0.0.1", "localhost")  # an address has no cookies anyway
    for _ in range(2):
        async with session.get(base_url):
            pass
    assert cookies == [None, None]


async def test_a_host_that_vanishes_is_noticed_by_the_kernel(serve_raw: ServeRaw, session: aiohttp.ClientSession):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b"", length=10))  # the rest is still to come: the connection stays with the reply
        await reader.read()

    async with session.get(await serve_raw(connected)) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        own = response.connection.transport.get_extra_info("socket")
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_the_session_sets_no_limit_of_its_own(session: aiohttp.ClientSession):
    assert session.connector is not None
    assert (session.connector.limit, session.connector.limit_per_host) == (0, 0)


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate without a trusted authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {key} -out {certificate}"
    subprocess.run(make.split(), capture_output=True, check=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_without_a_trusted_authority_is_rejected(
    serve: Serve, session: aiohttp.ClientSession, own_certificate: ssl.SSLContext
):
    reached = False

    async def handler(request: web.Request) -> web.Response:
        nonlocal reached
        reached = True
        return web.Response()

    report = await probe(session, Endpoint(await serve(handler, ssl=own_certificate), "sk-planted"))
    assert report.error.startswith("TLS: ")
    assert "certificate" in report.hint
    assert not reached


KEY = ConnectionKey("host", 80, False, True, None, None, None)
PAYLOAD = aiohttp.ClientPayloadError("Response payload is not completed")
PACKED = aiohttp.ClientPayloadError("Can not decode content-encoding: gzip")
PACKED.__cause__ = ContentEncodingError("Can not decode content-encoding: gzip")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aiohttp.ConnectionTimeoutError(), "connection", "no connection within 15 s"),
        (TimeoutError(), "timeout", "no complete reply within 15 s"),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name unknown")), "connection", "unknown host in base_url"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), "connection", "TLS: wrong version"),
        (aiohttp.ClientConnectorError(KEY, OSError(113, "No route to host")), "connection", "No route to host"),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError()), "connection", "connection refused"),
        (aiohttp.ServerDisconnectedError(), "connection", "closed the connection without a reply"),
        (PAYLOAD, "connection", "closed the connection inside the reply"),
        (PACKED, "malformed", "cannot be decompressed"),
        (ConnectionResetError(104, "Connection reset by peer"), "connection", "Connection reset by peer"),
        (aiohttp.InvalidURL("http://["), "rejected", "base_url is not a URL"),
        (ValueError("Newline in a header"), "malformed", "Newline in a header"),
    ],
)
def test_every_fault_has_a_kind_and_words(error: BaseException, kind: str, words: str):
    failure = failure_of(error, 15.0)
    assert failure.kind is FailureKind(kind)
    assert words in failure.title


def test_what_an_exception_says_is_made_fit_to_be_shown():
    assert "\x1b" not in failure_of(OSError(5, "bad \x1b[2J\nnews"), 1.0).title


@pytest.mark.parametrize(
    ("error", "seconds", "stale"),
    [
        (aiohttp.ServerDisconnectedError(), 0.01, True),
        (ConnectionResetError(), 0.01, True),
        (aiohttp.ServerDisconnectedError(), 5.0, False),  # it had the request for long
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError()), 0.01, False),
        (PAYLOAD, 0.01, False),
    ],
)
def test_only_a_request_that_was_hardly_out_met_a_connection_that_had_its_time(error, seconds: float, stale: bool):
    link = Link()
    assert is_stale(error, seconds, link) is stale
    link.reused = False
    assert not is_stale(error, seconds, link), "a new connection"
