"""The dialog that copies a part of a judgment, and the terminal sequences for it (OSC 52).

The sequence reaches the clipboard of the machine the user sits at, over SSH too. tmux and GNU screen pass it on only
when configured to, so inside them it is sent a second time, wrapped for the terminal outside. tmux obeys the first with
`set -g set-clipboard on`, the second with `set -g allow-passthrough on`.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.judgments.judgment_page import label_words
from arena_tui.keys import bind, closing
from arena_tui.safe_text import brief, clip, one_line, printable, shorten, text_width
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.review.library import OpenedPair

_MOST_NAME, _MOST_QUESTION = 30, 200  # columns
LONG, TOO_LONG = 75_000, 250_000  # characters; longer texts are dropped by some terminals, and by most


class CopyPart(NamedTuple):
    """A text that can be copied."""

    name: str
    text: str


class PartList(VirtualList[CopyPart]):
    """The parts with their lengths."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select", title="Copy", tooltip="Copy this part")]


class CopyScreen(ModalScreen[None]):
    """Lists parts of what is shown; Enter copies one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *closing(),
    ]

    def __init__(self, parts: Sequence[CopyPart]) -> None:
        super().__init__()
        self._parts = [part for part in parts if part.text]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Copy\n", style="bold"))
            yield PartList(_part_line, empty="nothing to copy", id="parts")
        yield KeyBar()

    def on_mount(self) -> None:
        parts = self.query_one(VirtualList)
        parts.styles.height = min(max(1, len(self._parts)), max(3, self.app.size.height - 9))
        parts.set_rows(self._parts)

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        self._copy(message.row)
        self.dismiss()

    def _copy(self, part: CopyPart) -> None:
        """Send a text to the terminal's clipboard, without what could steer the terminal it is pasted into."""
        if len(part.text) > TOO_LONG:
            too_long = f"{part.name} is too long for a terminal's clipboard; copy it from the files of the bench"
            show_notice(self, too_long, is_warning=True)
            return
        self.app.copy_to_clipboard(printable(part.text))
        sent = f"{part.name}: {len(part.text):,} characters sent to the terminal's clipboard"
        if len(part.text) > LONG:
            sent += "; some terminals drop texts of this length"
        if os.environ.get("TMUX"):
            sent += "; tmux passes it on if set-clipboard or allow-passthrough is on"
        show_notice(self, sent)


def _part_line(part: CopyPart, width: int) -> Text:
    count = f"{len(part.text):,}"
    room = max(1, width - len(count) - 12)
    name = clip(part.name, room)
    return Text(name + " " * (room - text_width(name) + 1) + f"{count} chars")


def parts_of(opened: OpenedPair, first: int = 1) -> list[CopyPart]:
    """Return the parts of a judgment that can be copied; answer A is that of game `first`."""
    question = "\n\n".join(opened.question.shown) if opened.question else ""
    parts = [CopyPart("the verdict", verdict_text(opened)), CopyPart("the question", question)]
    for name, answer in (opened.side("A", first), opened.side("B", first)):
        shown = f"the answer of {shorten(one_line(name), _MOST_NAME)}"
        parts.append(CopyPart(shown, "\n\n".join(answer.turns) if answer else ""))
    for number, game in enumerate(opened.judgment.games if opened.judgment else (), start=1):
        if game is not None:
            prompt = "\n\n".join(message.content for message in game.messages)
            parts.append(CopyPart(f"the judge's text of game {number}", game.judgment))
            parts.append(CopyPart(f"the judge's prompt of game {number}", prompt))
    return parts


def verdict_text(opened: OpenedPair) -> str:
    """Return who won each game of a judgment, in a few lines; empty without a judgment."""
    if opened.judgment is None:
        return ""
    question = " ".join(opened.question.turns[0].split()) if opened.question else opened.judgment.question_id
    lines = [f"{one_line(opened.model)} against {one_line(opened.baseline)}: {brief(question, _MOST_QUESTION)}"]
    for number, game in enumerate(opened.judgment.games, start=1):
        said = label_words(game.label, 2 - number % 2) if game is not None else "not played"
        lines.append(f"game {number}: {said}")
    return "\n".join(lines)


_ESC, _END = "\x1b", "\x1b\\"
_SCREEN_CHUNK = 252  # bytes of one wrapped sequence in GNU screen (its limit is 256 with the frame)


def copy_sequences(text: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the sequences that make the terminal copy `text`; the environment shows if tmux or screen is in between."""
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    sequence = f"{_ESC}]52;c;{encoded}\x07"
    if environment.get("TMUX"):
        yield sequence
        yield f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC * 2)}{_END}"
    elif environment.get("STY"):
        chunks = [sequence[at : at + _SCREEN_CHUNK] for at in range(0, len(sequence), _SCREEN_CHUNK)]
        yield "".join(f"{_ESC}P{chunk}{_END}" for chunk in chunks)
    else:
        yield sequence
