"""Asks before a run is stopped by leaving."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.widgets.key_bar import KeyBar
from engine.run import GRACE_SECONDS

_TEXT = f"""A run is going on.

  y  stop it and quit: what is finished is saved,
     and the next start goes on from there
     (calls in flight get {GRACE_SECONDS:.0f} s; q again: none)
  n  let it go on"""


class QuitScreen(ModalScreen[bool]):
    """Gives True when the user wants to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Stop and quit"),
        Binding("n,escape,q", "answer(False)", "Go on"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(_TEXT))
        yield KeyBar()

    def action_answer(self, agreed: bool) -> None:
        self.dismiss(agreed)
