"""A run as lines of JSON, for scripts and agents: its events, its progress once a second, and its result.

Every line is an object with `v` (the version of this format), `seq` (its number), `time` (Unix seconds) and `type`; the
other fields are those of the struct that `type` names: an event of `engine.events`, or a class of this module.
docs/events.md lists them all, made by docs/make_events.py from the structs themselves.

Events of single calls and records can be thousands a second. They are counted in `ProgressMade` instead, unless all
are wanted: `FREQUENT` names them. Of failed records the first of each kind have lines, of standings the decisions.

A thread writes, and some thousand lines wait for a slow reader; then lines that are not needed are left out and
counted, so that no reader slows a run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from engine.config.secrets import secrets_of
from engine.errors import UsageProblem
from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    Event,
    RecordFailed,
    RecordSaved,
    ServerSeen,
    Stage,
    StandingChanged,
)
from engine.redaction import Redactor
from engine.run import Run
from engine.version import __version__
from engine.work.progress import Phase, RunState, run_speed

VERSION: Final = 1
FREQUENT: Final = (CallStarted, CallEnded, CallRetried, RecordSaved, ServerSeen)
PROGRESS_SECONDS: Final = 1.0
FAILURES_OF_A_KIND: Final = 20
_WAITING_LINES = 4096
_LAST_SECONDS = 10.0  # that the last lines may take


class RunOpened(msgspec.Struct, frozen=True, tag=True):
    """The first line: which run it is. `record` is the file that holds the whole run once it has made a call."""

    version: str
    bench: str
    run: str
    pid: int
    record: str


class ProgressMade(msgspec.Struct, frozen=True, tag=True):
    """How far the run is; once a second while that changes, and at the end.

    Attributes:
        phase: as in the run's state.
        stages: those being worked on.
        calls: that have ended, well or not; `retries` of them were tried again.
        records: answers and judgments of this run; `cached` are of earlier ones, `failed` could not be made.
        total: records that there will be, unless a stop rule ends earlier.
        eta: seconds left at the present speed; null while unknown.
        left_out: lines that a slow reader did not get so far.
    """

    phase: Phase
    stages: tuple[Stage, ...]
    calls: int
    in_flight: int
    retries: int
    records: int
    cached: int
    failed: int
    total: int
    prompt_tokens: int
    completion_tokens: int
    calls_per_second: float
    tokens_per_second: float
    eta: float | None
    left_out: int


class RunResult(msgspec.Struct, frozen=True, tag=True):
    """The last line: the exit code of the command, and the leaderboard that `--json` prints, or null without one."""

    exit_code: int
    leaderboard: dict[str, Any] | None


LINES: Final = (RunOpened, ProgressMade, RunResult)
"""The lines that are no events of the engine."""


class LineWriter:
    """Writes lines to a file in a thread, and waits for no reader.

    `target` is a path, or "-" for stdout. Raises UsageProblem if the file cannot be opened. What cannot be written
    later (a closed pipe, a full disk) ends the lines, not the run.
    """

    def __init__(self, target: str) -> None:
        try:
            self._file = os.dup(1) if target == "-" else _open(target)
        except OSError as error:
            why = "no program reads this pipe" if error.errno == errno.ENXIO else error.strerror
            raise UsageProblem(f"--json-events {target}: {why}", "name a file in a folder that exists") from None
        self.left_out = 0
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="json-events", daemon=True)
        self._thread.start()

    def write(self, line: bytes, *, is_needed: bool) -> None:
        """Append a line; leave it out if thousands are waiting and it is not needed."""
        if not is_needed and self._lines.qsize() >= _WAITING_LINES:
            self.left_out += 1
        else:
            self._lines.put(line + b"\n")

    def close(self) -> None:
        """Write what is waiting, for some seconds at most."""
        self._lines.put(None)
        self._thread.join(_LAST_SECONDS)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (line := self._lines.get()) is not None:
                while line:
                    line = line[os.write(self._file, line) :]
        with contextlib.suppress(OSError):
            os.close(self._file)


class EventLines:
    """The lines of one run, or of several one after another.

    Args:
        every_call: also write the events in `FREQUENT`, all failures and all standings.
    """

    def __init__(self, writer: LineWriter, *, every_call: bool = False) -> None:
        self.writer = writer
        self._every_call = every_call
        self._redact: Callable[[str], str] = str
        self._number = 0
        self._failures: Counter[str] = Counter()
        self._decided: set[str] = set()
        self._shown = RunState(), 0.0

    def open(self, run: Run) -> None:
        """Begin the lines of a run, before it is executed."""
        self._redact = Redactor(secrets_of(run.config))
        self._failures.clear()
        self._decided.clear()
        self._shown = run.state, 0.0
        record = run.bench.paths.runs / f"{run.id}.json"
        self._line(RunOpened(__version__, run.bench.name, run.id, os.getpid(), str(record)), is_needed=True)
        run.listen(self.handle)

    def handle(self, event: Event) -> None:
        """Write an event, unless it is one of many alike."""
        if self._every_call:
            self._line(event, is_needed=not isinstance(event, FREQUENT))
        elif not isinstance(event, FREQUENT) and not self._is_repeated(event):
            self._line(event, is_needed=True)

    def show(self, state: RunState, *, at_end: bool = False) -> None:
        """Write the progress if it has changed and the last line of it is a second old, or at the end."""
        before, written = self._shown
        now = time.monotonic()
        if state != before and (at_end or now - written >= PROGRESS_SECONDS):
            self._shown = state, now
            self._line(_progress(before, state, now - written, self.writer.left_out), is_needed=at_end)

    def result(self, exit_code: int, leaderboard: dict[str, Any] | None) -> None:
        """Write the last line."""
        self._line(RunResult(exit_code, leaderboard), is_needed=True)

    def _is_repeated(self, event: Event) -> bool:
        if isinstance(event, RecordFailed):
            self._failures[event.kind] += 1
            return self._failures[event.kind] > FAILURES_OF_A_KIND
        if isinstance(event, StandingChanged):
            if event.standing.verdict == "undecided" or event.model in self._decided:
                return True
            self._decided.add(event.model)
        return False

    def _line(self, content: msgspec.Struct, *, is_needed: bool) -> None:
        self._number += 1
        head = {"v": VERSION, "seq": self._number, "time": round(time.time(), 3)}
        text = msgspec.json.encode(head | msgspec.to_builtins(content, enc_hook=str)).decode()
        self.writer.write(self._redact(text).encode(), is_needed=is_needed)


def _open(target: str) -> int:
    """Open a file, pipe or descriptor (/dev/fd/3) to append to. A pipe without a reader is an error, not a wait."""
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def _progress(before: RunState, state: RunState, seconds: float, left_out: int) -> ProgressMade:
    speed = run_speed(before, state, seconds)
    tasks = state.tasks.values()
    return ProgressMade(
        phase=state.phase,
        stages=state.stages,
        calls=state.calls,
        in_flight=state.in_flight,
        retries=sum(endpoint.retries for endpoint in state.endpoints.values()),
        records=sum(task.done for task in tasks),
        cached=sum(task.cached for task in tasks),
        failed=state.failed,
        total=sum(task.expected for task in tasks),
        prompt_tokens=state.prompt_tokens,
        completion_tokens=state.completion_tokens,
        calls_per_second=round(speed.calls_per_second, 3),
        tokens_per_second=round(speed.tokens_per_second, 3),
        eta=None if speed.eta is None else round(speed.eta, 1),
        left_out=left_out,
    )
