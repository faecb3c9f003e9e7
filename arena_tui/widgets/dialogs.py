"""Dialogs that several screens open: details of one thing, help, and the question before quitting a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from arena_tui.keys import SCROLLING, bind, closing
from arena_tui.safe_text import clip, one_line, readable
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import ArenaScreen
from arena_tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    pass


Facts: TypeAlias = Sequence[tuple[str, str]]  # names and values


class DetailsScreen(ModalScreen[None]):
    """A title, facts, and a text; scrolls if longer than the terminal."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *closing(),
        bind("apply", "dismiss", title="Back", tooltip="Back", show=False),
        *SCROLLING,
    ]

    def __init__(self, title: str, facts: Facts, text: str = "") -> None:
        super().__init__()
        self._title = title
        self._facts = facts
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(one_line(self._title), style="bold"))
            with VerticalScroll():
                yield Static(facts_text(self._facts))
                if self._text:
                    yield Static(Text("\n" + readable(self._text)))
        yield KeyBar()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def facts_text(facts: Facts) -> Text:
    """Return one fact a line, values aligned."""
    width = max((len(name) for name, _ in facts), default=0) + 2
    text = Text()
    for name, value in facts:
        text.append(("\n" if text.plain else "") + name.ljust(width), Style(dim=True))
        text.append(readable(value).replace("\n", "\n" + " " * width))
    return text


_KEY_COLUMNS = 18
_DIALOG_LINES, _LEAST_KEYS = 4, 3  # border and padding; rows of the list
_LEFT_OUT = ("screen.copy_text",)  # of every Textual screen, but no text can be selected here
_TITLES = ("On this screen", "Moving", "Everywhere")


class _Key(NamedTuple):
    """One action with its keys, and whether it can be done now; without keys, the title of a group."""

    keys: str
    description: str
    works_now: bool = True


class HelpScreen(ModalScreen[None]):
    """Shows the purpose and the bindings of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *closing("help"),
    ]

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._about = below.HELP if isinstance(below, ArenaScreen) else ""
        self._keys = list(_keys(below))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            if self._about:
                yield Static(Text(self._about + "\n"), classes="about")
            yield VirtualList[_Key](_line, id="help-keys")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        self.query_one(VirtualList).set_rows(self._keys)
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        if self.is_mounted:
            self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Give the keys the lines that the dialog has left, so that the list scrolls to its last one."""
        about = self.query(".about")
        taken = sum(widget.outer_size.height for widget in about) + _DIALOG_LINES
        room = (self.app.size.height - 1) * 9 // 10 - taken  # without the key bar
        self.query_one(VirtualList).styles.height = min(len(self._keys), max(_LEAST_KEYS, room))


def _line(key: _Key, width: int) -> Text:
    if not key.keys:
        return Text(key.description, Style(underline=True))
    shown = f"  {key.keys}".ljust(_KEY_COLUMNS)
    later = "" if key.works_now else " (not now)"
    description = clip(key.description, width - len(shown) - len(later)) + later
    return Text.assemble((shown, Style(bold=key.works_now)), (description, Style(dim=not key.works_now)))


def _keys(below: Screen[object]) -> Iterator[_Key]:
    """Yield the keys of the screen, then those that only move, then those of all screens."""
    groups: dict[str, dict[str, _Key]] = {title: {} for title in _TITLES}
    now = {(active.binding.key, active.binding.action) for active in below.active_bindings.values() if active.enabled}
    owners: dict[str, DOMNode] = {}  # by key; the node nearest to the focus has it
    for node, bindings in below._modal_binding_chain:
        for key, binding in bindings:
            is_left_out = not binding.description or binding.system or binding.action in _LEFT_OUT
            if is_left_out or owners.setdefault(key, node) is not node:
                continue
            found = groups[_group(node, binding, below)]
            before = found.get(binding.action)
            keys = [before.keys] if before else []
            found[binding.action] = _Key(
                " ".join([*keys, below.app.get_key_display(binding)]),
                binding.tooltip or binding.description,
                (key, binding.action) in now or bool(before and before.works_now),
            )
    for title, actions in groups.items():
        if actions:
            yield _Key("", title)
        yield from actions.values()


def _group(node: DOMNode, binding: Binding, below: Screen[object]) -> str:
    if node is below.app:
        return _TITLES[2]
    is_moving = binding.action.startswith("app.focus")  # moves to the next list
    return _TITLES[0] if binding.show or (node is below and not is_moving) else _TITLES[1]


QuitChoice: TypeAlias = Literal["leave", "stop"]

_QUESTION = """A run is in progress.

  Q       leave it running: it goes on without this
          terminal; arena-tui shows it again, and
          arena-tui stop ends it
  Enter   stop it and quit: finished records are saved,
          and the next run resumes from there
          (calls in flight get {:.0f} s; q again aborts them)
  Escape  continue here"""


_STOP_QUESTION = """Stop the run?

  Enter   stop it: finished records are kept, and
          the next run resumes from there
          (calls in flight get {:.0f} s; S again aborts them)
  Escape  continue the run"""


class StopScreen(ModalScreen[bool]):
    """Returns True if the run should be stopped."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("apply", "answer(True)", title="Stop"),
        *closing(action="answer(False)", title="Continue"),
    ]

    def compose(self) -> ComposeResult:
        from engine.run import GRACE_SECONDS  # imports much that the first frame does not need

        with Vertical(classes="dialog"):
            yield Static(Text(_STOP_QUESTION.format(GRACE_SECONDS)))
        yield KeyBar()

    def action_answer(self, agreed: bool) -> None:
        self.dismiss(agreed)


class QuitScreen(ModalScreen[QuitChoice | None]):
    """Returns what becomes of the run, or None if the user stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("leave_running", "answer('leave')"),
        bind("apply", "answer('stop')", title="Stop and quit"),
        *closing(action="answer('')", title="Continue"),
    ]

    def compose(self) -> ComposeResult:
        from engine.run import GRACE_SECONDS  # imports much that the first frame does not need

        with Vertical(classes="dialog"):
            yield Static(Text(_QUESTION.format(GRACE_SECONDS)))
        yield KeyBar()

    def action_answer(self, choice: QuitChoice | Literal[""]) -> None:
        self.dismiss(choice or None)
