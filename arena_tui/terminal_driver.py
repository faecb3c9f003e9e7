"""A Textual driver for terminals that may stall or disappear, without blocking the event loop.

Textual's own driver blocks the loop once thirty writes are pending. Over SSH a terminal may stall for minutes, and the
run would stall with it. This one drops frames that cannot be written, and repaints once the terminal accepts text.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from arena_tui.safe_text import one_line

MOST_WAITING = 1 << 20  # characters; a whole screen takes about 20,000
_CLOSING_SECONDS = 1.0  # for the last frame to be written
_SAVE_TITLE, _RESTORE_TITLE = "\x1b[22;0t", "\x1b[23;0t"  # xterm's stack of titles (XTWINOPS)
_LONGEST_TITLE = 100  # characters
_WITHOUT_TITLE = ("linux", "dumb")  # terminals that would print it


class PatientStream:
    """A file whose `write` never blocks: a thread writes the text to `stream`.

    Pending text is dropped if it exceeds `most_waiting` characters; `repaint` is called (in that thread) once the
    terminal accepts text again. After a write error `lost` is True, and `gone` is called (in that thread).
    """

    def __init__(
        self,
        stream: TextIO,
        repaint: Callable[[], None],
        most_waiting: int = MOST_WAITING,
        gone: Callable[[], object] = lambda: None,
    ) -> None:
        self.lost = False
        self._gone = gone
        self._stream = stream
        self._repaint = repaint
        self._most_waiting = most_waiting
        self._waiting: list[str] = []
        self._size = 0
        self._dropped = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_pending, name="arena-terminal", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue `text`; never block or fail."""
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
        """Do nothing: the thread flushes after each write."""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Wait a moment for pending text to be written."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_CLOSING_SECONDS)

    def _write_pending(self) -> None:
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
                was_lost, self.lost = self.lost, True
                if not was_lost:
                    self._gone()
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
        self._terminal = cast("TextIO", self._file)
        self._is_suspended = False
        self._open_stream()

    def write(self, data: str) -> None:
        if not self._is_suspended:
            super().write(data)

    def suspend_application_mode(self) -> None:
        """Leave the terminal to another program, once all text is written; what is painted meanwhile is dropped."""
        super().suspend_application_mode()
        self._is_suspended = True

    def resume_application_mode(self) -> None:
        self._open_stream()
        self._is_suspended = False
        super().resume_application_mode()

    @property
    def _has_title(self) -> bool:
        return os.environ.get("TERM", "dumb") not in _WITHOUT_TITLE

    def start_application_mode(self) -> None:
        """Take the screen, and keep the user's title."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._has_title:
            self._stream.write(_SAVE_TITLE)

    def stop_application_mode(self) -> None:
        """Give the screen and the user's title back."""
        super().stop_application_mode()
        if self._has_title:
            self._stream.write(_RESTORE_TITLE)

    def set_title(self, text: str) -> None:
        """Set the title of the terminal's window and icon."""
        if self._has_title:
            self._stream.write(f"\x1b]0;{one_line(text)[:_LONGEST_TITLE]}\x07")

    def ring(self) -> None:
        """Ring the bell."""
        self._stream.write("\x07")

    def run_input_thread(self) -> None:
        try:
            super().run_input_thread()
        except OSError:
            self._app.post_message(TerminalLost())

    def hang_up(self) -> None:
        """Stop reading and writing, because the terminal is gone."""
        self._stream.lost = True
        self.exit_event.set()

    def close(self) -> None:
        super().close()
        self._stream.close()

    def _open_stream(self) -> None:
        self._stream = PatientStream(self._terminal, self._repaint, gone=self._report_lost)
        self._file = self._stream  # type: ignore[assignment]  # has the methods that Textual uses

    def _report_lost(self) -> None:
        """End the app: a terminal that closes without a signal fails to read only as an endless end of file."""
        with contextlib.suppress(RuntimeError):  # the app has ended
            self._app.call_later(self._app.post_message, TerminalLost())

    def _repaint(self) -> None:
        with contextlib.suppress(RuntimeError):  # the app has ended
            self._app.call_later(self._app.refresh, layout=True)
