"""Keys in the order in which they were typed: the next one goes out when the last one has had its effect.

Textual hands a key to the widget that has the focus when the key arrives. Of several keys in one packet (fast typing, a
paste, a slow connection) the second then goes to the screen that the first is about to leave, or is lost while the new
screen is being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from textual import events
from textual.app import App, ScreenStackError
from textual.message_pump import MessagePump

_PATIENCE = 1.0  # seconds for a widget to handle a key, or for a screen to be made
_LOOKS = 100  # at the focus


class KeyQueue:
    """Delivers keys one at a time. `deliver` hands a key to Textual."""

    def __init__(self, app: App[None], deliver: Callable[[events.Key], Awaitable[None]]) -> None:
        self._app = app
        self._deliver = deliver
        self._waiting: asyncio.Queue[events.Key] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def put(self, key: events.Key) -> None:
        """Deliver `key` after those before it."""
        self._waiting.put_nowait(key)

    async def _run(self) -> None:
        with suppress(ScreenStackError):  # the app has ended
            while True:
                await self._deliver_one(await self._waiting.get())

    async def _deliver_one(self, key: events.Key) -> None:
        """Deliver a key and wait for its effect; what the widget does not use goes up to the app."""
        target = self._app.focused or self._app.screen
        try:
            await self._deliver(key)
        except Exception as error:  # as for an error in a handler of Textual's
            self._app._handle_exception(error)
        for node in target.ancestors_with_self:
            await _done(node)
        await self._focused()

    async def _focused(self) -> None:
        """Wait until the screen is made and, if it has something to focus, that has the focus."""
        screen = self._app.screen
        for _ in range(_LOOKS):
            if screen.is_mounted and (screen.focused is not None or not screen.focus_chain):
                break
            await asyncio.sleep(_PATIENCE / _LOOKS)
        await _done(screen)


async def _done(pump: MessagePump) -> None:
    """Wait until a widget or screen has handled what it was sent so far; a new screen is made and focused by then."""
    done = asyncio.Event()
    if pump.call_later(done.set):
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _PATIENCE)
