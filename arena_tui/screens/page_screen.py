"""A page of text that is worked out in a thread while one may leave: the audit, the plan of a study, all pairs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.safe_text import one_line, printable
from arena_tui.screens.base import ArenaScreen
from arena_tui.theme import Inks, inks
from arena_tui.widgets.text_lines import TextLines
from engine.errors import ArenaError

_NARROWEST = 48
Tell: TypeAlias = Callable[[str], None]


class GivenUp(Exception):
    """Nobody waits for the page any more."""


class PageScreen(ArenaScreen):
    """Subclasses work out what the page is about in `find` (in a thread), and write it in `text`."""

    MODE = "leaderboard"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Again", tooltip="Read the files and work it out once more"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("escape,backspace", "leave", "Leaderboard"),
    ]
    DEFAULT_CSS = """
    PageScreen VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; overflow-y: scroll; }
    """

    class Progress(Message):
        """How far the work is."""

        def __init__(self, told: str) -> None:
            super().__init__()
            self.told = told

    def __init__(self) -> None:
        super().__init__()
        self.found: object = None
        self._given_up = threading.Event()

    def find(self, tell: Tell) -> object:
        """Work it out. `tell` shows how far it is, and raises GivenUp when nobody waits any more. Raises ArenaError."""
        raise NotImplementedError

    def text(self, found: object, width: int, ink: Inks) -> Text:
        """What was found, on `width` columns."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        with VerticalScroll():
            yield Static(id="page")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.action_again()

    def on_unmount(self) -> None:
        self._given_up.set()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    def on_page_screen_progress(self, message: Progress) -> None:
        if self.found is None:
            self._tell(f"{message.told}   Escape goes back and gives it up")

    def action_again(self) -> None:
        self.found = None
        self._given_up.set()
        self._given_up = threading.Event()
        self._tell("reading ...")
        self.query_one("#page", Static).update("")
        self.attempt(self._find(self._given_up), group="page")

    def action_leave(self) -> None:
        self._given_up.set()
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    async def _find(self, given_up: threading.Event) -> None:
        def tell(told: str) -> None:
            if given_up.is_set():
                raise GivenUp
            self.post_message(self.Progress(told))

        try:
            found = await asyncio.to_thread(self.find, tell)
        except GivenUp:
            return
        except ArenaError as error:
            self._tell("")
            self.query_one("#page", Static).update(Text(printable(f"{title(error)}\n\n{phrase(error.hint)}")))
            return
        self.found = found
        self._show()

    def _tell(self, told: str) -> None:
        ink = inks(self.app)
        self.query_one("#state", TextLines).show(*([Text(told, ink.warning)] if told else []))

    def _show(self) -> None:
        if self.found is not None:
            width = max(_NARROWEST, self.query_one(VerticalScroll).scrollable_content_region.width)
            self._tell("")
            self.query_one("#page", Static).update(self.text(self.found, width, inks(self.app)))


def with_warnings(text: Text, warnings: list[str], ink: Inks) -> Text:
    """A page with the cautions about it at its end."""
    for warning in warnings:
        text.append(f"\n! {one_line(phrase(warning))}\n", ink.warning)
    return text
