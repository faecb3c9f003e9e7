"""How the leaderboard is rated: every choice on a line of its own, and a list to pick a group of questions from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, get_args

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.board.choices import NAMES, Choice, Group
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.theme import inks
from arena_tui.widgets.key_bar import KeyBar
from arena_tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from arena_tui.screens.leaderboard_screen import LeaderboardScreen

_NAME_COLUMNS = 26


class _Line(NamedTuple):
    choice: Choice
    value: str


class BoardOptions(ModalScreen[None]):
    """Left and right change the line under the cursor; the board is rated anew with each change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "change(1)", "Change"),
        Binding("left", "change(-1)", "Change back", show=False),
        Binding("escape,o,q", "dismiss", "Done"),
    ]

    def __init__(self, board: LeaderboardScreen) -> None:
        super().__init__()
        self._board = board

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("How to rate\n", style="bold"))
            yield VirtualList[_Line](self._line, key=lambda line: line.choice, id="choices")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VirtualList).styles.height = len(NAMES)
        self._show()

    def on_virtual_list_selected(self) -> None:
        self.action_change(1)

    def action_change(self, step: int) -> None:
        line = self.query_one(VirtualList).row
        if line is not None:
            self._board.action_next(line.choice, step)
            self._show()

    def _show(self) -> None:
        choices = self._board.choices
        self.query_one(VirtualList).set_rows([_Line(choice, choices.told(choice)) for choice in get_args(Choice)])

    def _line(self, line: _Line, width: int) -> Text:
        muted = inks(self.app).muted
        value = clip(line.value, max(1, width - _NAME_COLUMNS - 4))
        return Text.assemble(NAMES[line.choice].ljust(_NAME_COLUMNS), ("‹ ", muted), value, (" ›", muted))


class Picked(NamedTuple):
    """The group that was picked; None is all questions."""

    group: Group | None


class GroupPicker(ModalScreen[Picked]):
    """All questions, then each category and cluster with its number of questions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pick", "Only these", priority=True),
        Binding("escape,c,q", "dismiss", "As it is"),
    ]

    def __init__(self, groups: Sequence[Group], chosen: Group | None) -> None:
        super().__init__()
        self._rows = [Picked(None), *map(Picked, groups)]
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Which questions count\n", style="bold"))
            yield VirtualList[Picked](self._line, id="groups")
        yield KeyBar()

    def on_mount(self) -> None:
        groups = self.query_one(VirtualList)
        groups.styles.height = min(len(self._rows), max(3, self.app.size.height - 9))
        groups.set_rows(self._rows)
        groups.move_to_key(Picked(self._chosen))

    def on_virtual_list_selected(self) -> None:
        self.action_pick()

    def action_pick(self) -> None:
        self.dismiss(self.query_one(VirtualList).row)

    def _line(self, row: Picked, width: int) -> Text:
        ink, group = inks(self.app), row.group
        mark = ("(x) ", ink.accent) if group == self._chosen else ("( ) ", ink.muted)
        if group is None:
            return Text.assemble(mark, "all questions")
        count = str(group.questions)
        room = max(1, width - 4 - 10 - len(count) - 1)
        name = clip(one_line(group.name), room)
        blanks = " " * (room - text_width(name) + 1)
        return Text.assemble(mark, (f"{group.kind:<10}", ink.muted), name, blanks, (count, ink.muted))
