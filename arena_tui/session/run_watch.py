"""What a UI shows of a run beside its state: log, call latencies, speeds, stages of servers, load of GPUs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from arena_tui.advice import phrase
from arena_tui.console import printable
from arena_tui.output.stop_rule import control_words, verdict_words
from arena_tui.session.history import RunHistory
from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    Event,
    Notice,
    RecordFailed,
    RecordSaved,
    RunEnded,
    ServerChanged,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
)
from engine.serving.gpus import Gpu, GpuQueryFailed, has_driver, query_gpus
from engine.work.progress import EndpointKey, EndpointState, RunSpeed, RunState, ServerState, TaskState, run_speed


def stage_words(server: ServerState | ServerChanged) -> str:
    """Describe the status of a server in a few words: `loading weights 50%`, `ready`."""
    if server.status == "starting":
        share = f" {server.share:.0%}" if server.share is not None else ""
        return f"{server.stage}{share}"
    if server.status == "waiting":
        return f"waiting {server.stage}"
    return "down, restarting" if server.status == "down" else server.status


class ServerLines:
    """Turns changes of servers into log lines: each new status, and with `stages` each new stage."""

    def __init__(self, *, stages: bool = True) -> None:
        self._stages = stages
        self._last: dict[str, tuple[str, str]] = {}

    def line(self, event: ServerChanged) -> str | None:
        """Return the line of a change, or None if it is not worth one."""
        moment = event.status, event.stage if self._stages else ""
        if self._last.get(event.server) == moment or event.status == "waiting":
            return None
        self._last[event.server] = moment
        detail = f" ({event.detail})" if event.detail else ""
        gpus = f" on GPU {event.devices}" if event.devices and event.status == "starting" else ""
        what = stage_words(event) if self._stages else event.status
        return printable(f"server {event.server}: {what}{gpus}{detail}")


def busy_servers(state: RunState) -> list[tuple[str, ServerState]]:
    """Return the servers that are starting, down or stopping."""
    return [
        (name, server) for name, server in state.servers.items() if server.status in ("starting", "down", "stopping")
    ]


LogLevel: TypeAlias = Literal["info", "warning", "error"]
GPU_PAUSE_SECONDS = 2.0
GPU_QUERY_SECONDS = 5.0  # limits how long a driver that hangs delays the end of the UI
KEPT_ENTRIES = 300  # of notices and of failures each: many failures must not push out notices
KEPT_SECONDS = 512  # the latest calls of an endpoint, for its quantiles


class LogEntry(msgspec.Struct, frozen=True):
    """One line of the log. A failure names its record; retries of one cause are one entry with a `count`."""

    number: int
    at: float  # unix seconds; for retries, of the last one
    level: LogLevel
    text: str
    task: TaskKey | None = None
    question_id: str = ""
    kind: str = ""
    count: int = 1


class RunWatch:
    """Listens to the events of one run. `version` changes whenever `entries` does.

    Called for every event, it only appends and counts; entries are sorted when read.
    """

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
        self.history = RunHistory()

    def __call__(self, event: Event) -> None:
        match event:
            case CallEnded():
                self._time_call(event)
            case CallStarted() | RecordSaved():
                pass  # by far the most of the rest
            case CallRetried():
                self._count_retry(event)
            case RecordFailed():
                self._keep_failure(event)
            case Notice():
                self.note(event.level, phrase(event.text), event.at)
            case ServerChanged():
                if line := self._servers.line(event):
                    self.note("info", line, event.at)
            case StandingChanged():
                self._note_verdict(event)
            case StopRuleSet():
                self._opponent = event.opponent
                if control := control_words(event.control):
                    self.note("info", f"stop rule {event.rule}: {control}")
            case StageStarted():
                self.note("info", f"{event.stage} started", event.at)
            case RunEnded():
                self.history.end()
                self.note("info", f"run ended: {event.outcome}", event.at)
            case _:
                pass

    def note(self, level: LogLevel, text: str, at: float | None = None) -> None:
        """Add a notice."""
        self._notices.append(LogEntry(self._number(), self._now() if at is None else at, level, text))

    def entries(self) -> list[LogEntry]:
        """Return the log, newest first; retries of one cause keep the place of the first."""
        kept = (*self._notices, *self._failures, *self._retries.values())
        return sorted(kept, key=lambda entry: entry.number, reverse=True)

    def latency(self, model: str, endpoint: str) -> tuple[float, float] | None:
        """Return median and 95th percentile of the latest successful calls, in seconds; None before the first."""
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
        self.history.add(event.seconds, event.usage.completion_tokens)
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
        text = f"{event.model}: retried after {event.error} at {event.endpoint}: {event.message}"
        self._retries[key] = LogEntry(number, self._now(), "warning", text, kind=event.error, count=count)

    def _note_verdict(self, event: StandingChanged) -> None:
        """Note the verdict of a model once, as soon as it is decided."""
        if event.standing.verdict != "undecided" and event.model not in self._decided:
            self._decided.add(event.model)
            self.note("info", verdict_words(event.model, event.standing, self._opponent))

    def _keep_failure(self, event: RecordFailed) -> None:
        text = f"{event.task.model}, question {event.question_id}: {event.kind}: {event.message}"
        entry = LogEntry(self._number(), self._now(), "error", text, event.task, event.question_id, event.kind)
        self._failures.append(entry)


WINDOW_SECONDS = 8.0  # over which speeds are averaged
LONGEST_WINDOW = 120.0  # seconds, where fewer records are made than are enough
_ENOUGH = 16  # records for a speed that does not jump


class Speed(msgspec.Struct, frozen=True):
    """The speed of a task or an endpoint. `eta` is the time left at this speed, in seconds; None if unknown."""

    calls: float = 0.0  # per second
    tokens: float = 0.0  # generated per second
    eta: float | None = None


_NO_TASK, _NO_TRAFFIC = TaskState(), EndpointState()


class SpeedGauge:
    """Computes speeds over the last seconds from successive states of one run. Pauses do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, RunState]] = deque()
        self._paused = 0.0  # seconds of earlier pauses
        self._paused_at: float | None = None

    def pace(self, state: RunState) -> RunSpeed:
        """Add `state` and return the speed of the whole run."""
        now = self._active_now(state)
        if self._seen and self._seen[-1][1].stages != state.stages:  # each stage has its own speed
            self._seen = deque([self._seen[-1]])
        if len(self._seen) > 1 and self._seen[-1][0] == now:  # paused
            self._seen.pop()
        self._seen.append((now, state))
        while len(self._seen) > 2 and self._is_old(*self._seen[1], now, state):
            self._seen.popleft()
        before, seconds = self._window()
        return run_speed(before, state, seconds)

    def _active_now(self, state: RunState) -> float:
        """Return the time by a clock that stops while the run is paused."""
        now = self._clock()
        if state.paused_at:
            self._paused_at = now if self._paused_at is None else self._paused_at
            return self._paused_at - self._paused
        if self._paused_at is not None:
            self._paused += now - self._paused_at
            self._paused_at = None
        return now - self._paused

    @staticmethod
    def _is_old(then: float, before: RunState, now: float, state: RunState) -> bool:
        """Return whether the time since `then` is long enough for a speed."""
        age = now - then
        return age > WINDOW_SECONDS and (age > LONGEST_WINDOW or _settled(state) - _settled(before) >= _ENOUGH)

    def task(self, key: TaskKey) -> Speed:
        """Return the speed of a task in the latest state."""
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
        """Return the speed of one model at one endpoint in the latest state."""
        before, seconds = self._window()
        after = self._seen[-1][1].endpoints.get(key)
        if after is None or seconds <= 0:
            return Speed()
        was = before.endpoints.get(key, _NO_TRAFFIC)
        return Speed((after.calls - was.calls) / seconds, (after.completion_tokens - was.completion_tokens) / seconds)

    def _window(self) -> tuple[RunState, float]:
        """Return the oldest state in the window, and how many seconds before the latest it was added."""
        (then, before), (now, _) = self._seen[0], self._seen[-1]
        return before, now - then


def _settled(state: RunState) -> int:
    return sum(task.done + task.failed for task in state.tasks.values())


class GpuWatch:
    """Keeps the load of this machine's GPUs up to date while started."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = ()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start watching if this machine has a driver."""
        if self._watching is None and has_driver():
            self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            try:
                self.gpus = tuple(await asyncio.to_thread(query_gpus, GPU_QUERY_SECONDS))
            except GpuQueryFailed:
                self.gpus = ()
            await asyncio.sleep(GPU_PAUSE_SECONDS)
