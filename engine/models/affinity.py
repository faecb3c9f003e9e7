"""Routing by prompt prefix: calls with the same beginning go to the same endpoint, without keeping another one idle.

A server computes the beginning of a prompt once and caches it (prefix caching). With several endpoints, calls with the
same prefix therefore have the same preferred one, found by rendezvous hashing (Thaler and Ravishankar, 1998): every
endpoint gets its share, and when one goes down only its own prefixes move. No call is held back for that: an endpoint
that would be idle takes from the queues of the others, newest call first, because the oldest is about to be sent there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

EndpointT = TypeVar("EndpointT", bound=Hashable)


class EndpointRanking(Generic[EndpointT]):
    """The endpoints in the order of preference of a prefix; cached, because prefixes come in groups."""

    def __init__(self, endpoints: Sequence[EndpointT], name_of: Callable[[EndpointT], str]) -> None:
        self._endpoints = [(endpoint, name_of(endpoint)) for endpoint in endpoints]
        self._ranked: dict[str, tuple[EndpointT, ...]] = {}

    def ranking(self, prefix: str) -> tuple[EndpointT, ...]:
        """Return all endpoints, the preferred one of `prefix` first."""
        if prefix not in self._ranked:
            ranked = sorted(self._endpoints, key=lambda endpoint: _weight(prefix, endpoint[1]), reverse=True)
            self._ranked[prefix] = tuple(endpoint for endpoint, _ in ranked)
        return self._ranked[prefix]


class WaitingQueues(Generic[EndpointT]):
    """Futures that wait for a slot: one queue for each endpoint, and one for calls without affinity (None).

    An endpoint serves the oldest call of its own queue and of those without affinity, else the newest of the longest
    queue. Calls that failed elsewhere wait for one endpoint only, and are served first. Cancelled futures are dropped.
    """

    def __init__(self, endpoints: Sequence[EndpointT] = ()) -> None:
        self._loop = asyncio.get_running_loop()
        self._queues: dict[EndpointT | None, deque[tuple[int, asyncio.Future[EndpointT]]]] = {None: deque()}
        self._moved: dict[EndpointT, deque[asyncio.Future[EndpointT]]] = {}
        self._serial = 0
        for endpoint in endpoints:
            self.add(endpoint)

    def add(self, endpoint: EndpointT) -> None:
        """Add the queues of an endpoint."""
        self._queues[endpoint] = deque()
        self._moved[endpoint] = deque()

    def __bool__(self) -> bool:
        for queue in self._queues.values():
            if queue:
                return True
        return any(self._moved.values())

    def __iter__(self) -> Iterator[asyncio.Future[EndpointT]]:
        yield from (future for queue in self._moved.values() for future in queue)
        yield from (future for queue in self._queues.values() for _, future in queue)

    def join(self, endpoint: EndpointT | None) -> asyncio.Future[EndpointT]:
        """Append a new future to a queue."""
        self._serial += 1
        future: asyncio.Future[EndpointT] = self._loop.create_future()
        self._queues[endpoint].append((self._serial, future))
        return future

    def join_only(self, endpoint: EndpointT) -> asyncio.Future[EndpointT]:
        """Append a new future that no other endpoint serves."""
        future: asyncio.Future[EndpointT] = self._loop.create_future()
        self._moved[endpoint].append(future)
        return future

    def free(self, endpoint: EndpointT) -> None:
        """Let any endpoint serve the calls that wait for this one only."""
        while future := self._next_moved(endpoint):
            self._serial += 1
            self._queues[None].append((self._serial, future))

    def has_waiting(self, endpoint: EndpointT) -> bool:
        """Return whether a call waits that prefers `endpoint` or has no affinity."""
        waits = (self._oldest(endpoint), self._oldest(None))
        return any(serial is not None for serial in waits) or any(not each.done() for each in self._moved[endpoint])

    def next_for(self, endpoint: EndpointT) -> asyncio.Future[EndpointT] | None:
        """Remove and return the call that `endpoint` should serve next; None if none waits."""
        if moved := self._next_moved(endpoint):
            return moved
        own, without_affinity = self._oldest(endpoint), self._oldest(None)
        if own is not None or without_affinity is not None:
            is_own = without_affinity is None or (own is not None and own < without_affinity)
            return self._queues[endpoint if is_own else None].popleft()[1]
        while longest := max(self._queues.values(), key=len):
            _, future = longest.pop()
            if not future.done():
                return future
        return None

    def clear(self) -> None:
        for queue in self._queues.values():
            queue.clear()
        for moved in self._moved.values():
            moved.clear()

    def _next_moved(self, endpoint: EndpointT) -> asyncio.Future[EndpointT] | None:
        queue = self._moved[endpoint]
        while queue:
            future = queue.popleft()
            if not future.done():
                return future
        return None

    def _oldest(self, endpoint: EndpointT | None) -> int | None:
        """Return the serial number of the oldest future of a queue that still waits."""
        queue = self._queues[endpoint]
        while queue and queue[0][1].done():
            queue.popleft()
        return queue[0][0] if queue else None


def _weight(prefix: str, name: str) -> bytes:
    return blake2b(f"{prefix}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
