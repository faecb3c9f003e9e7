"""The one immutable state of a run: what every front end (terminal UI, plain lines, JSON) reads.

`engine.work.reducer` makes it of the events. A state is never changed, so a front end may keep one as long as it likes
and compare it with the next. Counters only grow within a run, so `run_speed` can turn two states into speeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from engine.events import (
    EndpointCondition,
    Notice,
    ServerStatus,
    Stage,
    TaskKey,
    VllmMetrics,
)
from engine.ratings.stop_rule import ErrorControl, Standing

Phase: TypeAlias = Literal["planning", "running", "done", "failed", "interrupted"]


class TaskState(msgspec.Struct, frozen=True):
    """Records of one task. `done` were made in this run, `cached` before it; the model won `won` of `weighed` games.

    `won` counts a tie as half and, like `weighed`, a strong label as `DEFAULT_WEIGHT` games: their ratio is a
    provisional score.
    """

    total: int = 0
    cached: int = 0
    stale: int = 0
    done: int = 0
    failed: int = 0
    truncated: int = 0
    unparsed: int = 0
    conflicts: int = 0  # of the unparsed games, those whose judge gave different labels
    won: float = 0.0
    weighed: float = 0.0
    calls: int = 0  # that have ended, well or not
    retries: int = 0
    completion_tokens: int = 0
    stopped: bool = False  # nothing more of it is started: its model is decided

    @property
    def left(self) -> int:
        """Records still to be made; none of a stopped task."""
        return 0 if self.stopped else max(0, self.total - self.cached - self.done - self.failed)

    @property
    def expected(self) -> int:
        """Records that the task ends with: fewer than `total` where it was stopped."""
        return self.cached + self.done + self.failed if self.stopped else self.total


class EndpointState(msgspec.Struct, frozen=True):
    """Traffic of one model at one endpoint; `seconds` is the sum of the wall times of ended calls."""

    in_flight: int = 0
    calls: int = 0
    errors: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    fingerprints: tuple[str, ...] = ()  # names of the server for its version and settings, as they changed


class ServerState(msgspec.Struct, frozen=True):
    """A server that the run started; see `ServerChanged`. `since` is when it got this status.

    `started_in` is the duration of its last start in seconds, `starts` their number, `expected` what a start takes by
    what earlier runs recorded. `device_seconds` sums, over its earlier states with a process, their length times its
    number of GPUs (1 without any).
    """

    models: tuple[str, ...]
    status: ServerStatus
    since: float
    stage: str = ""
    share: float | None = None
    address: str = ""
    detail: str = ""
    devices: str = ""
    starts: int = 0
    started_in: float | None = None
    expected: float | None = None
    device_seconds: float = 0.0


class ServerNumbers(msgspec.Struct, frozen=True):
    """The metrics of a server now, and the first ones that the run read."""

    now: VllmMetrics
    first: VllmMetrics

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share (0..1) of prompt tokens since the first ones that were cached."""
        return self.now.prefix_hit_rate_since(self.first)

    def latency(self) -> tuple[float, float] | None:
        """Return the median and the 95th percentile (seconds) of the replies since the first metrics, by the server."""
        replies = self.now.reply_seconds.since(self.first.reply_seconds)
        median, slow = replies.quantile(0.5), replies.quantile(0.95)
        return None if median is None or slow is None else (median, slow)


EndpointKey: TypeAlias = tuple[str, str]  # model entry, base URL


class Outage(msgspec.Struct, frozen=True):
    """An endpoint that cannot be called; see `EndpointChanged`."""

    condition: EndpointCondition
    since: float
    why: str = ""
    until: float | None = None


class RunState(msgspec.Struct, frozen=True):
    """A run at one moment. Mappings are read-only, in the order in which their keys first came up.

    `stages` are those being worked on: one, or both at once.
    """

    phase: Phase = "planning"
    stages: tuple[Stage, ...] = ()
    started_at: float = 0.0
    ended_at: float = 0.0
    paused_at: float = 0.0  # 0 while it is not paused
    paused_seconds: float = 0.0  # of earlier pauses
    tasks: Mapping[TaskKey, TaskState] = MappingProxyType({})
    endpoints: Mapping[EndpointKey, EndpointState] = MappingProxyType({})
    servers: Mapping[str, ServerState] = MappingProxyType({})
    server_numbers: Mapping[EndpointKey, ServerNumbers] = MappingProxyType({})  # of those that report any
    outages: Mapping[EndpointKey, Outage] = MappingProxyType({})  # of endpoints that cannot be called
    notices: tuple[Notice, ...] = ()
    stop_rule: str = ""  # as it is written; empty without one
    opponent: str = ""  # the model that others are decided against
    error_control: ErrorControl = ErrorControl()  # of the decisions
    standings: Mapping[str, Standing] = MappingProxyType({})  # by model, where there is a stop rule

    @property
    def doing(self) -> str:
        """What the run does now, in a few words: the stages, else a server that starts, else the phase."""
        if self.stages or self.phase not in ("planning", "running"):
            return " + ".join(self.stages) or self.phase
        starting = [name for name, server in self.servers.items() if server.status == "starting"]
        return f"starting {', '.join(starting)}" if starting else self.phase

    def active_seconds(self, now: float) -> float:
        """Return how long the run has lasted at `now`, or in all, without its pauses; 0 before it starts."""
        if not self.started_at:
            return 0.0
        end = self.ended_at or self.paused_at or now
        return max(0.0, end - self.started_at - self.paused_seconds)

    @property
    def device_seconds(self) -> float:
        """Seconds for which servers of the run held GPUs, each GPU on its own."""
        return sum(server.device_seconds for server in self.servers.values())

    @property
    def calls(self) -> int:
        """Calls that have ended, well or not."""
        return sum(endpoint.calls for endpoint in self.endpoints.values())

    @property
    def in_flight(self) -> int:
        return sum(endpoint.in_flight for endpoint in self.endpoints.values())

    @property
    def completion_tokens(self) -> int:
        return sum(endpoint.completion_tokens for endpoint in self.endpoints.values())

    @property
    def prompt_tokens(self) -> int:
        return sum(endpoint.prompt_tokens for endpoint in self.endpoints.values())

    @property
    def failed(self) -> int:
        """Records that could not be made."""
        return sum(task.failed for task in self.tasks.values())


class RunSpeed(msgspec.Struct, frozen=True):
    """Speeds between two states of one run. `eta` is the seconds left at this speed, None while unknown."""

    calls_per_second: float
    tokens_per_second: float
    records_per_second: float
    eta: float | None


def run_speed(before: RunState, after: RunState, seconds: float) -> RunSpeed:
    """Return the speeds from `before` to `after`, `seconds` apart.

    Records and the ETA are of the stages that `after` is in; the ETA is that of the slower one.
    """
    if seconds <= 0:
        return RunSpeed(0.0, 0.0, 0.0, None)
    speeds = {stage: (_settled(after, stage) - _settled(before, stage)) / seconds for stage in after.stages}
    left = {stage: sum(task.left for key, task in after.tasks.items() if key.stage == stage) for stage in after.stages}
    etas = [left[stage] / speed if speed > 0 else None for stage, speed in speeds.items() if left[stage] or speed > 0]
    return RunSpeed(
        calls_per_second=(after.calls - before.calls) / seconds,
        tokens_per_second=(after.completion_tokens - before.completion_tokens) / seconds,
        records_per_second=sum(speeds.values()),
        eta=None if not etas or None in etas else max(eta for eta in etas if eta is not None),
    )


def _settled(state: RunState, stage: Stage) -> int:
    return sum(task.done + task.failed for key, task in state.tasks.items() if key.stage == stage)
