"""The log of one server, on disk: bounded in size, without secrets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from engine.models.endpoint import KEY_SHOWN_AS, LEAST_SECRET

LARGEST = 4 << 20  # bytes; then the file becomes `NAME.log.1`, in place of the one before
KEPT_LINES = 5000  # of the start that goes on, in which its cause of failure is looked for


class ServerLog:
    """Appends lines to a file. A disk that is full costs the log, not the run: `problem` then says what went wrong."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.problem = ""
        self._secrets = sorted({s for s in secrets if len(s) >= LEAST_SECRET}, key=len, reverse=True)
        self._size = path.stat().st_size if path.exists() else 0

    def begin(self, title: str) -> None:
        """A new start: forget the lines of the one before."""
        self.lines.clear()
        self._append(f"=== {time.strftime('%Y-%m-%d %H:%M:%S')} {self._redacted(title)}")

    def write(self, line: str) -> None:
        """Keep a line."""
        line = self._redacted(line)
        self.lines.append(line)
        self._append(line)

    def _redacted(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, KEY_SHOWN_AS)
        return line

    def _append(self, line: str) -> None:
        told = f"{line}\n".encode()
        try:
            if self._size + len(told) > LARGEST:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                self._size = 0
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(told)
            self._size += len(told)
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
