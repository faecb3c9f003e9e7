"""The HTTP session that all calls of a run share."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

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
