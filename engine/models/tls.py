"""The certificates of this machine, loaded when a server is first called by https, and not when aiohttp is imported.

aiohttp makes its TLS contexts when it is imported, and loads the certificates twice: a tenth of a short run that calls
`http://` only.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DeferredTrust(ssl.SSLContext):
    """A context that loads the certificates of this machine before its first connection."""

    _is_loaded = False

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        self._load()
        return super().wrap_bio(*arguments, **named)

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        self._load()
        return super().wrap_socket(*arguments, **named)

    def _load(self) -> None:
        if not self._is_loaded:
            self._is_loaded = True
            super().load_default_certs()


@contextmanager
def certificates_on_first_use() -> Iterator[None]:
    """Within this block, an import of aiohttp loads no certificates; its default context loads them when it is used."""
    if "aiohttp" in sys.modules:
        yield
        return
    default, load = ssl.create_default_context, ssl.SSLContext.set_default_verify_paths
    ssl.create_default_context = _deferred  # type: ignore[assignment]
    ssl.SSLContext.set_default_verify_paths = _nothing  # type: ignore[method-assign]  # of the context that trusts all
    try:
        yield
    finally:
        ssl.create_default_context = default
        ssl.SSLContext.set_default_verify_paths = load  # type: ignore[method-assign]


def _deferred() -> ssl.SSLContext:
    """Return what `ssl.create_default_context()` does, but for the certificates: they are loaded on first use."""
    context = DeferredTrust(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificates and host names
    if (keys := os.environ.get("SSLKEYLOGFILE")) and not sys.flags.ignore_environment:
        context.keylog_filename = keys
    return context


def _nothing(self: ssl.SSLContext) -> None:
    pass
