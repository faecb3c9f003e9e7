"""Runs one server and sees to it that nothing of it is left: `python warden.py GRACE PROGRAM ARGUMENT...`

A process of its own, so that the server ends even when arena-tui is killed (-9) and can end nothing itself. It stands
between the two: a session for the server, a pipe from the owner that says what to do, and that closes when the owner is
no more. Standard library only, for it must start in a moment.

  stdin   a word a line: `interrupt`, `terminate` (ask the server to end), `kill`; `serving` (which of the two signals
          the server takes from now on). The end of the file means that the owner is gone.
  stdout  what the server writes, both of its streams
  stderr  reports: `session ID` (also its process group), `failed WHY` (it could not be started), `exited CODE`, `empty`

vLLM is a tree of processes. While it starts, it takes SIGINT and loses SIGTERM; once it serves, SIGTERM is right; and
when its parent is killed, or crashes, the engine's processes live on with the GPU's memory. So after the parent's end,
whatever ended it, and `GRACE` seconds after it was asked to end, all that is left of its session is killed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time

LOOK_SECONDS = 0.1
LEFTOVERS_SECONDS = 5.0  # for processes that outlive the server's own, which mostly are just about to end
LARGEST_BACKLOG = 1 << 20  # bytes of output that the owner has not read; more is dropped
SET_CHILD_SUBREAPER = 36  # prctl: orphans of the server become our children, so that we see them end


def members(session: int) -> list[int]:
    """The live processes of a session. Zombies are not: their memory is free.

    Where there is no /proc to tell, minus the number of its process group, as long as there is one: `kill` takes that.
    """
    found = []
    if not os.path.isdir("/proc/self"):
        with contextlib.suppress(OSError):
            os.killpg(session, 0)
            found.append(-session)
        return found
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as stat:
                state, _parent, _group, its_session = stat.read().rpartition(b")")[2].split()[:4]
                if int(its_session) == session and state not in (b"Z", b"X"):
                    found.append(int(name))
    return found


class Warden:
    """One server from its start to the end of its last process."""

    def __init__(self, command: list[str], grace: float) -> None:
        self.grace = grace
        self.server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        self.session = self.server.pid
        self.ended: int | None = None
        self.serving = False
        self.kill_at: float | None = None
        self.backlog = bytearray()
        self.listens = True
        self.selector = selectors.DefaultSelector()
        for stream in (sys.stdin.fileno(), self.output):
            os.set_blocking(stream, False)
            self.selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(sys.stdout.fileno(), False)

    @property
    def output(self) -> int:
        assert self.server.stdout is not None
        return self.server.stdout.fileno()

    def run(self) -> int:
        report(f"session {self.session}")
        while True:
            for key, _ in self.selector.select(LOOK_SECONDS):
                if key.fd == self.output:
                    self.read_output()
                elif key.fd == sys.stdin.fileno():
                    self.read_orders()
            self.pass_on()
            self.reap()
            self.kill_when_due()
            if self.ended is not None and not members(self.session):
                self.read_output()
                self.flush()
                report("empty")
                return self.ended if self.ended >= 0 else 128 - self.ended

    def read_orders(self) -> None:
        told = read(sys.stdin.fileno())
        if told == b"":
            self.selector.unregister(sys.stdin.fileno())
            self.end("terminate" if self.serving else "interrupt")
        for word in (told or b"").decode("ascii", "replace").split():
            if word == "serving":
                self.serving = True
            else:
                self.end(word)

    def end(self, how: str) -> None:
        """Ask the server to end, or end it."""
        if how == "kill":
            self.kill_at = 0.0
        elif self.ended is None:
            os.kill(self.server.pid, signal.SIGTERM if how == "terminate" else signal.SIGINT)
        self.kill_by(time.monotonic() + self.grace)

    def kill_by(self, when: float) -> None:
        self.kill_at = when if self.kill_at is None else min(self.kill_at, when)

    def kill_when_due(self) -> None:
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.signal_all(signal.SIGKILL)

    def reap(self) -> None:
        """Take note of the server's end, and of its orphans'."""
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                if reaped[0] == self.server.pid:
                    self.ended = self.server.returncode = os.waitstatus_to_exitcode(reaped[1])
                    report(f"exited {self.ended}")
                    self.signal_all(signal.SIGTERM)
                    self.kill_by(time.monotonic() + LEFTOVERS_SECONDS)

    def signal_all(self, number: int) -> None:
        for process in members(self.session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def read_output(self) -> None:
        while told := read(self.output):
            if self.listens and len(self.backlog) < LARGEST_BACKLOG:
                self.backlog += told
            if len(told) < 65536:
                return
        if told == b"":
            with contextlib.suppress(KeyError):
                self.selector.unregister(self.output)

    def pass_on(self) -> None:
        """Give the owner what it takes; one that does not read must not hold up the server."""
        if self.backlog and self.listens:
            try:
                del self.backlog[: os.write(sys.stdout.fileno(), self.backlog)]
            except BlockingIOError:
                pass
            except OSError:  # nobody is there any more
                self.listens = False
                self.backlog.clear()

    def flush(self) -> None:
        deadline = time.monotonic() + 1.0
        while self.backlog and self.listens and time.monotonic() < deadline:
            self.pass_on()


def read(stream: int) -> bytes | None:
    """What can be read at once; None if there is nothing, empty at the end."""
    try:
        return os.read(stream, 65536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def report(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())


def adopt_orphans() -> None:
    """Become the parent of the server's orphans, where the system knows such a thing."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> int:
    # What ends a terminal's other programs must not end this one: it stays until the server is gone. Handlers, unlike
    # ignored signals, are not inherited: vLLM would never hear a SIGINT that we ignore.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    try:
        warden = Warden(sys.argv[2:], float(sys.argv[1]))
    except OSError as error:
        report(f"failed {error.strerror}")
        return 127
    return warden.run()


if __name__ == "__main__":
    sys.exit(main())
