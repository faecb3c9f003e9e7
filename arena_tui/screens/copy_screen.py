"""Which part to copy: one key each. The terminal puts it on the clipboard of the machine one sits at (OSC 52)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.safe_text import one_line, printable, shorten
from arena_tui.widgets.key_bar import KeyBar
from engine.review.library import Comparison

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp

_MOST_NAME = 30  # columns
LONG, TOO_LONG = 75_000, 250_000  # characters; some, and most terminals take no more, and none says so


class CopyPart(NamedTuple):
    """A text that may be copied, and the key that copies it."""

    key: str
    name: str
    text: str


class CopyScreen(ModalScreen[None]):
    """Lists the parts with their keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back"),
        *(Binding(key, f"copy_part('{key}')", show=False) for key in "qab12pr"),
    ]

    def __init__(self, parts: Sequence[CopyPart]) -> None:
        super().__init__()
        self._parts = [part for part in parts if part.text]

    def compose(self) -> ComposeResult:
        lines = [f"  {part.key}   {part.name} ({len(part.text):,} characters)" for part in self._parts]
        with Vertical(classes="dialog"):
            yield Static(Text("\n".join(["Copy", "", *lines])))
        yield KeyBar()

    def action_copy_part(self, key: str) -> None:
        part = next((part for part in self._parts if part.key == key), None)
        if part is not None:
            self.dismiss()
            copy(cast("ArenaApp", self.app), part)


def copy(app: ArenaApp, part: CopyPart) -> None:
    """Send a text to the terminal's clipboard, without what could steer the terminal that it is pasted into."""
    if len(part.text) > TOO_LONG:
        app.tell(
            f"{part.name} is too long for a terminal's clipboard; it is in the files of the bench.", severity="warning"
        )
        return
    app.copy_to_clipboard(printable(part.text))
    told = f"{part.name}: {len(part.text):,} characters sent to the terminal's clipboard."
    if len(part.text) > LONG:
        told += " Some terminals drop texts of this length."
    if os.environ.get("TMUX"):
        told += " tmux passes it on if set-clipboard or allow-passthrough is on."
    app.tell(told)


def parts_of(comparison: Comparison, first: int = 1) -> list[CopyPart]:
    """What there is to copy of a judgment; answer A is that of game `first`."""
    question = "\n\n".join(comparison.question.turns) if comparison.question else ""
    parts = [CopyPart("q", "the question", question)]
    for key, letter in (("a", "A"), ("b", "B")):
        name, answer = comparison.side("A" if letter == "A" else "B", first)
        parts.append(
            CopyPart(
                key, f"the answer of {shorten(one_line(name), _MOST_NAME)}", "\n\n".join(answer.turns) if answer else ""
            )
        )
    for number, game in enumerate(comparison.judgment.games if comparison.judgment else (), start=1):
        if game is not None:
            prompt = "\n\n".join(message.content for message in game.messages)
            parts.append(CopyPart(str(number), f"what the judge wrote in game {number}", game.judgment))
            parts.append(CopyPart("p" if number == 1 else "r", f"what the judge was sent in game {number}", prompt))
    return parts
