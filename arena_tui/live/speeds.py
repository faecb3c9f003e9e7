"""How fast a run goes, as a whole, by task and by endpoint: counters of two states some seconds apart."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from engine.events import TaskKey
from engine.work.progress import EndpointKey, EndpointState, RunSpeed, RunState, TaskState, run_speed

WINDOW_SECONDS = 8.0  # over which speeds are averaged


class Speed(msgspec.Struct, frozen=True):
    """Of one task or endpoint. `eta` is the seconds that are left at this speed, None while unknown."""

    calls: float = 0.0  # per second
    tokens: float = 0.0  # generated per second
    eta: float | None = None


_NO_TASK, _NO_TRAFFIC = TaskState(), EndpointState()


class SpeedGauge:
    """Turns the states of one run that it is shown into speeds over the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, RunState]] = deque()

    def pace(self, state: RunState) -> RunSpeed:
        """Look at `state`, and tell how fast the whole run goes."""
        now = self._clock()
        if self._seen and self._seen[-1][1].stages != state.stages:  # another stage goes at another speed
            self._seen = deque([self._seen[-1]])
        self._seen.append((now, state))
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW_SECONDS:
            self._seen.popleft()
        before, seconds = self._window()
        return run_speed(before, state, seconds)

    def task(self, key: TaskKey) -> Speed:
        """Of one task, in the state that was looked at last."""
        before, seconds = self._window()
        after = self._seen[-1][1].tasks.get(key)
        if after is None or seconds <= 0:
            return Speed()
        was = before.tasks.get(key, _NO_TASK)
        records = (after.done + after.failed - was.done - was.failed) / seconds
        return Speed(
            (after.calls - was.calls) / seconds,
            (after.completion_tokens - was.completion_tokens) / seconds,
            after.left / records if records > 0 else None,
        )

    def endpoint(self, key: EndpointKey) -> Speed:
        """Of one model at one endpoint, in the state that was looked at last."""
        before, seconds = self._window()
        after = self._seen[-1][1].endpoints.get(key)
        if after is None or seconds <= 0:
            return Speed()
        was = before.endpoints.get(key, _NO_TRAFFIC)
        return Speed((after.calls - was.calls) / seconds, (after.completion_tokens - was.completion_tokens) / seconds)

    def _window(self) -> tuple[RunState, float]:
        """The oldest state that counts, and how long before the latest one it was seen."""
        (then, before), (now, _) = self._seen[0], self._seen[-1]
        return before, now - then
