"""Leaves a terminal with a run on: the process that was started waits, and its child has the run.

A shell waits for the process that it started, so a run can only outlive a command in a child. The child is forked
before anything heavy is imported, which costs a few milliseconds, and the run never moves: calls in flight, servers,
locks and wardens stay in the one process that made them. The waiting process passes signals on and ends as the child
does, or with 0 as soon as the child releases it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from engine.opening import open_to_write

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Release:
    """What a child holds of the process that waits for it. Without one (no fork), nothing waits and nothing happens."""

    def __init__(self, pipe: int | None = None, alive: int | None = None) -> None:
        self._pipe = pipe
        self._alive = alive

    def watch(self, gone: Callable[[], None]) -> None:
        """Call `gone` in the running event loop if the waiting process was killed."""
        if self._alive is not None:
            import asyncio  # here, as everything that takes a command 30 ms to load

            loop, alive = asyncio.get_running_loop(), self._alive

            def take() -> None:
                loop.remove_reader(alive)
                gone()

            loop.add_reader(alive, take)

    def release(self) -> None:
        """Let the waiting process end with exit code 0."""
        if self._alive is not None:
            with contextlib.suppress(RuntimeError):
                import asyncio

                asyncio.get_running_loop().remove_reader(self._alive)
            os.close(self._alive)
            self._alive = None
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                os.write(self._pipe, b".")
            os.close(self._pipe)
            self._pipe = None


def in_child(work: Callable[[Release], int], *, new_session: bool = False) -> int:
    """Return what `work` returns in a child; this process waits for its end or its release and never comes back.

    With `new_session` the child has no terminal from the start, though it may still write to it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    alive, kept = os.pipe()
    try:
        child = os.fork()
    except OSError:
        return work(Release())
    if child:
        os.close(writing)
        os.close(alive)
        _wait(child, reading)
    os.close(reading)
    os.close(kept)
    if new_session:
        os.setsid()
    return work(Release(writing, alive))


def leave_terminal(log: Path) -> None:
    """Have this process write to `log`, read nothing, and belong to no terminal. Raises OSError."""
    log.parent.mkdir(exist_ok=True)
    target = open_to_write(log, os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for descriptor, to in ((nothing, 0), (target, 1), (target, 2)):
        os.dup2(descriptor, to)
    os.close(nothing)
    os.close(target)
    signal.setitimer(signal.ITIMER_REAL, 0)  # that a lost page of a browser has set
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()


def on_end_signals(action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` on SIGINT, SIGTERM and SIGHUP; see `on_signals`."""
    return on_signals(dict.fromkeys(_ENDING, action))


def on_signals(actions: Mapping[signal.Signals, Callable[[], None]]) -> Callable[[], None]:
    """Call the action of each signal when it arrives; return a function that undoes it.

    Signals that were ignored when the program started (`nohup` does that with SIGHUP) stay ignored.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    numbers = [number for number in actions if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, actions[number])

    def release() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return release


def _wait(child: int, released: int) -> NoReturn:
    """End as `child` does, or with 0 when it writes to `released`."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _pass_on(child, number))
    while True:
        ready, _, _ = select.select([released, woken], [], [])
        if released in ready:
            if os.read(released, 1):
                os._exit(0)
            _end(child, os.waitpid(child, 0)[1])  # it has closed the pipe: it is ending
        os.read(woken, 512)
        found, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)  # as the child was: the shell takes the terminal, until `fg`
            _pass_on(child, signal.SIGCONT)
        elif found:
            _end(child, status)


def _end(child: int, status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
