"""What follows the first frame: the session opens, or a welcome (first start) or a problem is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.safe_text import readable
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp


async def open_session(app: ArenaApp) -> None:
    """Open the session and show the plan; on a first start show the welcome, else tell what is wrong."""
    session = app.session
    if session.lacks_config:
        app.push_screen(WelcomeScreen())
        return
    try:
        if not session.is_open:
            await session.open()
        plan = await session.make_plan()
        if session.demo and plan.calls and not session.read_only:
            session.start()  # who asks for a demonstration wants to see it
    except ArenaError as error:
        if session.is_open and app.first_mode == "review":
            app.tell(error)  # reviewing what is there needs no plan
        else:
            app.push_screen(ProblemScreen(error))
    app.repaint_state()


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

        self._arena.run_worker(open_session(self._arena), exit_on_error=False)

    @property
    def _arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)


def _line(choice: _Choice, width: int) -> Text:
    return Text.assemble((choice.title.ljust(24), Style(bold=True)), choice.consequence)[:width]


class ProblemScreen(ModalScreen[None]):
    """Shows one error. `r` reads everything again, for when the file was mended meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Read again"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, problem: ArenaError) -> None:
        super().__init__()
        self._problem = problem

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static(Text(readable(title(self._problem)), style="bold"))
            if self._problem.hint:
                yield Static(Text(readable("\n" + phrase(self._problem.hint))))
            yield Static(Text("\nMend it, then press r to read everything again, or q to quit."))
        yield KeyBar()

    def action_again(self) -> None:

        self.dismiss()
        app = cast("ArenaApp", self.app)
        app.run_worker(open_session(app), exit_on_error=False)
