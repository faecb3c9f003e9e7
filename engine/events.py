"""Everything that can happen during a run. Events are facts: what they report is so (and saved, if it is a result).

A `Run` emits them in one order; `engine.work.reducer` folds them into one immutable `RunState`, which is all
that any front end reads. Times are Unix seconds of `steady_now`, so that differences are durations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from engine.labels import Label
from engine.ratings.stop_rule import ErrorControl, Standing
from engine.records import Usage


class SteadyClock:
    """Unix seconds that never jump, even if the machine's clock is set: it is read once, then a monotonic one."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._offset = wall() - steady()

    def __call__(self) -> float:
        return self._offset + self._steady()


steady_now = SteadyClock()

ServerStatus: TypeAlias = Literal["waiting", "starting", "ready", "down", "stopping", "stopped", "failed"]
Stage: TypeAlias = Literal["answers", "judgments"]
EndpointCondition: TypeAlias = Literal["waiting", "down", "disabled", "ready"]
NoticeLevel: TypeAlias = Literal["info", "warning", "error"]


class TaskKey(msgspec.Struct, frozen=True, order=True):
    """Names a task: a stage of one model, and for judgments the judge.

    `baseline` is empty for the first or only baseline of the config.
    """

    stage: Stage
    model: str
    judge: str = ""
    baseline: str = ""


class TaskPlanned(msgspec.Struct, frozen=True, tag=True):
    """A task has `total` records, `cached` of them from earlier runs. Later events replace earlier ones."""

    task: TaskKey
    total: int
    cached: int
    stale: int = 0  # of the cached, made with other settings than today's


class RunStarted(msgspec.Struct, frozen=True, tag=True):
    """The run begins: it plans, then starts servers and waits for endpoints."""

    at: float


class StageStarted(msgspec.Struct, frozen=True, tag=True):
    """Work on a stage starts; the other one may be running."""

    stage: Stage
    at: float


class StageEnded(msgspec.Struct, frozen=True, tag=True):
    """Nothing more will be made in this stage."""

    stage: Stage
    at: float


class CallStarted(msgspec.Struct, frozen=True, tag=True):
    """A request went out to `endpoint` (its base URL) for `model` (an entry of the config)."""

    model: str
    endpoint: str


class CallEnded(msgspec.Struct, frozen=True, tag=True):
    """The request is over. `usage` is None when it failed; `error` then is the kind of failure (a FailureKind)."""

    model: str
    endpoint: str
    seconds: float
    usage: Usage | None = None
    error: str = ""
    task: TaskKey | None = None
    fingerprint: str = ""  # the name of the server for its own version and settings


class CallRetried(msgspec.Struct, frozen=True, tag=True):
    """A failed request is retried in `delay` seconds; `attempt` counts the tries so far."""

    model: str
    endpoint: str
    error: str
    message: str
    delay: float
    attempt: int
    task: TaskKey | None = None


class RecordSaved(msgspec.Struct, frozen=True, tag=True):
    """A whole record is on disk. For judgments, `labels` holds one label (or None) per game.

    `conflicts` counts the games whose judge gave different labels. A judgment of a further answer, or a repeated one,
    is not `is_first`.
    """

    task: TaskKey
    question_id: str
    truncated: bool = False
    labels: tuple[Label | None, ...] = ()
    conflicts: int = 0
    is_first: bool = True


class RecordFailed(msgspec.Struct, frozen=True, tag=True):
    """A record could not be made; the failure is in errors.jsonl."""

    task: TaskKey
    question_id: str
    kind: str
    message: str
    is_first: bool = True


class StopRuleSet(msgspec.Struct, frozen=True, tag=True):
    """The run stops models by a rule: `rule` as it is written, `opponent` the model that they are compared with.

    `control` is the level that its decisions keep, over how many models.
    """

    rule: str
    opponent: str
    control: ErrorControl = ErrorControl()


class StandingChanged(msgspec.Struct, frozen=True, tag=True):
    """More is known of a model than before, or it was decided."""

    model: str
    standing: Standing


class TaskStopped(msgspec.Struct, frozen=True, tag=True):
    """Nothing more of the task is started: its model is decided. What is in flight may still be saved."""

    task: TaskKey


class Histogram(msgspec.Struct, frozen=True):
    """A Prometheus histogram: `counts[i]` values were at most `bounds[i]`; the last bound is infinite."""

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    def quantile(self, share: float) -> float | None:
        """Return the value below which `share` (0..1) of the values lie, linear within its bucket; None without values.

        As Prometheus's `histogram_quantile`: what lies in the open last bucket counts as that bucket's lower bound.
        """
        total = self.counts[-1] if self.counts else 0
        if total <= 0:
            return None
        rank = share * total
        low, before = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > before:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (rank - before) / (count - before)
            low, before = bound, count
        return low

    def since(self, earlier: Histogram) -> Histogram:
        """Return what was added after `earlier`; all of it when the server was restarted meanwhile."""
        if self.bounds != earlier.bounds:
            return self
        added = tuple(now - then for now, then in zip(self.counts, earlier.counts, strict=True))
        return self if any(count < 0 for count in added) else Histogram(self.bounds, added)


class VllmMetrics(msgspec.Struct, frozen=True):
    """Metrics of a server at one moment: tokens or requests since its start; `kv_cache_usage` is a share (0..1)."""

    running: int = 0
    waiting: int = 0
    kv_cache_usage: float | None = None
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    finished: Mapping[str, int] = {}  # finish reason -> requests
    kv_cache_tokens: int | None = None
    first_token_seconds: Histogram = Histogram()
    reply_seconds: Histogram = Histogram()
    queue_seconds: Histogram = Histogram()

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share of prompt tokens found in the prefix cache since the server started."""
        return self.prefix_hits / self.prefix_queries if self.prefix_queries else None

    def prefix_hit_rate_since(self, earlier: VllmMetrics) -> float | None:
        """Return the same for the requests after `earlier`; None when there were none."""
        asked = self.prefix_queries - earlier.prefix_queries
        if asked < 0:  # the server was restarted
            return self.prefix_hit_rate
        return (self.prefix_hits - earlier.prefix_hits) / asked if asked else None


class EndpointStatus(msgspec.Struct, frozen=True):
    """One endpoint at a moment. `limit` is its current maximum of calls in flight, `parallel` the configured one."""

    endpoint: str
    in_flight: int
    limit: int
    parallel: int
    is_down: bool
    disabled: str = ""  # why nothing is sent there any more


class ServerChanged(msgspec.Struct, frozen=True, tag=True):
    """The state of a server that the run started.

    Attributes:
        server: its name: the entry of the config, with a number where there are replicas.
        models: the entries that it serves.
        status: "waiting" for its turn or for memory, "starting", "ready", "down" (it exited and is started again),
            "stopping", "stopped", or "failed" for good.
        stage: of a start, in words; `share` (0..1) is how much of it is done, None if unknown.
        detail: the cause of a failure.
        devices: the GPUs it may use, as text; empty where there are none.
        expected: seconds that a start takes, by earlier ones of the model or the size of its weights; None if unknown.
    """

    server: str
    models: tuple[str, ...]
    status: ServerStatus
    at: float
    stage: str = ""
    share: float | None = None
    address: str = ""
    detail: str = ""
    devices: str = ""
    expected: float | None = None


class ServerSeen(msgspec.Struct, frozen=True, tag=True):
    """The metrics of the server of a model; None when it reports none any more."""

    model: str
    endpoint: str
    numbers: VllmMetrics | None


class Notice(msgspec.Struct, frozen=True, tag=True):
    """Something a user should know; `text` may be an `Advice`."""

    level: NoticeLevel
    text: str
    at: float


def notice(level: NoticeLevel, text: str) -> Notice:
    """Return a notice of now."""
    return Notice(level, text, time.time())


class EndpointChanged(msgspec.Struct, frozen=True, tag=True):
    """An endpoint cannot be called, or can be called again.

    Attributes:
        condition: "waiting" for a server that does not answer yet, "down" (it is tried again), "disabled" for good, or
            "ready".
        since: when that began.
        why: the cause.
        until: when waiting or trying ends, if nothing changes; None where it does not end.
    """

    model: str
    endpoint: str
    condition: EndpointCondition
    since: float
    why: str = ""
    until: float | None = None


class RunPaused(msgspec.Struct, frozen=True, tag=True):
    """No new calls are started; those in flight continue."""

    at: float


class RunResumed(msgspec.Struct, frozen=True, tag=True):
    """New calls are started again."""

    at: float


class RunEnded(msgspec.Struct, frozen=True, tag=True):
    """The run is over and everything is saved."""

    outcome: Literal["done", "failed", "interrupted"]
    at: float


Event: TypeAlias = (
    RunStarted
    | TaskPlanned
    | StageStarted
    | StageEnded
    | CallStarted
    | CallEnded
    | CallRetried
    | RecordSaved
    | RecordFailed
    | StopRuleSet
    | StandingChanged
    | TaskStopped
    | ServerChanged
    | ServerSeen
    | EndpointChanged
    | RunPaused
    | RunResumed
    | Notice
    | RunEnded
)
