"""Dialogs that several screens open: details of one thing, help, and the question before quitting a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import Vertical, VerticalScroll
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
_LEFT_OUT = ("screen.copy_text",)  # of every Textual screen, but no text can be selected here
_TITLES = ("On this screen", "Moving", "Everywhere")


class _Key(NamedTuple):
    """One action with its keys; without keys, the title of a group."""

    keys: str
    description: str


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
                yield Static(Text(self._about + "\n"))
            yield VirtualList[_Key](_line, id="help-keys")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        keys = self.query_one(VirtualList)
        keys.set_rows(self._keys)
        keys.styles.height = min(len(self._keys), max(4, self.app.size.height - 12))


def _line(key: _Key, width: int) -> Text:
    if not key.keys:
        return Text(key.description, Style(underline=True))
    shown = f"  {key.keys}".ljust(_KEY_COLUMNS)
    return Text.assemble((shown, Style(bold=True)), clip(key.description, width - len(shown)))


def _keys(below: Screen[object]) -> Iterator[_Key]:
    """Yield the keys of the screen, then those that only move, then those of all screens."""
    groups: dict[str, dict[str, tuple[list[str], str]]] = {title: {} for title in _TITLES}
    for active in below.active_bindings.values():
        binding = active.binding
        if not binding.description or not active.enabled or binding.system or binding.action in _LEFT_OUT:
            continue
        keys, _ = groups[_group(active, below)].setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(below.app.get_key_display(binding))
    for title, found in groups.items():
        if found:
            yield _Key("", title)
        for keys, description in found.values():
            yield _Key(" ".join(keys), description)


def _group(active: ActiveBinding, below: Screen[object]) -> str:
    if active.node is below.app:
        return _TITLES[2]
    is_moving = active.binding.action.startswith("app.focus")  # moves to the next list
    return _TITLES[0] if active.binding.show or (active.node is below and not is_moving) else _TITLES[1]


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
