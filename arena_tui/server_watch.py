"""Asks the servers of a run, every few seconds, how they are: vLLM's own numbers, which no client can know."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from engine.work.progress import EndpointKey

if TYPE_CHECKING:
    import aiohttp

    from engine.config.model import Config
    from engine.models.endpoint import Endpoint
    from engine.models.metrics import VllmMetrics

ASK_SECONDS = 2.0


class ServerNumbers(msgspec.Struct, frozen=True):
    """What a server says now, and what it said when the watch began."""

    now: VllmMetrics
    first: VllmMetrics

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share (0..1) of prompt tokens since the watch began that were cached."""
        return self.now.prefix_hit_rate_since(self.first)

    def latency(self) -> tuple[float, float] | None:
        """Seconds of the median and the 95th percentile of the replies since the watch began, by vLLM's own clock."""
        replies = self.now.reply_seconds.since(self.first.reply_seconds)
        median, slow = replies.quantile(0.5), replies.quantile(0.95)
        return None if median is None or slow is None else (median, slow)


class ServerWatch:
    """Numbers by model and endpoint; a server that has none (another program, or down) is missing from them."""

    def __init__(self) -> None:
        self.numbers: dict[EndpointKey, ServerNumbers] = {}
        self._watching: asyncio.Task[None] | None = None

    def start(self, config: Config) -> None:
        """Begin anew with the endpoints of `config`."""
        self.stop()
        self.numbers = {}
        self._watching = asyncio.create_task(self._watch(config))

    def stop(self) -> None:
        """Ask no more; the last numbers stay."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self, config: Config) -> None:
        from engine.models.session import open_session
        from engine.work.reach import endpoints_of

        asked = [(name, endpoint) for name in config.models for endpoint in endpoints_of(config, name)]
        async with open_session() as session:
            while asked:
                for name, endpoint in asked:  # one after the other: their texts are long
                    await self._ask(session, name, config.served_name(name), endpoint)
                await asyncio.sleep(ASK_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, name: str, served_name: str, endpoint: Endpoint) -> None:
        from engine.models.metrics import fetch_metrics

        key = name, endpoint.address
        told = await fetch_metrics(session, endpoint, served_name)
        if told is None:
            self.numbers.pop(key, None)
        else:
            before = self.numbers.get(key)
            self.numbers[key] = ServerNumbers(told, before.first if before else told)
