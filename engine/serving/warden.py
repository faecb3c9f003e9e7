"""Run one server and make sure that no process of it is left: `python warden.py GRACE MARK PROGRAM ARGUMENT...`

A process of its own between arena-tui and the server, so that the server stops even if arena-tui is killed (-9). It
gives the server a session and reads orders from a pipe of its owner, which closes when the owner exits. Standard
library only (no psutil): it starts in milliseconds with `-I -S` and does not depend on an environment that may change.

  stdin   one word a line: `interrupt`, `terminate` (ask the server to stop), `kill`; `serving` (from now on SIGTERM is
          the signal that stops the server). End of file: the owner is gone.
  stdout  the output of the server, both of its streams
  stderr  reports: `session ID` (also the process group), `failed WHY` (not started), `exited CODE`, `empty`

vLLM is a tree of processes. While it starts, it handles SIGINT and loses SIGTERM; once it serves, SIGTERM is right; if
its parent is killed or crashes, the engine's processes keep running and keep the GPU's memory. So after the exit of the
parent, and `GRACE` seconds after the order to stop, everything left of it is killed: its session, all descendants of
this process (orphans become its children), and whatever has `MARK` in its environment. Processes that it starts in
sessions of their own, as Ray does, are among them.
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
LEFTOVERS_SECONDS = 5.0  # for processes that outlive the parent, most of which are about to exit
LARGEST_BACKLOG = 1 << 20  # bytes of output not yet read by the owner; more is dropped
MARK = "ARENA_TUI_SERVER"  # the environment variable of all processes of a server
SET_CHILD_SUBREAPER = 36  # prctl: orphans of the server become our children, so that we see them exit


def members(session: int, mark: str, parent: int = 0) -> list[int]:
    """Return the live processes of a server, without zombies (their memory is free).

    They are those of its session, those with `mark` in their environment, the children of `parent`, and all descendants
    of these. Without /proc: minus the id of its process group while that exists, which `kill` accepts.
    """
    found = []
    if not os.path.isdir("/proc/self"):
        with contextlib.suppress(OSError):
            os.killpg(session, 0)
            found.append(-session)
        return found
    children: dict[int, list[int]] = {}
    alive = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as stat:
                state, its_parent, _group, its_session = stat.read().rpartition(b")")[2].split()[:4]
                pid = int(name)
                children.setdefault(int(its_parent), []).append(pid)
                if state not in (b"Z", b"X"):
                    alive.add(pid)
                if int(its_session) == session or (parent and int(its_parent) == parent) or has_mark(pid, mark):
                    found.append(pid)
    seen = set(found)
    for pid in found:  # grows
        new = [child for child in children.get(pid, ()) if child not in seen]
        seen.update(new)
        found += new
    return [pid for pid in found if pid in alive and pid != os.getpid()]


def has_mark(pid: int, mark: str) -> bool:
    """Return whether a process was started with the mark; programs that set their title may lose it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return f"{MARK}={mark}".encode() in stream.read().split(b"\0")
    except OSError:  # gone, or of another user
        return False


class Warden:
    """One server from its start to the end of its last process."""

    def __init__(self, command: list[str], grace: float, mark: str) -> None:
        self.mark = mark
        self.grace = grace
        self.server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
            env={**os.environ, MARK: mark},
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
            if self.ended is not None and not self.left():
                self.read_output()
                self.flush()
                report("empty")
                return self.ended if self.ended >= 0 else 128 - self.ended

    def read_orders(self) -> None:
        orders = read(sys.stdin.fileno())
        if orders == b"":
            self.selector.unregister(sys.stdin.fileno())
            self.end("terminate" if self.serving else "interrupt")
        for word in (orders or b"").decode("ascii", "replace").split():
            if word == "serving":
                self.serving = True
            else:
                self.end(word)

    def end(self, how: str) -> None:
        """Ask the server to stop, or kill it."""
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
        """Reap the server and its orphans."""
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                if reaped[0] == self.server.pid:
                    self.ended = self.server.returncode = os.waitstatus_to_exitcode(reaped[1])
                    report(f"exited {self.ended}")
                    self.signal_all(signal.SIGTERM)
                    self.kill_by(time.monotonic() + LEFTOVERS_SECONDS)

    def left(self) -> list[int]:
        return members(self.session, self.mark, os.getpid())

    def signal_all(self, number: int) -> None:
        for process in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def read_output(self) -> None:
        while chunk := read(self.output):
            if self.listens and len(self.backlog) < LARGEST_BACKLOG:
                self.backlog += chunk
            if len(chunk) < 65536:
                return
        if chunk == b"":
            with contextlib.suppress(KeyError):
                self.selector.unregister(self.output)

    def pass_on(self) -> None:
        """Write what the owner can take; an owner that does not read must not block the server."""
        if self.backlog and self.listens:
            try:
                del self.backlog[: os.write(sys.stdout.fileno(), self.backlog)]
            except BlockingIOError:
                pass
            except OSError:  # the owner is gone
                self.listens = False
                self.backlog.clear()

    def flush(self) -> None:
        deadline = time.monotonic() + 1.0
        while self.backlog and self.listens and time.monotonic() < deadline:
            self.pass_on()


def read(stream: int) -> bytes | None:
    """Read without blocking; None if there is nothing yet, empty at the end."""
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
    """Become the parent of the server's orphans, where the system can."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> int:
    # Signals that end the programs of a terminal must not end this one before the server is gone. Handlers, unlike
    # ignored signals, are not inherited: an ignored SIGINT would stay ignored in vLLM.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    try:
        warden = Warden(sys.argv[3:], float(sys.argv[1]), sys.argv[2])
    except OSError as error:
        report(f"failed {error.strerror}")
        return 127
    return warden.run()


if __name__ == "__main__":
    sys.exit(main())
