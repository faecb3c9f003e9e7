"""What aiohttp's exceptions mean, in words: no connection, a broken one, or none of an answer in time."""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from engine.errors import CallFailed, FailureKind
from engine.models.refusal import readable

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
