"""All pairs of models: the heat map of their differences, and the pair under the cursor in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.app import ComposeResult

from arena_tui.advice import phrase
from arena_tui.board.choices import BoardChoices
from arena_tui.board.heat_map import HeatMap, Met
from arena_tui.board.pages import PageScreen, Report
from arena_tui.output.verdict import pair_words
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines

if TYPE_CHECKING:
    from arena_tui.board.rating import Board
    from engine.ratings.compare import Comparison


class PairsScreen(PageScreen):
    """Compares all pairs of the board, paired by question; Enter compares the pair under the cursor in full."""

    HELP = (
        "Every pair of models on their common questions, in points: positive and green where the model of the row is "
        "better. A colour means that the difference holds for all pairs together (Holm's correction, 5%); ~ marks "
        "those that are undecided. Arrows move, Enter compares two models. `arena-tui compare` prints the numbers."
    )

    def __init__(self, session: ArenaSession, board: Board, choices: BoardChoices) -> None:
        super().__init__(session)
        self._board = board
        self._choices = choices

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        yield HeatMap()
        yield TextLines(id="pair")

    def focus_page(self) -> None:
        self.query_one(HeatMap).focus()

    def find(self, report: Report) -> Comparison:
        from engine.ratings.compare import compare

        report("comparing all pairs ...")
        return compare(self._board.judged.battles, self._board.options, self._board.judged.facts)

    def show_found(self, found: object) -> None:
        result, ink = cast("Comparison", found), inks(self.app)
        count = result.separable
        line = Text.assemble(
            (f"{count.holm} of {count.pairs} pairs are decided", ink.strong),
            ("   points of the row over the column; ~ undecided", ink.muted),
        )
        warnings = [Text(f"! {one_line(phrase(warning))}", ink.warning) for warning in result.warnings[:2]]
        self.query_one("#state", TextLines).show(line, *warnings)
        self.query_one(HeatMap).show([row.model for row in result.models], result.pairs)

    def show_problem(self, text: str) -> None:
        self.query_one("#state", TextLines).show(*(Text(line) for line in text.split("\n") if line))

    def clear_page(self) -> None:
        """Keep the map of before until there is another one."""

    def on_heat_map_pair_changed(self, message: HeatMap.PairChanged) -> None:
        met, ink = message.met, inks(self.app)
        if met is None:
            self.query_one("#pair", TextLines).show(Text(), Text())
            return
        self.query_one("#pair", TextLines).show(
            Text(pair_words(met.pair), ink.strong), Text(numbers_words(met), ink.muted)
        )

    def on_heat_map_pair_selected(self, message: HeatMap.PairSelected) -> None:
        from arena_tui.board.difference_screen import DifferenceScreen, open_contrast

        screen = DifferenceScreen(self._board, message.one, message.other)
        self.app.push_screen(screen, lambda pair: open_contrast(self, self._choices, pair))


def numbers_words(met: Met) -> str:
    """Return the numbers of a pair; where the correction for all pairs changes its verdict, they end in that."""
    pair = met.pair
    alone = pair.verdict in ("better", "worse") and not met.is_decided
    return (
        f"95% CI [{pair.lower:+.1f}, {pair.upper:+.1f}], {pair.questions:,} questions, p {_p(pair.p_value)}, "
        f"corrected {_p(pair.p_holm)}{': undecided' if alone else ''}"
    )


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
