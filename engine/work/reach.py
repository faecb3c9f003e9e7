"""Whether a model can be called, told before the first call: five hundred identical failures help nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import aiohttp

from engine.config.model import Config
from engine.events import Notice
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.serving.places import Place

TRIES = 3
PAUSE_SECONDS = 1.0  # a server that was started a moment ago may listen a moment later


def endpoints_of(config: Config, name: str) -> list[Endpoint]:
    """The endpoints of a model of the config."""
    version = config.models[name].api_version
    query = f"?api-version={version}" if version else ""
    return [
        Endpoint(
            entry.base_url + query,
            entry.api_key.get_secret_value() if entry.api_key else None,
            config.provider(name).key_header,
        )
        for entry in config.models[name].endpoints
    ]


async def reachable(
    session: aiohttp.ClientSession, config: Config, name: str
) -> tuple[list[Endpoint], list[EndpointReport]]:
    """The endpoints of `name` that serve it, and the reports of all."""
    endpoints = endpoints_of(config, name)
    served_name = config.served_name(name)
    good: list[Endpoint] = []
    reports: list[EndpointReport] = []
    for attempt in range(TRIES):
        reports = await asyncio.gather(*(probe(session, endpoint, served_name) for endpoint in endpoints))
        good = [
            replace(endpoint, context=report.max_model_len)
            for endpoint, report in zip(endpoints, reports, strict=True)
            if report.ok
        ]
        if good or attempt == TRIES - 1:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return good, reports


class Listening:
    """The places of models whose servers others started: they are asked whether they are there, and left alone."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, tell: Callable[[Notice], None]) -> None:
        self._config = config
        self._session = session
        self._tell = tell

    @asynccontextmanager
    async def at(self, name: str, *, is_last_try: bool, needed: Callable[[], bool]) -> AsyncIterator[Place]:
        """The endpoints of `name` that serve it. What is wrong with others is told."""
        if not needed():
            yield Place()
            return
        if not self._config.models[name].endpoints:
            self._notice(
                "error", f"{name}: there is work for it, but its entry in the config has no endpoint and no [serve]"
            )
            yield Place()
            return
        endpoints, reports = await reachable(self._session, self._config, name)
        for report in reports:
            if report.ok:
                continue
            what = f"{name}: {report.url}: {report.error}. {report.hint}"
            if endpoints:
                self._notice("warning", what)
            elif is_last_try:
                self._notice("error", what)
            else:
                self._notice("warning", f"{what} It is looked for again when the answers are made.")
        yield Place(endpoints, reports=[report for report in reports if report.ok])

    def _notice(self, level: Literal["warning", "error"], text: str) -> None:
        self._tell(Notice(level, text, time.time()))
