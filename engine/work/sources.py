"""Where a lane gets its units from: a queue that may still grow, and that knows which of its units comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeAlias, TypeVar

UnitT = TypeVar("UnitT")

Order: TypeAlias = tuple[int, ...]


class UnitSource(Protocol[UnitT]):
    """What a lane asks for units: `take` gives one if there is one, `more` waits for another, `stop` ends it. A unit
    that was taken and not played to its end is passed over."""

    def take(self) -> UnitT | None: ...

    async def more(self) -> bool: ...

    def stop(self) -> None: ...

    def pass_over(self, unit: UnitT) -> None: ...


def _zero(_unit: object) -> Order:
    return (0,)


def _always(_unit: object) -> bool:
    return True


class UnitQueue(Generic[UnitT]):
    """Units in the order of `order`, the lowest first and equal ones as they came; more may be put in until `finish`.

    `wanted` is asked when a unit's turn has come: one that is not wanted any more is passed over, and `dropped` told.
    Units of an order at or above `set_bound`'s wait until the bound is raised.
    """

    def __init__(
        self,
        units: Iterable[UnitT] = (),
        *,
        order: Callable[[UnitT], Order] = _zero,
        wanted: Callable[[UnitT], bool] = _always,
        dropped: Callable[[UnitT], object] = _always,
    ) -> None:
        self._order = order
        self._wanted = wanted
        self._dropped = dropped
        self._heap: list[tuple[Order, int, UnitT]] = []
        self._serial = count()
        self._bound: Order | None = None
        self._finished = False
        self._stopped = False
        self._changed = asyncio.Event()
        self.put(units)

    def __len__(self) -> int:
        return len(self._heap)

    def is_over(self) -> bool:
        """Whether there is no unit left that is wanted, and none will come."""
        return self._stopped or (not self._has_next() and self._finished and not self._heap)

    def put(self, units: Iterable[UnitT]) -> None:
        """Add units."""
        for unit in units:
            heappush(self._heap, (self._order(unit), next(self._serial), unit))
        self._changed.set()

    def finish(self) -> None:
        """Nothing more will be put in: the queue ends with its last unit."""
        self._finished = True
        self._changed.set()

    def stop(self) -> None:
        """Give out nothing more, whatever is left."""
        self._stopped = True
        self._changed.set()

    def pass_over(self, unit: UnitT) -> None:
        """A unit that was taken is not wanted any more, or cannot be played."""
        self._dropped(unit)

    def set_bound(self, bound: Order | None) -> None:
        """Hold back units of an order that is not below `bound`; None holds back none."""
        self._bound = bound
        self._changed.set()

    def look_again(self) -> None:
        """Something that `wanted` tells has changed."""
        self._changed.set()

    def take(self) -> UnitT | None:
        """The next unit, or None if there is none now (see `more`)."""
        if self._stopped or not self._has_next():
            return None
        return heappop(self._heap)[2]

    async def more(self) -> bool:
        """Wait until there is another unit; False when there will be none."""
        while not self._stopped:
            if self._has_next():
                return True
            if self._finished and not self._heap:
                return False
            self._changed.clear()
            await self._changed.wait()
        return False

    def _has_next(self) -> bool:
        while self._heap:
            order, _, unit = self._heap[0]
            if self._wanted(unit):
                return self._bound is None or order < self._bound
            heappop(self._heap)
            self._dropped(unit)
        return False


def listed(units: Iterable[UnitT]) -> UnitQueue[UnitT]:
    """A queue of just these units, in this order."""
    queue = UnitQueue(units)
    queue.finish()
    return queue
