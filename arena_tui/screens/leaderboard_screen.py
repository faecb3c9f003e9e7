"""The leaderboard, live while judging: the same table as the command's, with its intervals drawn to scale."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from arena_tui.safe_text import printable
from arena_tui.screens.base import ArenaScreen
from engine.errors import ArenaError
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.ratings.estimate import CiKind
    from engine.ratings.leaderboard import GroupKind

_SECONDS_BETWEEN_RATINGS = 2.0  # rating takes a tenth of a second of a core; files change all the time while judging
_INTERVALS: tuple[CiKind, ...] = ("question", "battle")
_GROUPS: tuple[GroupKind | None, ...] = (None, "category", "cluster")
_NARROW = 48


class LeaderboardScreen(ArenaScreen):
    """Rates what is on disk, again whenever more judgments are there."""

    MODE = "leaderboard"
    HELP = (
        "Bradley-Terry win rates against the baseline, which is 50 by definition, with 95% intervals. While a run "
        "judges, the numbers are provisional: they rest on the judgments so far."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "next('ci')", "Interval"),
        Binding("g", "next('by')", "Group"),
        Binding("w", "next('weight')", "Weight"),
        Binding("o", "next('first')", "Game 1 only"),
        Binding("r", "rate", "Rate again", show=False),
    ]
    DEFAULT_CSS = """
    LeaderboardScreen VerticalScroll { padding: 0 1; }
    LeaderboardScreen #board { width: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[str, int] = {"ci": 0, "by": 0, "weight": 0, "first": 0}
        self._rated_at = 0.0
        self._rated_moment: tuple[object, ...] = ()

    def compose_body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("", id="state")
            yield Static("", id="board")

    def show_state(self, state: RunState) -> None:
        judged = sum(task.done + task.cached for key, task in state.tasks.items() if key.stage == "judgments")
        total = sum(task.total for key, task in state.tasks.items() if key.stage == "judgments")
        self.query_one("#state", Static).update(Text(self._headline(judged, total)))
        moment = (judged, state.phase, self.session.is_open, self.size.width)
        if moment != self._rated_moment and time.monotonic() - self._rated_at > _SECONDS_BETWEEN_RATINGS:
            self._rated_moment = moment
            self.action_rate()

    def action_next(self, what: str) -> None:
        """Go on to the next choice of `what` (interval, groups, weight, games) and rate again."""
        count = len(_GROUPS) if what == "by" else 2
        self._choices[what] = (self._choices[what] + 1) % count
        self.action_rate()

    def action_rate(self) -> None:
        """Read what is new and rate it."""
        self._rated_at = time.monotonic()
        if self.session.is_open:
            self.attempt(self._rate(), group="rating")

    def _headline(self, judged: int, total: int) -> str:
        if self.session.status in ("running", "paused", "stopping", "following") and judged < total:
            return f"PROVISIONAL: {judged} of {total} judgments so far\n"
        if judged < total:
            return f"{judged} of {total} judgments are there: start the run (1, s) for the rest\n"
        return ""

    async def _rate(self) -> None:
        from arena_tui.leaderboard_output import format_leaderboard
        from engine.ratings.leaderboard import LeaderboardOptions
        from engine.results import rate

        options = LeaderboardOptions(
            baseline=self.session.config.judge.baseline,
            ci=_INTERVALS[self._choices["ci"]],
            by=_GROUPS[self._choices["by"]],
            weight=(3, 1)[self._choices["weight"]],
            first_game_only=bool(self._choices["first"]),
        )
        try:
            judged = await self.session.judged()
            board, _ = await asyncio.to_thread(rate, judged, options)
        except ArenaError as error:
            self._show(f"Nothing to rate yet.\n\n{error.title}")
            return
        text = format_leaderboard(board, "table", width=max(_NARROW, self.size.width - 4))
        self._show(text + "".join(f"\n! {warning}" for warning in board.warnings))

    def _show(self, text: str) -> None:
        self.query_one("#board", Static).update(Text(printable(text), no_wrap=True))
