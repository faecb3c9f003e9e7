"""Where a model can be called: at the endpoints that the config names, or at servers that the run starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import aiohttp
from yarl import URL

from engine.config.model import Config
from engine.events import Event, NoticeLevel, notice
from engine.models.client import ModelClient
from engine.models.connection import proxy_for
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint, login_secrets

PROBES = 3
PROBE_PAUSE_SECONDS = 1.0  # a server that was started a moment ago may listen a moment later


class ManagedServer(Protocol):
    """A server that is started again when it exits; while it is down it holds the calls of attached clients."""

    def attach(self, client: ModelClient) -> None: ...


@dataclass(frozen=True)
class ModelEndpoints:
    """The endpoints that serve one model, and their reports; empty if none does (the reason was emitted)."""

    endpoints: Sequence[Endpoint] = ()
    servers: Sequence[ManagedServer] = ()
    reports: Sequence[EndpointReport] = ()


class EndpointSource(Protocol):
    """Provides the endpoints of models for as long as they are used."""

    def open(
        self, name: str, *, is_last_try: bool, needed: Callable[[], bool]
    ) -> AbstractAsyncContextManager[ModelEndpoints]:
        """Provide the endpoints of a model for the length of the block.

        This may wait for a server; after the wait `needed` decides whether one is still started.
        """


class NoEndpoints:
    """An EndpointSource without any endpoint."""

    @asynccontextmanager
    async def open(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[ModelEndpoints]:
        """Provide none."""
        yield ModelEndpoints()


def endpoints_of(config: Config, name: str) -> list[Endpoint]:
    """Return the endpoints of a model of the config."""
    version = config.models[name].api_version
    query = f"?api-version={version}" if version else ""
    endpoints = []
    for entry in config.models[name].endpoints:
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


async def probe_endpoints(
    session: aiohttp.ClientSession, config: Config, name: str
) -> tuple[list[Endpoint], list[EndpointReport]]:
    """Return the endpoints of `name` that serve it, and the reports of all."""
    endpoints = endpoints_of(config, name)
    served_name = config.served_name(name)
    good: list[Endpoint] = []
    reports: list[EndpointReport] = []
    for attempt in range(PROBES):
        limit_field = config.provider(name).max_tokens
        reports = await asyncio.gather(
            *(probe(session, endpoint, served_name, limit_field=limit_field) for endpoint in endpoints)
        )
        good = [
            replace(endpoint, context=report.max_model_len)
            for endpoint, report in zip(endpoints, reports, strict=True)
            if report.ok
        ]
        if good or attempt == PROBES - 1:
            break
        await asyncio.sleep(PROBE_PAUSE_SECONDS)
    return good, reports


class ConfiguredEndpoints:
    """The endpoints that the config names: probed before the first call, so that a model without any fails once."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, emit: Callable[[Event], None]) -> None:
        self._config = config
        self._session = session
        self._emit = emit

    @asynccontextmanager
    async def open(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[ModelEndpoints]:
        """Yield the endpoints of `name` that serve it, and report what is wrong with the others."""
        if not needed():
            yield ModelEndpoints()
            return
        if not self._config.models[name].endpoints:
            self._emit(notice("error", f"{name}: has work, but its config entry has no endpoint and no [serve]"))
            yield ModelEndpoints()
            return
        endpoints, reports = await probe_endpoints(self._session, self._config, name)
        for report in reports:
            if report.warning:
                self._emit(notice("warning", f"{name}: {report.url}: {report.warning}"))
            if report.ok:
                continue
            level: NoticeLevel = "error" if is_last_try and not endpoints else "warning"
            again = "" if is_last_try or endpoints else "; probed again when all answers are made"
            self._emit(notice(level, f"{name}: {report.url}: {report.error}; {report.hint}{again}"))
        yield ModelEndpoints(endpoints, reports=[report for report in reports if report.ok])
