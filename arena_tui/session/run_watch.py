"""What a UI shows of a run beside its state: a log, call latencies, speeds, and the stages of servers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from arena_tui.advice import phrase
from arena_tui.console import printable
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
from engine.work.progress import EndpointKey, EndpointState, RunSpeed, RunState, ServerState, TaskState, run_speed


def stage_words(server: ServerState | ServerChanged) -> str:
    """Its status in a few words: `loading weights 50%`, `ready`."""
    if server.status == "starting":
        share = f" {server.share:.0%}" if server.share is not None else ""
        return f"{server.stage}{share}"
    if server.status == "waiting":
        return f"waiting {server.stage}"
    return "down, is started again" if server.status == "down" else server.status


class ServerLines:
    """Which changes of servers become a line: a new status, and with `stages` a new stage, not every percent of it."""

    def __init__(self, *, stages: bool = True) -> None:
        self._stages = stages
        self._told: dict[str, tuple[str, str]] = {}

    def line(self, event: ServerChanged) -> str | None:
        moment = event.status, event.stage if self._stages else ""
        if self._told.get(event.server) == moment or event.status == "waiting":
            return None
        self._told[event.server] = moment
        detail = f" ({event.detail})" if event.detail else ""
        gpus = f" on GPU {event.devices}" if event.devices and event.status == "starting" else ""
        what = stage_words(event) if self._stages else event.status
        return printable(f"server {event.server}: {what}{gpus}{detail}")


def busy_servers(state: RunState) -> list[tuple[str, ServerState]]:
    """The servers that are on their way up or down."""
    return [
        (name, server) for name, server in state.servers.items() if server.status in ("starting", "down", "stopping")
    ]


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


WINDOW_SECONDS = 8.0  # over which speeds are averaged


class Speed(msgspec.Struct, frozen=True):
    """Of one task or endpoint. `eta` is the seconds that are left at this speed, None while unknown."""

    calls: float = 0.0  # per second
    tokens: float = 0.0  # generated per second
    eta: float | None = None


_NO_TASK, _NO_TRAFFIC = TaskState(), EndpointState()


class SpeedGauge:
    """Turns the states of one run that it is shown into speeds over the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, RunState]] = deque()

    def pace(self, state: RunState) -> RunSpeed:
        """Look at `state`, and tell how fast the whole run goes."""
        now = self._clock()
        if self._seen and self._seen[-1][1].stages != state.stages:  # another stage goes at another speed
            self._seen = deque([self._seen[-1]])
        self._seen.append((now, state))
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW_SECONDS:
            self._seen.popleft()
        before, seconds = self._window()
        return run_speed(before, state, seconds)

    def task(self, key: TaskKey) -> Speed:
        """Of one task, in the state that was looked at last."""
        before, seconds = self._window()
        after = self._seen[-1][1].tasks.get(key)
        if after is None or seconds <= 0:
            return Speed()
        was = before.tasks.get(key, _NO_TASK)
        records = (after.done + after.failed - was.done - was.failed) / seconds
        return Speed(
            (after.calls - was.calls) / seconds,
            (after.completion_tokens - was.completion_tokens) / seconds,
            after.left / records if records > 0 else None,
        )

    def endpoint(self, key: EndpointKey) -> Speed:
        """Of one model at one endpoint, in the state that was looked at last."""
        before, seconds = self._window()
        after = self._seen[-1][1].endpoints.get(key)
        if after is None or seconds <= 0:
            return Speed()
        was = before.endpoints.get(key, _NO_TRAFFIC)
        return Speed((after.calls - was.calls) / seconds, (after.completion_tokens - was.completion_tokens) / seconds)

    def _window(self) -> tuple[RunState, float]:
        """The oldest state that counts, and how long before the latest one it was seen."""
        (then, before), (now, _) = self._seen[0], self._seen[-1]
        return before, now - then
