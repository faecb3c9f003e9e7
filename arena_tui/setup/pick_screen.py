"""Chooses one name, or several, from a list that narrows while the user types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from arena_tui.keys import LISTING, bind
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.virtual_list import VirtualList

_NAME_SHARE = 0.55  # of the width, at most, for names


class Option(NamedTuple):
    """A name to choose and what is said about it."""

    name: str
    about: str = ""


class FindInput(Input):
    """A line that is typed to find something; moves and marks act on the list below it."""

    class Marked(Message):
        """Space was pressed."""

    def __init__(self, *, marks: bool, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self._marks = marks

    async def _on_key(self, event: events.Key) -> None:
        if self._marks and event.key == "space":
            event.stop()
            event.prevent_default()
            self.post_message(self.Marked())
            return
        await super()._on_key(event)


class PickScreen(ModalScreen["tuple[str, ...]"]):
    """Returns the chosen names: one, or with `several` all that are marked; nothing when cancelled."""

    DEFAULT_CSS = """
    PickScreen {
        FindInput { background: $panel; }
        VirtualList > .virtual-list--cursor-elsewhere { background: $panel; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *LISTING,
        bind("close", "dismiss", title="Cancel", key="escape"),
    ]

    def __init__(
        self, title: str, options: Sequence[Option], chosen: Sequence[str] = (), *, several: bool = False
    ) -> None:
        super().__init__()
        self._title = title
        self._options = list(options)
        self._chosen = set(chosen)
        self._several = several

    def compose(self) -> ComposeResult:
        keys = "type to find, space marks, Enter takes all marked" if self._several else "type to find, Enter takes it"
        with Vertical(classes="dialog"):
            yield Static(Text.assemble((self._title, Style(bold=True)), f"   ({keys})"))
            yield FindInput(marks=self._several)
            yield VirtualList[Option](self._line, key=lambda option: option.name, empty="no matches")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        options = self.query_one(VirtualList)
        options.can_focus = False
        options.styles.height = min(len(self._options), max(3, self.app.size.height - 10))
        options.set_rows(self._options)
        if self._chosen and not self._several:
            options.move_to_key(next(iter(self._chosen)))
        self.query_one(FindInput).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        words = event.value.casefold().split()
        found = [option for option in self._options if all(word in option.name.casefold() for word in words)]
        self.query_one(VirtualList).set_rows(found)

    def on_input_submitted(self) -> None:
        if self._several:
            self.dismiss(tuple(option.name for option in self._options if option.name in self._chosen))
        elif (option := self.query_one(VirtualList).row) is not None:
            self.dismiss((option.name,))

    def on_find_input_marked(self) -> None:
        options = self.query_one(VirtualList)
        if (option := options.row) is not None:
            self._chosen ^= {option.name}
            options.repaint()

    def on_virtual_list_selected(self) -> None:
        if self._several:
            self.on_find_input_marked()
        else:
            self.on_input_submitted()

    def action_move(self, rows: int) -> None:
        self.query_one(VirtualList).action_move(rows)

    def action_page(self, pages: int) -> None:
        self.query_one(VirtualList).action_move_page(pages)

    def _line(self, option: Option, width: int) -> Text:
        ink, is_chosen = inks(self.app), option.name in self._chosen
        mark = ("[x] " if is_chosen else "[ ] ") if self._several else ("(x) " if is_chosen else "( ) ")
        longest = max((text_width(one_line(each.name)) for each in self._options), default=0)
        columns = min(longest, max(12, int(width * _NAME_SHARE)))
        name = clip(one_line(option.name), columns)
        blanks = " " * (columns - text_width(name) + 2)
        about = clip(one_line(option.about), max(0, width - columns - 6))
        return Text.assemble((mark, ink.accent if is_chosen else ink.muted), name, blanks, (about, ink.muted))
