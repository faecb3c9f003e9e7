"""What full screens share: title and key bar, the session, states painted at 4 Hz, errors as notices.

`LibraryScreen` adds the library of judgments, read again whenever its files have grown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker

from arena_tui.modes import MODES
from arena_tui.session.arena_session import ArenaSession, Status
from arena_tui.widgets.lines import KeyBar, TitleBar
from engine.errors import ArenaError
from engine.work.progress import RunState

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp
    from engine.review.library import Library


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


LOOK_SECONDS = 2.0


class LibraryScreen(ArenaScreen):
    """Subclasses show the library in `show_library`, which is called whenever there is something new in it."""

    class Grown(Message):
        """There is more in the library, though not all is read yet."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = False  # whether all files have been read once
        self._is_reading = False
        self._first_read = asyncio.Event()
        self._shown: tuple[object, ...] = ()

    @property
    def library(self) -> Library:
        return self.session.library

    async def ready(self) -> None:
        await self._first_read.wait()

    def show_library(self) -> None:
        """Paint what the library holds now."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self.look)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.look()

    def show_state(self, state: RunState) -> None:
        if not self.is_read:
            self.look()

    def look(self) -> None:
        """Read what is new, unless that is being done, and show it. Another screen's reading is shown too."""
        if not self.is_current or not self.session.is_open:
            return
        if not self._is_reading:
            self._is_reading = True
            self.attempt(self._read(), group="library")

    async def _read(self) -> None:
        try:
            await asyncio.to_thread(self.library.refresh, self._tell_growth)
        finally:
            self._is_reading = False
            self.is_read = True
            self._first_read.set()
            self._show_news()

    def _tell_growth(self) -> None:
        self.post_message(self.Grown())

    def on_library_screen_grown(self) -> None:
        self._show_news()

    def _show_news(self) -> None:
        library = self.library
        shown = library, library.entries, library.marks, self.is_read
        if not self._shown or any(one is not other for one, other in zip(shown, self._shown, strict=True)):
            self._shown = shown
            self.show_library()
