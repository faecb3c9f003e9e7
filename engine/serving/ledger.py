"""Which servers arena-tui runs on this machine, on disk: so that the next start finds what a sudden end left behind.

A warden ends its server when its owner is gone. Only when both are killed at once does a server live on; then the file
of the server is still there, and nobody who wrote it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import msgspec

from engine.serving import warden

GRACE_SECONDS = 5.0


class _Entry(msgspec.Struct):
    """A server and its warden, each by pid and start time: a pid alone may be another process's by now."""

    host: str
    boot: str
    name: str
    session: int
    session_began: str
    warden: int
    warden_began: str


def note(folder: Path, name: str, session: int, keeper: int) -> Path | None:
    """Write down a server that has just been started; the file to remove when it is gone. None where that cannot be."""
    entry = _Entry(socket.gethostname(), _boot(), name, session, _began(session), keeper, _began(keeper))
    file = folder / f"server-{session}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(entry))
    except OSError:
        return None
    return file


def end_orphans(folder: Path) -> list[str]:
    """End every server in the ledger that nobody keeps any more; their names. Takes seconds: not for the event loop."""
    ended = []
    for file in folder.glob("server-*.json"):
        try:
            entry = msgspec.json.decode(file.read_bytes(), type=_Entry)
        except (OSError, msgspec.DecodeError):
            continue
        if entry.host != socket.gethostname():
            continue  # a folder that machines share
        is_here = entry.boot == _boot() and _began(entry.session) in (entry.session_began, "")
        if entry.boot == _boot() and entry.warden_began and _began(entry.warden) == entry.warden_began:
            continue  # it has its warden
        if is_here and warden.members(entry.session):
            _end(entry.session)
            ended.append(entry.name)
        file.unlink(missing_ok=True)
    return ended


def _end(session: int) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    number = signal.SIGTERM
    while members := warden.members(session):
        for process in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        if time.monotonic() > deadline + GRACE_SECONDS:
            return  # somebody else's, or one that even the system cannot end
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        time.sleep(warden.LOOK_SECONDS)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _began(process: int) -> str:
    """When a process began, in ticks since the machine did; empty if it is not there, or nobody tells.

    A zombie is not there: it stays until its parent has looked, which takes as long as that likes.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return ""
