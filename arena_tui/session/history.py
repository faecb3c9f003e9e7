"""The history of a run: calls, tokens and latencies over time, in a bounded number of steps of equal length."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

_NumberT = TypeVar("_NumberT", int, float)
KEPT = 256  # steps; when a run is longer, each step becomes twice as long
_FIRST_STEP = 1.0  # seconds


class Moment(msgspec.Struct, frozen=True):
    """A part of a history, `length` seconds long: calls and generated tokens a second, and the mean seconds of a call.

    Without a call there is no `latency`.
    """

    length: float
    calls: float
    tokens: float
    latency: float | None


class RunHistory:
    """Counts the calls of a run by the time they ended. `step` is the length of a step in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.step = _FIRST_STEP
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self._calls = [0]
        self._tokens = [0]
        self._seconds = [0.0]

    def add(self, seconds: float, tokens: int) -> None:
        """Add a call that has just ended."""
        index = self._index(self._clock())
        self._calls[index] += 1
        self._tokens[index] += tokens
        self._seconds[index] += seconds

    def end(self) -> None:
        """Add no more steps."""
        self._ended = self._clock()

    def moments(self, most: int) -> list[Moment]:
        """Return the whole run in at most `most` equal steps, without the step that is not over yet.

        A step, once returned, stays as it is until steps become longer.
        """
        now = self._clock() if self._ended is None else self._ended
        over = self._index(now) if self._ended is None else self._index(now) + 1
        joined = 1
        while -(-over // joined) > max(1, most):
            joined *= 2
        found = []
        for start in range(0, over, joined):
            end = min(start + joined, over)
            calls, seconds = sum(self._calls[start:end]), (end - start) * self.step
            latency = sum(self._seconds[start:end]) / calls if calls else None
            found.append(Moment(seconds, calls / seconds, sum(self._tokens[start:end]) / seconds, latency))
        return found

    def _index(self, now: float) -> int:
        """Return the step of `now`, which exists afterwards."""
        while (index := int((now - self._began) / self.step)) >= KEPT:
            self.step *= 2
            self._calls = _joined(self._calls)
            self._tokens = _joined(self._tokens)
            self._seconds = _joined(self._seconds)
        missing = index + 1 - len(self._calls)
        if missing > 0:
            self._calls += [0] * missing
            self._tokens += [0] * missing
            self._seconds += [0.0] * missing
        return index


def _joined(numbers: list[_NumberT]) -> list[_NumberT]:
    """Return the sums of neighbours."""
    return [numbers[at] + (numbers[at + 1] if at + 1 < len(numbers) else 0) for at in range(0, len(numbers), 2)]
