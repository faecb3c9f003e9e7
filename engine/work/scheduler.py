"""The scheduler: keeps a model's endpoints busy with units of work, a few more units begun than there are slots.

A unit that was begun waits for a slot inside the model's client, so the moment a call ends the next one goes out; and
while some units back off after a failure, others use their slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from engine.errors import CallFailed, NeverAsked
from engine.models.limits import PoolClosed
from engine.work.sources import UnitSource

BEGUN_PER_SLOT = 2

UnitT = TypeVar("UnitT")


class Gate:
    """Whether new units may be begun: open, paused, or closed for good."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.closed = False

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.closed = True
        self._open.set()

    async def passed(self) -> bool:
        """Wait while paused; False once closed."""
        await self._open.wait()
        return not self.closed


class HasCapacity(Protocol):
    """Something with a number of calls that it takes at once."""

    @property
    def capacity(self) -> int: ...


class Lane(Generic[UnitT]):
    """One model's queue of units and the tasks that play them."""

    def __init__(
        self,
        units: UnitSource[UnitT],
        client: HasCapacity,
        play: Callable[[UnitT], Awaitable[None]],
        fail: Callable[[UnitT, CallFailed], None],
        gate: Gate,
    ) -> None:
        self._units = units
        self._client = client
        self._play = play
        self._fail = fail
        self._gate = gate
        self._begun: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._broken: BaseException | None = None
        self.deserted = False  # no endpoint was left for the units that are still to be played

    async def run(self) -> None:
        """Play every unit, until none is left, the gate closes or nobody can be asked; then wait for those begun.

        Raises what broke a unit (StorageError, a defect), after the others were cancelled.
        """
        try:
            while await self._has_room() and (unit := await self._next()) is not None:
                if self._broken or not await self._gate.passed():
                    break
                task = asyncio.create_task(self._guarded(unit))
                self._begun.add(task)
                task.add_done_callback(self._settled)
            while self._begun and not self._broken:
                self._room.clear()
                await self._room.wait()
        finally:
            for task in self._begun:
                task.cancel()
            await asyncio.gather(*self._begun, return_exceptions=True)
        if self._broken:
            raise self._broken

    async def _has_room(self) -> bool:
        """Wait until another unit may be begun (it is chosen only then: the best by then); False when a unit broke."""
        while len(self._begun) >= BEGUN_PER_SLOT * self._client.capacity and not self._broken:
            self._room.clear()
            await self._room.wait()
        return not self._broken

    async def _next(self) -> UnitT | None:
        """The next unit, as soon as there is one; None when there will be none."""
        while True:
            if (unit := self._units.take()) is not None or not await self._units.more():
                return unit

    async def _guarded(self, unit: UnitT) -> None:
        try:
            await self._play(unit)
        except NeverAsked:
            self.deserted = True
            self._units.stop()
        except CallFailed as error:
            self._fail(unit, error)
        except PoolClosed:
            self._units.pass_over(unit)  # what is missing is done by another run, if it is wanted then

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = self._broken or error
            self._units.stop()
