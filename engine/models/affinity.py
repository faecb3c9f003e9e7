"""Which endpoint a call belongs to, and who waits for which: calls that begin alike go where their beginning is known.

A server computes the beginning of a prompt once and remembers it (prefix caching). With several endpoints, calls with
the same prefix therefore have the same *home*, found by rendezvous hashing (Thaler and Ravishankar, 1998): every
endpoint gets its share, and when one goes away only its own prefixes move. A call is never held back for that: an
endpoint that would be idle takes from the others' lines, the newest first, for the oldest is just being computed there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

HomeT = TypeVar("HomeT", bound=Hashable)


class EndpointRanking(Generic[HomeT]):
    """The endpoints in the order in which a prefix would have them; remembered, for prefixes come in groups."""

    def __init__(self, places: Sequence[HomeT], name_of: Callable[[HomeT], str]) -> None:
        self._places = [(place, name_of(place)) for place in places]
        self._ranked: dict[str, tuple[HomeT, ...]] = {}

    def ranking(self, prefix: str) -> tuple[HomeT, ...]:
        """All endpoints, the home of `prefix` first."""
        if prefix not in self._ranked:
            ranked = sorted(self._places, key=lambda place: _weight(prefix, place[1]), reverse=True)
            self._ranked[prefix] = tuple(place for place, _ in ranked)
        return self._ranked[prefix]


class WaitingQueues(Generic[HomeT]):
    """Futures that wait for a slot, one line for each home and one for calls that have none; cancelled ones drop out.

    Whoever is handed out is the oldest of the home's line and of the homeless, else the newest of the longest line.
    """

    def __init__(self, homes: Sequence[HomeT]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: dict[HomeT | None, deque[tuple[int, asyncio.Future[HomeT]]]] = {
            home: deque() for home in (None, *homes)
        }
        self._serial = 0

    def __bool__(self) -> bool:
        return any(self._lines.values())

    def __iter__(self) -> Iterator[asyncio.Future[HomeT]]:
        return (future for line in self._lines.values() for _, future in line)

    def join(self, home: HomeT | None) -> asyncio.Future[HomeT]:
        """A new future at the end of a line."""
        self._serial += 1
        future: asyncio.Future[HomeT] = self._loop.create_future()
        self._lines[home].append((self._serial, future))
        return future

    def has_own(self, home: HomeT) -> bool:
        """Whether a call waits that `home` may take without taking it from another."""
        return self._first(home) is not None or self._first(None) is not None

    def next_for(self, home: HomeT) -> asyncio.Future[HomeT] | None:
        """Take out whom `home` should serve next; None if nobody waits."""
        own, homeless = self._first(home), self._first(None)
        if own is not None or homeless is not None:
            is_own = homeless is None or (own is not None and own < homeless)
            return self._lines[home if is_own else None].popleft()[1]
        while longest := max(self._lines.values(), key=len):
            _, future = longest.pop()
            if not future.done():
                return future
        return None

    def clear(self) -> None:
        """Forget them all."""
        for line in self._lines.values():
            line.clear()

    def _first(self, home: HomeT | None) -> int | None:
        """The number of the oldest in a line that is still waiting."""
        line = self._lines[home]
        while line and line[0][1].done():
            line.popleft()
        return line[0][0] if line else None


def _weight(prefix: str, name: str) -> bytes:
    return blake2b(f"{prefix}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
