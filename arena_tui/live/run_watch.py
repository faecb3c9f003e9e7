"""What a UI shows of a run beside its state: failures one by one, retries by cause, and how long calls take.

The watch listens to every event, so it only appends and counts; what it gathered is put in order when somebody looks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from arena_tui.advice import phrase
from arena_tui.live.server_words import ServerLines
from arena_tui.output.stop_rule import verdict_words
from engine.events import (
    CallEnded,
    CallRetried,
    Event,
    Notice,
    RecordFailed,
    RunEnded,
    ServerChanged,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
)
from engine.work.progress import EndpointKey

Level: TypeAlias = Literal["info", "warning", "error"]
KEPT_ENTRIES = 300  # of notices and of failures each, so that a flood of failures pushes out no notice
KEPT_SECONDS = 512  # latest calls of an endpoint that its quantiles are told from


class LogEntry(msgspec.Struct, frozen=True):
    """One line of the log. A failure tells its record, retries of one cause are one entry with their `count`."""

    number: int
    at: float  # unix seconds, of retries the last one
    level: Level
    text: str
    task: TaskKey | None = None
    question_id: str = ""
    kind: str = ""
    count: int = 1


class RunWatch:
    """Listens to one run. `version` changes whenever `entries` would give something else."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.version = 0
        self._now = now
        self._notices: deque[LogEntry] = deque(maxlen=KEPT_ENTRIES)
        self._failures: deque[LogEntry] = deque(maxlen=KEPT_ENTRIES)
        self._retries: dict[tuple[str, str, str], LogEntry] = {}
        self._seconds: dict[EndpointKey, deque[float]] = {}
        self._next = 0
        self._servers = ServerLines()
        self._opponent = ""
        self._decided: set[str] = set()

    def __call__(self, event: Event) -> None:
        kind = type(event)
        if kind is CallEnded:
            self._time_call(event)  # type: ignore[arg-type]  # told by its type
        elif kind is CallRetried:
            self._count_retry(event)  # type: ignore[arg-type]
        elif kind is RecordFailed:
            self._keep_failure(event)  # type: ignore[arg-type]
        elif kind is Notice:
            self.note(event.level, phrase(event.text), event.at)  # type: ignore[union-attr]
        elif kind is ServerChanged:
            if line := self._servers.line(event):  # type: ignore[arg-type]
                self.note("info", line, event.at)  # type: ignore[union-attr]
        elif kind is StandingChanged:
            self._tell_verdict(event)  # type: ignore[arg-type]
        elif kind is StopRuleSet:
            self._opponent = event.opponent  # type: ignore[union-attr]
        elif kind is StageStarted:
            self.note("info", f"{event.stage} begin", event.at)  # type: ignore[union-attr]
        elif kind is RunEnded:
            self.note("info", f"the run has ended: {event.outcome}", event.at)  # type: ignore[union-attr]

    def note(self, level: Level, text: str, at: float | None = None) -> None:
        """Add a notice of the UI's own."""
        self._notices.append(LogEntry(self._number(), self._now() if at is None else at, level, text))

    def entries(self) -> list[LogEntry]:
        """The log, the newest first; retries of one cause stand where their first one was."""
        kept = (*self._notices, *self._failures, *self._retries.values())
        return sorted(kept, key=lambda entry: entry.number, reverse=True)

    def latency(self, model: str, endpoint: str) -> tuple[float, float] | None:
        """Seconds of the median and the 95th percentile of the latest calls that went well; None before the first."""
        seconds = sorted(self._seconds.get((model, endpoint), ()))
        if not seconds:
            return None
        return seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]

    def _number(self) -> int:
        self.version += 1
        self._next += 1
        return self._next

    def _time_call(self, event: CallEnded) -> None:
        if event.usage is None:
            return
        key = event.model, event.endpoint
        latest = self._seconds.get(key)
        if latest is None:
            latest = self._seconds[key] = deque(maxlen=KEPT_SECONDS)
        latest.append(event.seconds)

    def _count_retry(self, event: CallRetried) -> None:
        key = event.model, event.endpoint, event.error
        before = self._retries.get(key)
        number = self._number() if before is None else before.number
        count = 1 if before is None else before.count + 1
        self.version += 1
        text = f"{event.model}: tried again after {event.error} at {event.endpoint}: {event.message}"
        self._retries[key] = LogEntry(number, self._now(), "warning", text, kind=event.error, count=count)

    def _tell_verdict(self, event: StandingChanged) -> None:
        """Once for each model, as soon as there is one."""
        if event.standing.verdict != "undecided" and event.model not in self._decided:
            self._decided.add(event.model)
            self.note("info", verdict_words(event.model, event.standing, self._opponent))

    def _keep_failure(self, event: RecordFailed) -> None:
        text = f"{event.task.model}, question {event.question_id}: {event.kind}: {event.message}"
        entry = LogEntry(self._number(), self._now(), "error", text, event.task, event.question_id, event.kind)
        self._failures.append(entry)
