"""`--track`: sends a result to the trackers of the config."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from arena_tui import console
from arena_tui.invocation import Invocation
from engine.bench import Bench
from engine.bench.run_files import new_run_id
from engine.errors import UsageProblem

if TYPE_CHECKING:
    from engine.ratings.curve_result import CurveReport
    from engine.ratings.leaderboard import Leaderboard


def send_results(
    invocation: Invocation, *, board: Leaderboard | None = None, curves: CurveReport | None = None
) -> None:
    """Send a leaderboard or curves. What fails is a warning. Raises UsageProblem where the config names no tracker."""
    config = invocation.config(keys=False)
    if not config.track.to:
        raise UsageProblem("--track: the config names no tracker", 'add [track] with to = ["mlflow"]')
    bench = Bench.open(config.data, config.bench)

    async def send() -> None:
        from engine.reporting.trackers import Trackers

        trackers = Trackers(config, bench, new_run_id(time.time()), lambda text: console.warn([text]))
        await trackers.open()
        if board is not None:
            trackers.leaderboard(board)
        if curves is not None:
            trackers.curve(curves)
        await trackers.close("done", config.track.limit)

    asyncio.run(send())
