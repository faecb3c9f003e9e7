"""Whether a model can be called, told before the first call: five hundred identical failures help nobody."""

from __future__ import annotations

import asyncio

import aiohttp

from engine.config.model import Config
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint

TRIES = 3
PAUSE_SECONDS = 1.0  # a server that was started a moment ago may listen a moment later


def endpoints_of(config: Config, name: str) -> list[Endpoint]:
    """The endpoints of a model of the config."""
    return [
        Endpoint(entry.base_url, entry.api_key.get_secret_value() if entry.api_key else None)
        for entry in config.models[name].endpoints
    ]


async def reachable(
    session: aiohttp.ClientSession, config: Config, name: str
) -> tuple[list[Endpoint], list[EndpointReport]]:
    """The endpoints of `name` that serve it, and the reports of those that do not."""
    endpoints = endpoints_of(config, name)
    served_name = config.served_name(name)
    good: list[Endpoint] = []
    bad: list[EndpointReport] = []
    for attempt in range(TRIES):
        reports = await asyncio.gather(*(probe(session, endpoint, served_name) for endpoint in endpoints))
        good = [endpoint for endpoint, report in zip(endpoints, reports, strict=True) if report.ok]
        bad = [report for report in reports if not report.ok]
        if good or attempt == TRIES - 1:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return good, bad
