"""What is shown instead of a bench: the welcome on a first start, or the problem that keeps a bench from opening."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.keys import bind
from arena_tui.safe_text import readable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError


class OpenRequested(Message):
    """The session should be opened, again or for the first time."""


_INTRODUCTION = (
    "Is this checkpoint better than the last one, by how much, and can I trust that?",
    "arena-tui asks models the questions of a bench, has a judge compare each answer with a baseline's, and rates them "
    "with honest intervals.",
    "There is no config.toml in this folder yet. The demo shows the whole job with simulated models on this machine "
    "and writes only to data/demo. Benches and configs of arena-hard are brought in with: arena-tui import FOLDER",
)
_LOW = 24  # lines; on fewer, the middle of the introduction is left out


class _Choice(NamedTuple):
    action: str
    title: str
    consequence: str


_CHOICES = (
    _Choice("demo", "s  Try the demo", "simulated; needs nothing"),
    _Choice("write_config", "e  Write config.toml", "to edit, with starter benches"),
    _Choice("app.quit", "q  Quit", "see arena-tui import --help"),
)


class WelcomeScreen(ModalScreen[None]):
    """Introduces the program and offers the demo or a config to edit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("start", "demo", title="Demo"),
        bind("config", "write_config", title="Write config.toml"),
        bind("quit", "app.quit"),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Welcome to arena-tui", style="bold"))
            paragraphs = _INTRODUCTION if self.app.size.height >= _LOW else (_INTRODUCTION[0], _INTRODUCTION[-1])
            yield Static(Text("\n" + "\n\n".join(paragraphs) + "\n"))
            yield VirtualList[_Choice](_line, id="choices")
        yield KeyBar()

    def on_mount(self) -> None:
        choices = self.query_one("#choices", VirtualList)
        choices.set_rows(_CHOICES)
        choices.styles.height = len(_CHOICES)

    async def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        await self.run_action(message.row.action)

    def action_demo(self) -> None:
        self.run_worker(self._demo(), exclusive=True, exit_on_error=False)

    def action_write_config(self) -> None:
        from arena_tui.starters import write_first_config

        try:
            written = write_first_config()
        except ArenaError as error:
            show_notice(self, error)
            return
        show_notice(self, written)
        self._done()

    async def _demo(self) -> None:
        try:
            await self._session.open_demo()
        except ArenaError as error:
            show_notice(self, error)
            return
        self._done()

    def _done(self) -> None:
        self.post_message(OpenRequested())
        self.dismiss()


def _line(choice: _Choice, width: int) -> Text:
    return Text.assemble((choice.title.ljust(24), Style(bold=True)), choice.consequence)[:width]


class ProblemScreen(ModalScreen[None]):
    """Shows one error; `R` opens again after the user has fixed the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("again", title="Read again"),
        bind("quit", "app.quit"),
    ]

    def __init__(self, problem: ArenaError) -> None:
        super().__init__()
        self._problem = problem

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static(Text(readable(title(self._problem)), style="bold"))
            if self._problem.hint:
                yield Static(Text(readable("\n" + phrase(self._problem.hint))))
            yield Static(Text("\nFix it, then press R to read everything again, or q to quit"))
        yield KeyBar()

    def action_again(self) -> None:
        self.post_message(OpenRequested())
        self.dismiss()
