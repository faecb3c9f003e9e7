"""What the library's exceptions mean in words, and which of them are a connection that had its time."""

from __future__ import annotations

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import ContentEncodingError

from engine.errors import FailureKind
from engine.models.connection import failure_of, is_stale

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
    assert is_stale(error, seconds) is stale
