"""Notices and trackers of a watch: all its runs are one run of a tracker, with the curves as they grow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from arena_tui import console
from engine.bench import Bench
from engine.bench.run_files import new_run_id
from engine.config.model import Config
from engine.errors import ArenaError
from engine.run import Run

if TYPE_CHECKING:
    from engine.reporting.reporting import Reporting


class WatchReporting:
    """What the targets of `[notify]` and `[track]` hear of a watch; nothing without targets."""

    def __init__(self, config: Config, reporting: Reporting | None) -> None:
        self._config = config
        self._reporting = reporting
        self._plateaus: set[str] = set()

    def attach(self, run: Run) -> None:
        """Have a run use the trackers of the watch."""
        run.reporting = self._reporting

    async def add_curves(self) -> None:
        """Send the curves of the bench as they are, and a notice of the first plateau of each training."""
        if self._reporting is None:
            return
        from engine.training_curves import curves

        try:
            report = await asyncio.to_thread(curves, self._config)
        except ArenaError:  # of one checkpoint alone there is no curve
            return
        self._reporting.curve(report)
        for curve in report.curves:
            if curve.plateau.since is not None and curve.series not in self._plateaus:
                self._plateaus.add(curve.series)
                text = f"{curve.series}: no step after {curve.plateau.since:,} is better by {report.margin:g} points"
                self._reporting.plateaued(text, curve.plateau.since)


@asynccontextmanager
async def watch_reporting(config: Config) -> AsyncIterator[WatchReporting]:
    """Open the targets that the config names, for all runs of a watch."""
    if not (config.notify.is_set or config.track.to):
        yield WatchReporting(config, None)
        return
    from engine.reporting.reporting import Reporting

    bench = Bench.open(config.data, config.bench)
    async with Reporting(config, bench, new_run_id(time.time()), lambda text: console.warn([text])) as reporting:
        yield WatchReporting(config, reporting)
