"""A server process under its warden, as a coroutine sees it: lines that come, orders that go, an end to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from engine.serving import warden
from engine.serving.startup import Lines

Order: TypeAlias = Literal["interrupt", "terminate", "kill", "serving"]
_PIECE = 1 << 16


class ServerProcess:
    """One server from its start to the end of its last process. Make it by `start`; always await `close`."""

    def __init__(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
        self.failure: str | None = None  # why it could not be started at all
        self.exit_code: int | None = None
        self.has_exited = asyncio.Event()
        self.session: int | None = None  # of the server, also its process group
        self.has_begun = asyncio.Event()  # or failed to
        self._is_empty = False
        self._process = process
        self._on_line = on_line
        self._readers = asyncio.gather(self._read_output(), self._read_reports())

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], grace: float, on_line: Callable[[str], None]
    ) -> ServerProcess:
        """Start `command`. It gets `grace` seconds to end when it is asked to; `on_line` gets what it writes."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(warden.__file__)), str(grace), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,  # what ends this program by its terminal must not end the warden
        )
        return cls(process, on_line)

    @property
    def warden(self) -> int:
        """The pid of the warden."""
        return self._process.pid

    def order(self, what: Order) -> None:
        """Tell the warden what to do; nothing where it is gone."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(f"{what}\n".encode())

    async def gone(self) -> None:
        """Wait until no process of the server is left."""
        await asyncio.shield(self._readers)
        await self._process.wait()
        if self.session is not None and not self._is_empty:  # the warden was killed: do its last duty
            while left := warden.members(self.session):
                for process in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process, signal.SIGKILL)
                await asyncio.sleep(warden.LOOK_SECONDS)
        self.has_exited.set()

    async def close(self) -> None:
        """End the server, politely first, and wait until nothing of it is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self.gone()

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        lines = Lines()
        while told := await self._process.stdout.read(_PIECE):
            for line in lines.feed(told):
                self._on_line(line)
        for line in lines.rest():
            self._on_line(line)

    async def _read_reports(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if word == "session":
                self.session = int(rest)
                self.has_begun.set()
            elif word == "failed":
                self.failure = rest
            elif word == "exited":
                self.exit_code = int(rest)
                self.has_exited.set()
            elif word == "empty":
                self._is_empty = True
        self.has_begun.set()
        self.has_exited.set()
