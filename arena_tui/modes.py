"""The four screens that a user goes between by number. Each is imported when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena_tui.widgets.screens import ArenaScreen


@dataclass(frozen=True)
class Mode:
    """A screen of its own: `key` shows it, `title` (or `short`, where room is short) names it on the top line."""

    name: str
    key: str
    title: str
    short: str
    load: Callable[[], type[ArenaScreen]]

    def make(self) -> ArenaScreen:
        """A new screen of this mode."""
        return self.load()()


def _run() -> type[ArenaScreen]:
    from arena_tui.run.run_screen import RunScreen

    return RunScreen


def _judgments() -> type[ArenaScreen]:
    from arena_tui.judgments.judgments_screen import JudgmentsScreen

    return JudgmentsScreen


def _review() -> type[ArenaScreen]:
    from arena_tui.review.review_screen import ReviewScreen

    return ReviewScreen


def _leaderboard() -> type[ArenaScreen]:
    from arena_tui.board.leaderboard_screen import LeaderboardScreen

    return LeaderboardScreen


MODES = (
    Mode("run", "1", "Run", "Run", _run),
    Mode("leaderboard", "2", "Leaderboard", "Board", _leaderboard),
    Mode("judgments", "3", "Judgments", "Judged", _judgments),
    Mode("review", "4", "Review", "Review", _review),
)
