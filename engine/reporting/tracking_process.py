"""The process of the trackers: reads messages from stdin, and has a thread for each tracker, so that one that hangs
holds up no other.

What a library prints goes to stderr, which is a log file. Problems go to the run, a line each on what was stdout.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from typing import BinaryIO

from engine.reporting.backends import BACKENDS, Backend
from engine.reporting.wire import Begin, End, Log, Problem, TrackerMessage, Upload, decode, encode

_MOST_WAITING = 1000  # messages of one tracker


class TrackerThread:
    """One tracker: opens it when the first message comes, and again with each later one until it could be opened."""

    def __init__(self, name: str, begin: Begin, reports: BinaryIO) -> None:
        self._name = name
        self._begin = begin
        self._reports = reports
        self._messages: queue.Queue[TrackerMessage] = queue.Queue()
        self._backend: Backend | None = None
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.thread.start()

    def put(self, message: TrackerMessage) -> None:
        """Queue a message; leave out progress if many are waiting."""
        is_needed = not isinstance(message, Log) or message.is_needed
        if is_needed or self._messages.qsize() < _MOST_WAITING:
            self._messages.put(message)

    def _work(self) -> None:
        kept: list[TrackerMessage] = []  # for a tracker that cannot be opened yet
        while True:
            message = self._messages.get()
            kept.append(message)
            try:
                backend = self._backend = self._backend or BACKENDS[self._name](self._begin)
                while kept:
                    _carry_out(backend, kept.pop(0))
            except BaseException as error:
                self._report(error)
            kept = [each for each in kept if not isinstance(each, Log) or each.is_needed]
            if isinstance(message, End):
                return

    def _report(self, error: BaseException) -> None:
        traceback.print_exception(error)
        if isinstance(error, ModuleNotFoundError):
            text = f"not installed here ({error.name}): pip install 'arena-tui[{self._name}]'"
        else:
            text = f"{type(error).__name__}: {error}".partition("\n")[0]
        line = encode(Problem(self._name, text[:500])) + b"\n"
        os.write(self._reports.fileno(), line)


def _carry_out(backend: Backend, message: TrackerMessage) -> None:
    match message:
        case Log(point=point):
            backend.log(point)
        case Upload(path=path, name=name):
            backend.upload(path, name)
        case End(outcome=outcome):
            backend.end(outcome)


def main() -> None:
    """Read messages until the run ends them, or has ended itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    threads: list[TrackerThread] = []
    last: TrackerMessage | None = None
    for line in sys.stdin.buffer:
        last = decode.decode(line)
        if isinstance(last, Begin):
            threads = [TrackerThread(name, last, reports) for name in last.to]
            continue
        for each in threads:
            each.put(last)
    if not isinstance(last, End):  # the run was killed: keep what came
        for each in threads:
            each.put(End("killed"))
    for each in threads:
        each.thread.join()
    sys.stdout.flush()
    os._exit(0)  # not held up by threads that libraries leave behind


if __name__ == "__main__":
    main()
