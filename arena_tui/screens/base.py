"""What all full screens share: the top and bottom lines, the session, states painted at 4 Hz, and errors as notices."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.worker import Worker

from arena_tui.live.session import ArenaSession, Status
from arena_tui.modes import MODES
from arena_tui.widgets.key_bar import KeyBar
from arena_tui.widgets.title_bar import TitleBar
from engine.errors import ArenaError
from engine.work.progress import RunState

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp

_WORDS: dict[Status, str] = {
    "opening": "opening",
    "idle": "ready",
    "running": "running",
    "paused": "paused",
    "stopping": "stopping",
    "following": "following",
}


class ArenaScreen(Screen[None]):
    """A screen of one mode.

    Subclasses give their `MODE` (a name in `arena_tui.modes.MODES`) and `HELP` (what the screen is for, shown by `?`),
    compose their widgets in `compose_body`, and paint in `show_state`.
    """

    MODE: ClassVar[str] = ""
    HELP: ClassVar[str] = ""

    def compose(self) -> ComposeResult:
        tabs = [(mode.key, mode.title, mode.short) for mode in MODES]
        yield TitleBar(tabs, next((mode.key for mode in MODES if mode.name == self.MODE), ""))
        yield from self.compose_body()
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """The widgets between the top and the bottom line."""
        raise NotImplementedError

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    @property
    def session(self) -> ArenaSession:
        return self.arena.session

    async def ready(self) -> None:
        """Wait until there is what the actions of this screen act on."""

    def show_state(self, state: RunState) -> None:
        """Paint `state`. Called when this screen comes up, and four times a second while something goes on."""

    def paint(self, state: RunState) -> None:
        """Paint the top line and the rest, once they are there."""
        if not self.query(TitleBar):
            return
        session = self.session
        bench = session.bench.name if session.is_open else "arena-tui"
        what = state.doing if session.status in ("running", "following") else _WORDS[session.status]
        notices = ["SIMULATED"] if session.demo else []
        notices += ["READ-ONLY"] if session.read_only else []
        self.query_one(TitleBar).show(f"{bench} · {what}", " ".join(notices))
        self.show_state(state)

    def on_screen_resume(self) -> None:
        self.paint(self.session.state)

    def attempt(self, work: Coroutine[Any, Any, object], *, group: str = "default") -> Worker[None]:
        """Do `work` in the background, one of a `group` at a time; an error becomes a notice."""
        attempt = Attempt(work, self.arena.tell)
        return self.run_worker(attempt, group=group, exclusive=True, exit_on_error=False)


class Attempt:
    """Awaits `work` once; an error is told. Work that is called off before it begins is put away quietly."""

    def __init__(self, work: Coroutine[Any, Any, object], tell: Callable[[ArenaError], object]) -> None:
        self._work = work
        self._tell = tell

    def __await__(self) -> Generator[Any, None, None]:
        return self._do().__await__()

    def __del__(self) -> None:
        self._work.close()

    async def _do(self) -> None:
        try:
            await self._work
        except ArenaError as error:
            self._tell(error)
        except Exception as error:  # a defect of one screen must not end a run that has hours behind it
            self._tell(ArenaError(f"a defect of arena-tui: {error!r}", "the run is not touched by this"))
