"""Notices and trackers of a run, or of several runs that share them.

A `Run` opens its own unless it was given one: `watch` opens one for all checkpoints, so that they are one run of the
tracker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from engine.errors import ArenaError
from engine.events import Event, RunEnded
from engine.reporting.notifier import LAST_SECONDS, Notifier
from engine.reporting.trackers import Trackers

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.ratings.curve_result import CurveReport
    from engine.ratings.leaderboard import Leaderboard
    from engine.work.progress import RunState

_INTERRUPTED_SECONDS = 5.0  # for what is on its way after an interruption


class Reporting:
    """Sends what happens to the targets of `[notify]` and `[track]`: an async context manager.

    Args:
        run: the id of the run, or a name for several.
        warn: called with a text when a target fails, once for each.
    """

    def __init__(self, config: Config, bench: Bench, run: str, warn: Callable[[str], None]) -> None:
        self._limit = max(config.track.limit, LAST_SECONDS)
        self._config = config
        self._bench = bench
        self._notifier = Notifier(config, bench.name, run, warn) if config.notify.is_set else None
        self._trackers = Trackers(config, bench, run, warn) if config.track.to else None
        self._outcome = "done"

    async def __aenter__(self) -> Reporting:
        if self._trackers is not None:
            await self._trackers.open()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._outcome = "failed"
            if self._notifier is not None:
                why = error.title if isinstance(error, ArenaError) else f"{type(error).__name__}"
                self._notifier.ended("failed", f"the run of {self._bench.name} failed: {why}")
        limit = _INTERRUPTED_SECONDS if self._outcome == "interrupted" or error is not None else self._limit
        closing = [self._notifier.close(min(limit, LAST_SECONDS))] if self._notifier is not None else []
        if self._trackers is not None:
            closing.append(self._trackers.close(self._outcome, min(limit, self._config.track.limit)))
        await asyncio.gather(*closing)

    def begin(self, run: str) -> None:
        """Name the run that later events are of."""
        if self._notifier is not None:
            self._notifier.begin(run)

    def handle(self, event: Event) -> None:
        """Take in an event of a run."""
        if isinstance(event, RunEnded):
            self._outcome = event.outcome
        if self._notifier is not None:
            self._notifier.handle(event)

    def show(self, state: RunState) -> None:
        """Send the progress of a run, if the last one is some seconds old."""
        if self._trackers is not None:
            self._trackers.progress(state)

    async def results(self, record: str | None = None) -> None:
        """Rate what the bench holds and send it, with the record of the run."""
        if self._trackers is not None:
            await self._trackers.results(record)

    def leaderboard(self, board: Leaderboard) -> None:
        """Send a leaderboard."""
        if self._trackers is not None:
            self._trackers.leaderboard(board)

    def curve(self, report: CurveReport) -> None:
        """Send the curves of trainings."""
        if self._trackers is not None:
            self._trackers.curve(report)

    def plateaued(self, text: str, step: int) -> None:
        """Send a notice that a training has stopped improving."""
        if self._notifier is not None:
            self._notifier.plateaued(text, step)
