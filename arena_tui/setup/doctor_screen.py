"""The checks of `arena-tui doctor` on the open config, as they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.keys import bind, closing
from arena_tui.session.arena_session import ArenaSession
from arena_tui.setup.check_list import CheckList
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import Attempt, show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError

if TYPE_CHECKING:
    from engine.diagnosis import Check


class DoctorScreen(ModalScreen[None]):
    """Checks once when it is opened, and again on a key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("again", title="Check again"),
        *closing("doctor"),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Static(Text("Checks of config, data, servers, GPU and disk\n", style="bold"))
            yield CheckList()
        yield KeyBar()

    def on_mount(self) -> None:
        checks = self.query_one(CheckList)
        checks.styles.height = max(4, self.app.size.height - 9)
        self.action_again()

    def action_again(self) -> None:
        def report(error: ArenaError) -> None:
            show_notice(self, error)

        self.run_worker(Attempt(self._examine(), report), exclusive=True, exit_on_error=False)

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        self.app.push_screen(self.query_one(CheckList).details(message.row))

    async def _examine(self) -> None:
        from engine.diagnosis import examine

        shown, found = self.query_one(CheckList), list["Check"]()
        shown.show(found, is_running=True)
        async for check in examine(self._session.config):
            found.append(check)
            shown.show(found, is_running=True)
        shown.show(found, is_running=False)
