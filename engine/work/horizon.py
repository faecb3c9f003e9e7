"""How far answers may run ahead of judging. Pure counting; without a limit it does nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Horizon:
    """Holds answers back to `ahead` questions beyond the first one with an open judgment.

    `move` is told the rank of the first question whose answers must wait, or None when there is no such limit.
    """

    def __init__(self, ahead: int | None, move: Callable[[int | None], None]) -> None:
        self._ahead = ahead
        self._move = move
        self._open: Counter[int] = Counter()
        self._front = 0
        self._last = -1

    def expect(self, rank: int) -> None:
        """A judgment on the question of this rank is open."""
        self._open[rank] += 1
        self._last = max(self._last, rank)

    def begin(self) -> None:
        """All that is to be expected is known: hold back what lies too far ahead."""
        self._advance()
        self._tell()

    def settle(self, rank: int) -> None:
        """One judgment on the question is made, or will not be."""
        self._open[rank] -= 1
        if self._ahead is not None and rank == self._front and not self._open[rank]:
            self._advance()
            self._tell()

    def lift(self) -> None:
        """There is no limit any more."""
        self._ahead = None
        self._tell()

    def _advance(self) -> None:
        while self._front <= self._last and not self._open[self._front]:
            self._front += 1

    def _tell(self) -> None:
        self._move(None if self._ahead is None or self._front > self._last else self._front + self._ahead)
