"""What full screens share: title and key bar, the session, states painted at 4 Hz, errors as notices.

`LibraryScreen` adds the library of judgments, read again whenever its files have grown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

from textual.app import App, ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker

from arena_tui.safe_text import printable
from arena_tui.session.arena_session import ArenaSession, SessionStatus
from arena_tui.session.status import status_parts
from arena_tui.widgets.lines import KeyBar, TitleBar
from arena_tui.widgets.status_line import StatusLine
from engine.errors import ArenaError
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.review.library import Library

ModeName: TypeAlias = Literal["run", "leaderboard", "judgments", "review"]


class Mode(NamedTuple):
    """A screen the user reaches by number: `key` shows it; `title`, or `short` where space is short, names its tab."""

    name: ModeName
    key: str
    title: str
    short: str


MODES = (
    Mode("run", "1", "Run", "Run"),
    Mode("leaderboard", "2", "Leaderboard", "Board"),
    Mode("judgments", "3", "Judgments", "Judged"),
    Mode("review", "4", "Review", "Review"),
)
WIDE, ROOMY = 120, 170  # columns from which lists have their detail beside them, and a wider one
_SHORTEST_NOTICE, _LONGEST_NOTICE = 4.0, 8.0  # seconds
_READ_PER_SECOND = 12  # characters

_WORDS: dict[SessionStatus, str] = {
    "opening": "opening",
    "idle": "ready",
    "running": "running",
    "paused": "paused",
    "stopping": "stopping",
    "following": "following",
}


class ArenaScreen(Screen[None]):
    """A full screen on a session.

    Subclasses set `MODE` (the tab that is marked) and `HELP` (the purpose of the screen, shown by `?`), compose their
    widgets in `compose_body`, and paint in `show_state`.
    """

    MODE: ClassVar[ModeName]
    HELP: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide"), (ROOMY, "-roomy")]  # noqa: RUF012  # as Textual names it

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        tabs = [(mode.key, mode.title, mode.short) for mode in MODES]
        yield TitleBar(tabs, next((mode.key for mode in MODES if mode.name == self.MODE), ""))
        yield StatusLine()
        yield from self.compose_body()
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """Yield the widgets between the title bar and the key bar."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Wait until the data that the actions of this screen need are loaded."""

    def show_state(self, state: RunState) -> None:
        """Paint `state`. Called when the screen is shown, and up to four times a second while a run is active."""

    def paint(self, state: RunState) -> None:
        """Paint the title bar and the state, once all widgets are mounted, also those within others."""
        if not self.is_mounted:
            if self.is_attached:
                self.call_later(self._paint_now)  # handled after the mounting
            return
        if not self.query(StatusLine):
            return  # the screen is being taken down
        session = self.session
        session.measure()
        self.query_one(StatusLine).show(status_parts(session, session.now()))
        bench = session.bench.name if session.is_open else "arena-tui"
        what = state.doing if session.status in ("running", "following") else _WORDS[session.status]
        notices = ["SIMULATED"] if session.demo else []
        notices += ["READ-ONLY"] if session.read_only else []
        self.query_one(TitleBar).show(f"{bench} · {what}", " ".join(notices))
        self.show_state(state)

    def _paint_now(self) -> None:
        self.paint(self.session.state)

    def on_screen_resume(self) -> None:
        self.paint(self.session.state)

    def on_resize(self) -> None:
        """Paint what depends on the width: nothing else repaints an idle screen."""
        if self.is_mounted and self.is_current:
            self.paint(self.session.state)

    def attempt(self, work: Coroutine[Any, Any, object], *, group: str = "default") -> Worker[None]:
        """Run `work` in the background, one of each `group` at a time; an error becomes a notice."""
        return self.run_worker(Attempt(work, self.report), group=group, exclusive=True, exit_on_error=False)

    def report(self, problem: ArenaError | str) -> None:
        """Show a notice over this screen."""
        show_notice(self, problem)


def show_notice(over: App[Any] | Widget, problem: ArenaError | str, *, is_warning: bool = False) -> None:
    """Show an error or a message over the current screen, for as long as reading it takes."""
    is_error, text = isinstance(problem, ArenaError), printable(str(problem))
    seconds = max(_SHORTEST_NOTICE, min(_LONGEST_NOTICE, len(text) / _READ_PER_SECOND))
    over.notify(
        text,
        severity="error" if is_error else "warning" if is_warning else "information",
        timeout=_LONGEST_NOTICE if is_error else seconds,
        markup=False,
    )


class Attempt:
    """Await `work` once and report its error. Work that is cancelled before it starts is closed without a warning."""

    def __init__(self, work: Coroutine[Any, Any, object], report: Callable[[ArenaError], object]) -> None:
        self._work = work
        self._report = report

    def __await__(self) -> Generator[Any, None, None]:
        return self._do().__await__()

    def __del__(self) -> None:
        self._work.close()

    async def _do(self) -> None:
        try:
            await self._work
        except ArenaError as error:
            self._report(error)
        except Exception as error:  # a bug in one screen must not end a run of many hours
            self._report(ArenaError(f"bug in arena-tui: {error!r}", "the run is not affected"))


LOOK_SECONDS = 2.0  # between looks at the files
_SHARE_OF_TIME, _LONGEST_PAUSE = 0.05, 10.0  # for work repeated during a run, and seconds


class Pacer:
    """Spaces work that is repeated during a run: 2 to 10 s apart, so that slow work takes a twentieth of the time."""

    def __init__(self) -> None:
        self._started = float("-inf")
        self._seconds = 0.0

    def wait(self) -> float:
        """Return the seconds until the work may be repeated; 0 or less is now."""
        pause = max(LOOK_SECONDS, min(self._seconds / _SHARE_OF_TIME, _LONGEST_PAUSE))
        return self._started + pause - time.monotonic()

    def start(self) -> None:
        """Note that the work starts now."""
        self._started = time.monotonic()

    async def measure(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work` and note how long it takes."""
        began = time.monotonic()
        await work()
        self._seconds = time.monotonic() - began


class LibraryScreen(ArenaScreen):
    """Subclasses paint the library in `show_library`, called whenever it has changed."""

    class Grown(Message):
        """Part of the library has been read."""

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self.is_read = False  # all files, once
        self._is_reading = False
        self._first_read = asyncio.Event()
        self._shown: tuple[object, ...] = ()

    @property
    def library(self) -> Library:
        return self.session.library

    async def ready(self) -> None:
        await self._first_read.wait()

    def show_library(self) -> None:
        """Paint the library as read so far."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self.look)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.look()

    def show_state(self, state: RunState) -> None:
        if not self.is_read:
            self.look()

    def look(self) -> None:
        """Read what was appended, unless a read is in progress."""
        if not self.is_current or not self.session.is_open:
            return
        if not self._is_reading:
            self._is_reading = True
            self.attempt(self._read(), group="library")

    async def _read(self) -> None:
        try:
            await asyncio.to_thread(self.library.refresh, self._post_growth)
        finally:
            self._is_reading = False
            self.is_read = True
            self._first_read.set()
            self._show_news()

    def _post_growth(self) -> None:
        self.post_message(self.Grown())

    def on_library_screen_grown(self) -> None:
        self._show_news()

    def _show_news(self) -> None:
        library = self.library
        shown = library, library.entries, library.marks, self.is_read
        if not self._shown or any(one is not other for one, other in zip(shown, self._shown, strict=True)):
            self._shown = shown
            self.show_library()
