"""Textual's terminal driver, made safe for a run: a terminal that stalls or goes away never holds up the event loop.

Textual's own blocks the loop once thirty writes wait for the terminal. Over SSH a terminal may stall for minutes, and
the engine would with it. Here frames that cannot be written are dropped, and the screen is painted anew when it can be.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

MOST_WAITING = 1 << 20  # characters; a whole screen takes about 20,000
_CLOSING_SECONDS = 1.0  # that a terminal is given to take the last frame


class PatientStream:
    """A file whose `write` only ever appends; a thread of its own carries the text to `stream`.

    What waits is dropped when it is more than `most_waiting`; once the terminal takes text again, `repaint` is called
    (from that thread). `lost` is True when the stream is gone for good.
    """

    def __init__(self, stream: TextIO, repaint: Callable[[], None], most_waiting: int = MOST_WAITING) -> None:
        self.lost = False
        self._stream = stream
        self._repaint = repaint
        self._most_waiting = most_waiting
        self._waiting: list[str] = []
        self._size = 0
        self._dropped = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._carry, name="arena-terminal", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take `text` to be written; never waits, never fails."""
        with self._changed:
            if self._size + len(text) > self._most_waiting:
                self._waiting.clear()
                self._size = 0
                self._dropped = True
            elif not self._dropped and not self.lost:
                self._waiting.append(text)
                self._size += len(text)
            self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """The thread flushes whatever it writes."""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Give what waits a moment to be written, then give up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_CLOSING_SECONDS)

    def _carry(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._dropped and not self._closed:
                    self._changed.wait()
                if not self._waiting and self._closed:
                    return
                text = "".join(self._waiting)
                self._waiting.clear()
                self._size = 0
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                self.lost = True
                return
            with self._changed:
                repaints, self._dropped = self._dropped, False
            if repaints:
                self._repaint()


class TerminalLost(Message):
    """The terminal is gone; the app should stop its run and end."""


class TerminalDriver(LinuxDriver):
    """Writes through a `PatientStream`, and posts `TerminalLost` to the app when reading fails."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._stream = PatientStream(cast("TextIO", self._file), self._paint_anew)
        self._file = self._stream  # type: ignore[assignment]  # as much of a file as the writer needs

    def run_input_thread(self) -> None:
        try:
            super().run_input_thread()
        except OSError:
            self._app.post_message(TerminalLost())

    def hang_up(self) -> None:
        """The terminal is known to be gone: read and write no more."""
        self._stream.lost = True
        self.exit_event.set()

    def close(self) -> None:
        super().close()
        self._stream.close()

    def _paint_anew(self) -> None:
        with contextlib.suppress(RuntimeError):  # the app has just ended
            self._app.call_later(self._app.refresh, layout=True)
