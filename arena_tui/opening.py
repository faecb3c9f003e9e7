"""What is shown instead of a bench that cannot be opened: every problem at once, and ways to solve them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.keys import SCROLLING, bind
from arena_tui.safe_text import readable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from engine.errors import ArenaError


class OpenRequested(Message):
    """The session should be opened, again or for the first time."""


class ProblemScreen(ModalScreen[None]):
    """Shows the problems of a config; they are read again when the file changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("config", "edit", title="Edit", tooltip="Open the config in the editor"),
        bind("setup", title="Set up anew", tooltip="Write another config; this one is kept beside it"),
        bind("again", title="Read again"),
        bind("quit", "app.quit"),
        *SCROLLING,
    ]

    def __init__(self, session: ArenaSession, problem: ArenaError) -> None:
        super().__init__()
        self._session = session
        self._problem = problem
        self._stamp = session.invocation.stamp()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            with VerticalScroll():
                yield Static(Text(readable(title(self._problem)), style="bold"))
                if self._problem.hint:
                    yield Static(Text(readable("\n" + phrase(self._problem.hint))))
            yield Static(Text("\ne opens the file in your editor; it is read again as soon as it changes"))
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_interval(1.0, self._look)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action not in ("edit", "setup") or not self._session.demo

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_again(self) -> None:
        self.post_message(OpenRequested())
        self.dismiss()

    def action_setup(self) -> None:
        self.dismiss()
        self.app.call_later(self.app.run_action, "app.set_up")

    def action_edit(self) -> None:
        self.run_worker(self._edit(), exclusive=True, exit_on_error=False)

    async def _edit(self) -> None:
        from arena_tui.setup.editing import edit_file

        try:
            await edit_file(self.app, self._session.invocation.path)
        except ArenaError as error:
            show_notice(self, error)
        self._look()

    def _look(self) -> None:
        if self.is_current and self._session.invocation.stamp() != self._stamp:
            self.action_again()
