"""A server process under its warden: its start, its output lines, its end; the orphans of a crash; its port.

A warden stops its server when its owner exits. A server outlives both only if both are killed at once; the ledger file
that was written at its start then remains, and the next start stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
import psutil

from engine.bench.atomic import write_file
from engine.errors import ArenaError
from engine.serving import warden
from engine.serving.server_log import LineSplitter

WardenOrder: TypeAlias = Literal["interrupt", "terminate", "kill", "serving"]
ORPHAN_GRACE_SECONDS = 5.0
CLOCK_STEP_SECONDS = 2.0
LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_PORTS = range(18_000, 32_000)  # below the ports that systems give to outgoing connections
_LEAVE = """
import os, sys
if not os.fork():
    os.write(2, b"warden %d\\n" % os.getpid())
    os.execv(sys.argv[1], sys.argv[1:])
"""
_picked_ports: set[int] = set()  # a server binds its port seconds after it was picked


class ServerProcess:
    """One server from its start to the exit of its last process. Create it with `start`; always await `close`."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str, on_line: Callable[[str], None]) -> None:
        self.mark = mark  # in the environment of all its processes
        self.failure: str | None = None  # why it could not be started at all
        self.exit_code: int | None = None
        self.has_exited = asyncio.Event()
        self.session: int | None = None  # of the server, also its process group
        self.has_begun = asyncio.Event()  # or failed to
        self._is_empty = False
        self._process = process
        self.warden_pid = process.pid
        self._on_line = on_line
        self._readers = asyncio.gather(self._read_output(), self._read_reports())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        grace: float,
        on_line: Callable[[str], None],
        *,
        apart: bool = False,
    ) -> ServerProcess:
        """Start `command`; `on_line` receives each line of its output, `grace` is how many seconds it has to exit.

        With `apart` the warden is no child of this process, for one whose children are killed at its exit.
        """
        mark = secrets.token_hex(16)
        leave = ("-c", _LEAVE, sys.executable, "-I", "-S") if apart else ()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", *leave, str(Path(warden.__file__)), str(grace), mark, *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,  # what ends this program by its terminal must not end the warden
        )
        return cls(process, mark, on_line)

    def order(self, what: WardenOrder) -> None:
        """Send an order to the warden; do nothing if it has exited."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(f"{what}\n".encode())

    async def wait_gone(self) -> None:
        """Wait until no process of the server is left."""
        await asyncio.shield(self._readers)
        await self._process.wait()
        if self.session is not None and not self._is_empty:  # the warden was killed before it could finish
            while left := warden.members(self.session, self.mark):
                for pid in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(warden.LOOK_SECONDS)
        self.has_exited.set()

    async def close(self) -> None:
        """Stop the server, politely first, and wait until no process of it is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self.wait_gone()

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        lines = LineSplitter()
        while chunk := await self._process.stdout.read(_CHUNK_BYTES):
            for line in lines.feed(chunk):
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
            elif word == "warden":
                self.warden_pid = int(rest)
            elif word == "failed":
                self.failure = rest
            elif word == "exited":
                self.exit_code = int(rest)
                self.has_exited.set()
            elif word == "empty":
                self._is_empty = True
        self.has_begun.set()
        self.has_exited.set()


class _LedgerEntry(msgspec.Struct):
    """A server and its warden, each by pid and creation time: a pid alone may belong to a later process."""

    host: str
    name: str
    session: int
    session_created: float
    warden: int
    warden_created: float
    mark: str = ""


def record_server(folder: Path, name: str, session: int, warden_pid: int, mark: str) -> Path | None:
    """Write the ledger file of a started server; return it, or None if the folder cannot be written."""
    entry = _LedgerEntry(socket.gethostname(), name, session, _created(session), warden_pid, _created(warden_pid), mark)
    file = folder / f"server-{session}.json"
    try:
        write_file(file, msgspec.json.encode(entry))
    except ArenaError:
        return None
    return file


def stop_orphans(folder: Path) -> list[str]:
    """Stop every server of the ledger whose warden is gone; return their names.

    Takes seconds: call it in a thread.
    """
    stopped = []
    for file in folder.glob("server-*.json"):
        try:
            entry = msgspec.json.decode(file.read_bytes(), type=_LedgerEntry)
        except (OSError, msgspec.DecodeError):
            continue
        if entry.host != socket.gethostname():
            continue  # a folder that machines share
        if _is_alive(entry.warden, entry.warden_created):
            continue
        # The leader may have exited before the rest of its session; its id is not given to another session until then.
        is_ours = _created(entry.session) == 0.0 or _is_alive(entry.session, entry.session_created)
        if (
            is_ours
            and entry.session_created >= psutil.boot_time() - CLOCK_STEP_SECONDS
            and warden.members(entry.session, entry.mark)
        ):
            _stop_session(entry.session, entry.mark)
            stopped.append(entry.name)
        file.unlink(missing_ok=True)
    return stopped


def _stop_session(session: int, mark: str) -> None:
    deadline = time.monotonic() + ORPHAN_GRACE_SECONDS
    signal_number = signal.SIGTERM
    while members := warden.members(session, mark):
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal_number)
        if time.monotonic() > deadline + ORPHAN_GRACE_SECONDS:
            return  # a process of another user, or one that the system cannot end
        signal_number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        time.sleep(warden.LOOK_SECONDS)


def _created(pid: int) -> float:
    """Return when a process was created, in seconds of the epoch; 0 if it does not exist or is a zombie."""
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else process.create_time()
    except psutil.Error:
        return 0.0


def _is_alive(pid: int, created: float) -> bool:
    """Return whether the process that was created then still runs; a step of the clock shifts all times a little."""
    return created > 0.0 and abs(_created(pid) - created) < CLOCK_STEP_SECONDS


def pick_port(host: str = LOOPBACK) -> int:
    """Return a free port that was not picked before. Raises OSError if none is found."""
    for port in random.sample(_PORTS, 200):
        if port not in _picked_ports and is_free(port, host):
            _picked_ports.add(port)
            return port
    raise OSError("no free port found")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen on a port (0: on any) at an address of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def local_port(base_url: str) -> int | None:
    """Return the port of an address on this machine; None for another machine."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        is_local = ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        is_local = host == "localhost" or host == socket.gethostname()
    return (parts.port or (443 if parts.scheme == "https" else 80)) if is_local else None
