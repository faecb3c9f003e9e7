"""`?`: what the screen below is for, and every key that does something there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from arena_tui.screens.base import ArenaScreen
from arena_tui.widgets.key_bar import KeyBar
from arena_tui.widgets.virtual_list import VirtualList

_KEY_COLUMNS = 18


class _Key(NamedTuple):
    """One action with all keys that do it."""

    keys: str
    description: str


class HelpScreen(ModalScreen[None]):
    """Reads the bindings of the screen that it lies over; Enter does what the line under the cursor says."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Back"),
    ]

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._about = below.HELP if isinstance(below, ArenaScreen) else ""
        self._keys = list(_keys(below))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            if self._about:
                yield Static(Text(self._about + "\n"))
            yield VirtualList[_Key](_line, id="help-keys")
        yield KeyBar()

    def on_mount(self) -> None:
        keys = self.query_one(VirtualList)
        keys.set_rows(self._keys)
        keys.styles.height = min(len(self._keys), max(4, self.app.size.height - 12))


def _line(key: _Key, width: int) -> Text:
    return Text.assemble((key.keys.ljust(_KEY_COLUMNS), Style(bold=True)), key.description)[:width]


def _keys(below: Screen[object]) -> Iterator[_Key]:
    found: dict[str, tuple[list[str], str]] = {}
    for active in below.active_bindings.values():
        binding = active.binding
        if binding.description and active.enabled and not binding.system:
            keys, _ = found.setdefault(binding.action, ([], binding.tooltip or binding.description))
            keys.append(below.app.get_key_display(binding))
    for keys, description in found.values():
        yield _Key(" ".join(keys), description)
