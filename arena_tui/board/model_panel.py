"""The summary of one model beside the leaderboard: its score, its questions won and lost, and its groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.worker import Worker

from arena_tui.board.group_table import GroupTable, arranged
from arena_tui.safe_text import one_line, shorten
from arena_tui.theme import Inks, inks
from arena_tui.widgets.columns import shares_bar
from arena_tui.widgets.lines import TextLines

if TYPE_CHECKING:
    from arena_tui.board.board_table import BoardRow
    from arena_tui.board.choices import BoardChoices
    from arena_tui.board.rating import Board, ModelPage

_PAUSE_SECONDS = 0.08  # before a model is rated: a held key passes many models
_KEPT = 200  # models of one board


class ModelPanel(Vertical):
    """Shows one model of a board, rated in a thread when the cursor rests on it. Hidden on narrow terminals."""

    DEFAULT_CSS = """
    ModelPanel {
        #model-about { padding: 0; }
        GroupTable { height: 1fr; margin-top: 1; }
        #model-keys { padding: 0; margin-top: 1; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="detail")
        self.model = ""
        self._board: Board | None = None
        self._pages: dict[str, ModelPage] = {}  # of the models of `_board`
        self._row: BoardRow | None = None

    def compose(self) -> ComposeResult:
        yield TextLines(id="model-about")
        yield GroupTable()
        yield TextLines(id="model-keys")

    def show(self, board: Board | None, row: BoardRow | None, choices: BoardChoices) -> None:
        """Show the model of `row`; what is not rated yet follows."""
        if (board and board.leaderboard) is not (self._board and self._board.leaderboard):
            self._pages = {}
        self._board = board
        self._row, self.model = row, "" if row is None else row.row.model
        if not self.display:
            return
        if board is not None and row is not None and self.model not in self._pages and row.row.games:
            work = partial(self._rate, board, self.model, choices)  # no coroutine yet: it may be cancelled before
            self._rating: Worker[None] = self.run_worker(work, group="page", exclusive=True, exit_on_error=False)
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    async def _rate(self, board: Board, model: str, choices: BoardChoices) -> None:
        from arena_tui.board.rating import model_page

        await asyncio.sleep(_PAUSE_SECONDS)
        page = await asyncio.to_thread(model_page, board.judged, model, choices)
        if self._board is not None and board.leaderboard is self._board.leaderboard:
            while len(self._pages) >= _KEPT:
                del self._pages[next(iter(self._pages))]
            self._pages[model] = page
            self._paint()

    def _paint(self) -> None:
        if not self.is_mounted:
            return
        row, page = self._row, self._pages.get(self.model)
        about, groups, ink = self.query_one("#model-about", TextLines), self.query_one(GroupTable), inks(self.app)
        about.show(*([] if row is None else summary_lines(row, page, max(10, about.size.width), ink)))
        groups.display = page is None or bool(page.groups)
        groups.show([] if page is None else arranged(page.groups))
        keys = [Text.assemble(("⏎", ink.strong), (" flips and hardest losses", ink.muted))] if page is not None else []
        self.query_one("#model-keys", TextLines).show(*keys)


def summary_lines(row: BoardRow, page: ModelPage | None, width: int, ink: Inks) -> Sequence[Text]:
    """Return the lines about one model; without `page`, those that the row of the leaderboard knows."""
    number = row.row
    lines = [Text(shorten(one_line(number.model), width), ink.strong + ink.accent)]
    if row.is_baseline and not number.games:
        return [*lines, Text("the baseline: 50 by definition", ink.muted)]
    score = Text.assemble((f"{number.score:.2f}", ink.strong), f" [{number.lower:.2f}, {number.upper:.2f}]")
    if row.ranks is not None:
        best, worst = row.ranks
        score.append(f"  rank {best}" if best == worst else f"  ranks {best} to {worst}", ink.muted)
    lines.append(score)
    if page is None:
        return [*lines, Text("reading ...", ink.muted)]
    stats = page.whole.stats
    if stats is None:
        return [*lines, Text("no game has a label", ink.warning)]
    won, tied, lost = stats.question_wins, stats.question_ties, stats.question_losses
    count = Text.assemble((f"+ {won} won", ink.good), f"  = {tied} tied  ", (f"- {lost} lost", ink.bad))
    flips = f"{stats.flips} flip{'' if stats.flips == 1 else 's'} ({100 * stats.flips / max(1, number.questions):.0f}%)"
    facts = [
        f"{number.questions} questions, {flips}",
        f"games: {stats.wins} won, {stats.ties} tied, {stats.losses} lost",
    ]
    if stats.game_1 is not None and stats.game_2 is not None:
        facts.append(f"score {stats.game_1:.1f} as B, {stats.game_2:.1f} as A")
    if number.avg_tokens is not None:
        facts.append(f"{number.avg_tokens} tokens an answer")
    lines += [Text(), count, shares_bar((won, ink.good), (tied, ink.muted), (lost, ink.bad), width=width)]
    lines += (Text(fact, ink.muted) for fact in facts)
    lost_games = [
        f"{count} {name}" for name, count in (("unparsed", number.unparsed), ("missing", number.missing)) if count
    ]
    return [*lines, *([Text(", ".join(lost_games), ink.warning)] if lost_games else [])]
