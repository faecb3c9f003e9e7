"""The first line of the leaderboard: the verdict on the marked models, else on those that answer most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UnsetType
from rich.text import Text

from arena_tui.board.choices import BoardChoices
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import Inks
from arena_tui.widgets.answer_text import answer_text, verdict_text

if TYPE_CHECKING:
    from arena_tui.board.rating import Board
    from engine.ratings.verdict import PairVerdict


class BoardAnswer:
    """Keeps the verdicts on pairs that were marked, for as long as the board is the same."""

    def __init__(self) -> None:
        self._board: Board | None = None
        self._verdicts: dict[tuple[str, ...], PairVerdict | None] = {}

    def lacks(self, board: Board | None, marked: Sequence[str]) -> bool:
        """Return whether two models are marked that were not compared yet."""
        if board is not self._board:
            self._board, self._verdicts = board, {}
        return board is not None and len(marked) == 2 and tuple(marked) not in self._verdicts

    async def compare(self, marked: Sequence[str]) -> None:
        """Compare the marked models in a thread."""
        board, pair = self._board, tuple(marked)
        if board is not None:
            found = await asyncio.to_thread(board.verdict, pair)
            if board is self._board:
                self._verdicts[pair] = found

    def text(
        self,
        session: ArenaSession,
        board: Board | None,
        choices: BoardChoices,
        marked: Sequence[str],
        width: int,
        ink: Inks,
        *,
        is_partial: bool,
    ) -> Text:
        """Return the line. A run with a stop rule states its own verdict, unless something else was chosen."""
        if board is None or (session.state.stop_rule and choices == BoardChoices() and not marked):
            return answer_text(session, width, ink)
        pair = tuple(marked) if len(marked) == 2 else ()
        if pair and pair not in self._verdicts:
            return Text("comparing the marked models ...", ink.muted)
        found = self._verdicts[pair] if pair else board.leaderboard.answer
        if found is None or isinstance(found, UnsetType):
            why = "style control has no paired test" if choices.style else "fewer than two models to compare"
            return Text(f"no verdict: {why}", ink.muted)
        return verdict_text(found, None if pair else board.leaderboard, width, ink, is_partial=is_partial)
