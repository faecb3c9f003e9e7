"""What the screens on judgments share: the library of the session, read again whenever its files have grown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.message import Message

from arena_tui.screens.base import ArenaScreen
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.review.library import Library

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
