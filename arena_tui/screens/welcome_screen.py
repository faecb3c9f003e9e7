"""A first start, with nothing configured: try the demo, or have a config written to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.widgets.key_bar import KeyBar
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp

_INTRODUCTION = (
    "Is this checkpoint better than the last one, by how much, and can I trust that?",
    "arena-tui asks models the questions of a bench, has a judge compare each answer with a baseline's, and rates them "
    "with honest intervals.",
    "There is no config.toml in this folder yet. The demo shows the whole job with simulated models on this machine "
    "and writes only to data/demo. Benches and configs of arena-hard are brought in with: arena-tui import FOLDER",
)
_LOW = 24  # lines; on fewer, the middle of the introduction makes room for the choices


class _Choice(NamedTuple):
    action: str
    title: str
    consequence: str


_CHOICES = (
    _Choice("demo", "d  Try the demo", "simulated; needs nothing"),
    _Choice("write_config", "w  Write config.toml", "to edit, with starter benches"),
    _Choice("app.quit", "q  Quit", "see arena-tui import --help"),
)


class WelcomeScreen(ModalScreen[None]):
    """Goes away once there is something to show."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "demo", "Demo"),
        Binding("w", "write_config", "Write config.toml"),
        Binding("q", "app.quit", "Quit"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Welcome to arena-tui", style="bold"))
            told = _INTRODUCTION if self.app.size.height >= _LOW else (_INTRODUCTION[0], _INTRODUCTION[-1])
            yield Static(Text("\n" + "\n\n".join(told) + "\n"))
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
            told = write_first_config()
        except ArenaError as error:
            self._arena.tell(error)
            return
        self._arena.tell(told)
        self.dismiss()
        self._open()

    async def _demo(self) -> None:
        try:
            await self._arena.session.open_demo()
        except ArenaError as error:
            self._arena.tell(error)
            return
        self.dismiss()
        self._open()

    def _open(self) -> None:
        from arena_tui.screens.opening import open_session

        self._arena.run_worker(open_session(self._arena), exit_on_error=False)

    @property
    def _arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)


def _line(choice: _Choice, width: int) -> Text:
    return Text.assemble((choice.title.ljust(24), Style(bold=True)), choice.consequence)[:width]
