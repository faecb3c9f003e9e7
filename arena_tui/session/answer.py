"""The answer of a run so far: the verdict on the models that matter, rated again while judgments come in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import ArenaError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.ratings.leaderboard import Leaderboard
    from engine.ratings.verdict import PairVerdict
    from engine.results import JudgedBench
    from engine.work.progress import RunState

Source: TypeAlias = "tuple[Path, str]"
Load: TypeAlias = "Callable[[], Awaitable[JudgedBench]]"
_SHARE_OF_TIME = 0.02  # for rating during a run, which must not slow it down
_SHORTEST_PAUSE = 5.0  # seconds


class AnswerWatch:
    """Rates the judgments on disk in a thread, again when there are more; a verdict of a stop rule needs no rating.

    Attributes:
        board: the latest leaderboard; None before the first.
        version: changes whenever the board does.
    """

    def __init__(self) -> None:
        self.board: Leaderboard | None = None
        self.version = 0
        self._rating: asyncio.Task[None] | None = None
        self._rated: object = None  # the moment that was rated last
        self._not_before = 0.0

    def verdict(self, state: RunState) -> PairVerdict | None:
        """Return the verdict so far; with a stop rule, by limits that hold at every look."""
        if state.stop_rule:
            from engine.ratings.verdict import standing_verdict

            return standing_verdict(state.standings, state.opponent)
        answer = self.board.answer if self.board is not None else None
        return answer or None

    def look(self, source: Source, state: RunState, load: Load, *, is_running: bool) -> None:
        """Rate what `load` returns if there are more judgments than last time, during a run not too often.

        `source` is the bench and its baseline.
        """
        judged = sum(task.done + task.cached for key, task in state.tasks.items() if key.stage == "judgments")
        moment = source, judged, state.phase
        if not judged or moment == self._rated or (self._rating is not None and not self._rating.done()):
            return
        if not is_running or time.monotonic() >= self._not_before:
            self._rated = moment
            self._rating = asyncio.get_running_loop().create_task(self._rate(load, source[1]))

    def stop(self) -> None:
        """Forget the rating in progress."""
        if self._rating is not None:
            self._rating.cancel()

    async def _rate(self, load: Load, baseline: str) -> None:
        began = time.monotonic()
        try:
            self.board = await asyncio.to_thread(_rate, await load(), baseline)
        except ArenaError:  # no judgment counts yet
            self.board = None
        self.version += 1
        seconds = time.monotonic() - began
        self._not_before = time.monotonic() + max(_SHORTEST_PAUSE, seconds / _SHARE_OF_TIME)


def _rate(judged: JudgedBench, baseline: str) -> Leaderboard:
    from engine.ratings.leaderboard import LeaderboardOptions
    from engine.results import rate

    board, _ = rate(judged, LeaderboardOptions(baseline=baseline))
    return board
