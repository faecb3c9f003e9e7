"""Ports of this machine: one that is free, and whether a given one is."""

from __future__ import annotations

import random
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

_RANGE = range(18_000, 32_000)  # below the ports that systems give to outgoing connections
_picked: set[int] = set()  # a server binds its port seconds after it was picked


def pick_port() -> int:
    """A free port that was not picked before. Raises OSError when none can be found."""
    for port in random.sample(_RANGE, 200):
        if port not in _picked and is_free(port):
            _picked.add(port)
            return port
    raise OSError("no free port was found")


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def local_port(base_url: str) -> int | None:
    """The port of an address on this machine; None if it is another machine's."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        is_local = ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        is_local = host == "localhost" or host == socket.gethostname()
    return (parts.port or (443 if parts.scheme == "https" else 80)) if is_local else None
