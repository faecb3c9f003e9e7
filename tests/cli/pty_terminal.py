"""A terminal for the real program: a pseudo-terminal whose other end is read all the time and drawn by pyte."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

PATIENCE = 90.0  # seconds; a condition that holds ends a wait at once, so only a failure takes as long
KEYS = {"enter": "\r", "escape": "\x1b", "tab": "\t", "ctrl+p": "\x10"}
KEYS |= {"end": "\x1b[F", "left": "\x1b[D", "right": "\x1b[C"}

# Has the terminal hang up on the program when it goes away, as on a login shell's job, and becomes the program.
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# What pyte draws as text though a terminal would not: the kitty protocol's requests, and questions about modes.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[a-z]|\x1b\[\?[0-9;]*\$p")


class Terminal:
    """One program in a terminal of its own. `written` is every byte that it sent there."""

    def __init__(
        self, command: Sequence[str], folder: Path, *, size: tuple[int, int] = (80, 24), **variables: str
    ) -> None:
        columns, lines = size
        self.written = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self._rest = b""  # the beginning of a sequence whose end has not come yet
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=_environment(variables),
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What stands on the screen."""
        with self._changed:
            return "\n".join(self._screen.display)

    def press(self, *keys: str) -> None:
        """Type keys: characters, or names of `KEYS`."""
        for key in keys:
            os.write(self._ours, (key if len(key) == 1 else KEYS[key]).encode())

    def wait_for(self, *texts: str, absent: str = "") -> str:
        """Until all `texts` stand on the screen, and `absent` does not; gives what stands there then."""
        return self.wait(
            lambda shown: all(text in shown for text in texts) and not (absent and absent in shown),
            " and ".join(map(repr, texts)) + (f" without {absent!r}" if absent else ""),
        )

    def wait(self, condition: Callable[[str], object], what: str) -> str:
        """Until `condition` holds for the text on the screen."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not condition(shown := "\n".join(self._screen.display)):
                if not self._changed.wait(max(0.0, min(1.0, deadline - time.monotonic()))):
                    assert time.monotonic() < deadline, f"{what} never came:\n{shown}"
        return shown

    def ended(self) -> int:
        """Wait for the end of the program; its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(10)
        return code

    def hang_up(self) -> None:
        """Let the connection break, as a closed window or a lost SSH session does."""
        self._shut()

    def close(self) -> None:
        """End whatever still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._shut()

    def _shut(self) -> None:
        ours, self._ours = self._ours, -1
        self._reader.join(10)
        if ours >= 0:
            os.close(ours)

    def _read(self) -> None:
        while (ours := self._ours) >= 0:
            try:
                if not select.select([ours], [], [], 0.1)[0]:
                    continue
                data = os.read(ours, 1 << 16)
            except (OSError, ValueError):  # the other side, or we, have closed it
                break
            if not data:
                break
            with self._changed:
                self.written += data
                self._draw(data)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _draw(self, data: bytes) -> None:
        data = self._rest + data
        cut = data.rfind(b"\x1b")
        self._rest = (
            data[cut:] if cut >= 0 and len(data) - cut < 16 and not re.search(rb"[A-Za-z]", data[cut:]) else b""
        )
        data = data[: len(data) - len(self._rest)]
        with contextlib.suppress(UnicodeDecodeError):
            self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TMUX", "STY")}
    return {**plain, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1", **variables}
