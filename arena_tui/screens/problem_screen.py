"""What keeps the UI from opening a bench: every problem, with its hint, and a way to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.safe_text import readable
from arena_tui.widgets.key_bar import KeyBar
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp


class ProblemScreen(ModalScreen[None]):
    """Shows one error. `r` reads everything again, for when the file was mended meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Read again"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, problem: ArenaError) -> None:
        super().__init__()
        self._problem = problem

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static(Text(readable(title(self._problem)), style="bold"))
            if self._problem.hint:
                yield Static(Text(readable("\n" + phrase(self._problem.hint))))
            yield Static(Text("\nMend it, then press r to read everything again, or q to quit."))
        yield KeyBar()

    def action_again(self) -> None:
        from arena_tui.screens.opening import open_session

        self.dismiss()
        app = cast("ArenaApp", self.app)
        app.run_worker(open_session(app), exit_on_error=False)
