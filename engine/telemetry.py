"""What servers say of themselves, as numbers: one part of the vocabulary that a run and its front ends share."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Histogram(msgspec.Struct, frozen=True):
    """A Prometheus histogram: `counts[i]` values were at most `bounds[i]`; the last bound is infinite."""

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    def quantile(self, share: float) -> float | None:
        """The value below which `share` (0..1) of the values lie, linear within its bucket; None when there are none.

        As Prometheus's `histogram_quantile`: what lies in the open last bucket counts as that bucket's lower bound.
        """
        total = self.counts[-1] if self.counts else 0
        if total <= 0:
            return None
        rank = share * total
        low, before = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > before:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (rank - before) / (count - before)
            low, before = bound, count
        return low

    def since(self, earlier: Histogram) -> Histogram:
        """What was added after `earlier`; all of it when the server started anew meanwhile."""
        if self.bounds != earlier.bounds:
            return self
        added = tuple(now - then for now, then in zip(self.counts, earlier.counts, strict=True))
        return self if any(count < 0 for count in added) else Histogram(self.bounds, added)


class VllmMetrics(msgspec.Struct, frozen=True):
    """A server at one moment. Counters count tokens or requests since its start; `kv_cache_usage` is a share (0..1)."""

    running: int = 0
    waiting: int = 0
    kv_cache_usage: float | None = None
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    finished: Mapping[str, int] = {}  # finish reason -> requests
    kv_cache_tokens: int | None = None
    first_token_seconds: Histogram = Histogram()
    reply_seconds: Histogram = Histogram()
    queue_seconds: Histogram = Histogram()

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share of prompt tokens that were found in the prefix cache since the server's start."""
        return self.prefix_hits / self.prefix_queries if self.prefix_queries else None

    def prefix_hit_rate_since(self, earlier: VllmMetrics) -> float | None:
        """The same, of the requests after `earlier`; None when there were none."""
        asked = self.prefix_queries - earlier.prefix_queries
        if asked < 0:  # the server started anew
            return self.prefix_hit_rate
        return (self.prefix_hits - earlier.prefix_hits) / asked if asked else None


class ServerNumbers(msgspec.Struct, frozen=True):
    """What a server says now, and what it said when the run began to ask."""

    now: VllmMetrics
    first: VllmMetrics

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share (0..1) of prompt tokens since then that were cached."""
        return self.now.prefix_hit_rate_since(self.first)

    def latency(self) -> tuple[float, float] | None:
        """Seconds of the median and the 95th percentile of the replies since then, by the server's own clock."""
        replies = self.now.reply_seconds.since(self.first.reply_seconds)
        median, slow = replies.quantile(0.5), replies.quantile(0.95)
        return None if median is None or slow is None else (median, slow)
