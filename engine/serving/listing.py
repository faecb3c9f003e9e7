"""The endpoints of a model as the config lists them now: fixed ones, addresses behind a name, a folder's servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from yarl import URL

from engine.config.model import Config
from engine.models.connection import proxy_for
from engine.models.endpoint import Endpoint, login_secrets
from engine.serving.registry import base_url, registered

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]


def endpoints_of(config: Config, name: str) -> list[Endpoint]:
    """Return the endpoints of a model that the config itself names."""
    version = config.models[name].api_version
    query = f"?api-version={version}" if version else ""
    endpoints = []
    for entry in config.models[name].addresses:
        key = entry.api_key.get_secret_value() if entry.api_key else None
        shown = config.shown_url(entry.base_url)
        proxy = proxy_for(URL(entry.base_url))
        endpoint = Endpoint(
            entry.base_url + query,
            key,
            config.provider(name).key_header,
            shown=shown if shown != entry.base_url else "",
            secrets=(*config.secrets(name), *(login_secrets(proxy) if proxy else ())),
        )
        endpoints.append(endpoint)
    return endpoints


def registry_folder(config: Config, name: str) -> Path | None:
    """Return the folder where the servers of a model register themselves, if the config names one."""
    registry = config.models[name].registry
    if registry is None:
        return None
    beside = config.file.parent if config.file else Path()
    return beside / registry.folder.expanduser()


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name: those of IPv4 if it has any, as both families often lead to one server."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    four = [str(each[4][0]) for each in found if each[0] == socket.AF_INET]
    return sorted(set(four or [str(each[4][0]) for each in found]))


class EndpointListing:
    """Reads the endpoints of a model; `changes` says whether another read may list others.

    A name with several addresses, as that of a headless service, stands for an endpoint at each of them, called under
    that name. It must be called without TLS, whose certificates hold names, and without a proxy, which resolves itself.
    """

    def __init__(self, config: Config, name: str, resolver: Resolver = resolve) -> None:
        self.folder = registry_folder(config, name)
        self._config = config
        self._name = name
        self._resolver = resolver
        self._fixed = endpoints_of(config, name)
        self._expanded: set[Endpoint] = set()  # once a name had several addresses
        self.changes = self.folder is not None or any(map(_may_expand, self._fixed))

    async def read(self) -> list[Endpoint]:
        """Return the endpoints as they are now. Raises StorageError for a folder that cannot be read."""
        if self.folder is not None:
            return await asyncio.to_thread(self._registered, self.folder)
        groups = await asyncio.gather(*map(self._at_each_address, self._fixed))
        return list({endpoint.address: endpoint for group in groups for endpoint in group}.values())

    def _registered(self, folder: Path) -> list[Endpoint]:
        registry = self._config.models[self._name].registry
        key = registry.api_key.get_secret_value() if registry and registry.api_key else None
        secrets, header = self._config.secrets(self._name), self._config.provider(self._name).key_header
        served = registered(folder, self._config.served_name(self._name))
        return [Endpoint(each.base_url, key, header, secrets=secrets) for each in served]

    async def _at_each_address(self, endpoint: Endpoint) -> list[Endpoint]:
        if not _may_expand(endpoint):
            return [endpoint]
        url = URL(endpoint.base_url)
        port = url.port or 80
        try:
            addresses = await self._resolver(url.host or "", port)
        except (OSError, UnicodeError):
            addresses = []
        if len(addresses) < 2 and (endpoint not in self._expanded or not addresses):
            return [endpoint]
        self._expanded.add(endpoint)
        rest = str(url.relative()).removeprefix("/v1")
        return [
            replace(endpoint, base_url=base_url(address, port) + rest, host=f"{url.host}:{port}")
            for address in addresses
        ]


def _may_expand(endpoint: Endpoint) -> bool:
    """Return whether the addresses of a name are looked up one by one."""
    url = URL(endpoint.base_url)
    if url.scheme != "http" or endpoint.shown or url.host is None or proxy_for(url) is not None:
        return False
    try:
        ip_address(url.host)
    except ValueError:
        return url.host != "localhost"
    return False
