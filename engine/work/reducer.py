"""The one reducer: from the events of a run to its `RunState`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

import msgspec

from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    EndpointChanged,
    Event,
    Notice,
    RecordFailed,
    RecordSaved,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    ServerChanged,
    ServerSeen,
    StageEnded,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskPlanned,
    TaskStopped,
)
from engine.labels import points_of_games
from engine.records import Usage
from engine.work.progress import EndpointKey, EndpointState, Outage, RunState, ServerNumbers, ServerState, TaskState

_WITH_PROCESS = ("starting", "ready", "stopping")
KEPT_NOTICES = 200
KEPT_FINGERPRINTS = 8  # of one endpoint: behind a gateway they may change with every call

K = TypeVar("K")
V = TypeVar("V")
_replace = msgspec.structs.replace

_NO_TASK = TaskState()
_NO_TRAFFIC = EndpointState()
_NO_USAGE = Usage()


def reduce(state: RunState, event: Event) -> RunState:
    """Return the state after `event`."""
    return fold(state, (event,))


def fold(state: RunState, events: Iterable[Event]) -> RunState:
    """Return the state after `events`. The mappings are copied once, however many events there are."""
    draft = _Draft(state)
    for event in events:
        draft.add(event)
    return draft.result()


class _Draft:
    """A state while events are folded into it."""

    __slots__ = ("_endpoints", "_state", "_tasks")

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._tasks: dict[TaskKey, TaskState] | None = None  # a copy, once it is changed
        self._endpoints: dict[EndpointKey, EndpointState] | None = None

    def result(self) -> RunState:
        state = self._state
        tasks = state.tasks if self._tasks is None else MappingProxyType(self._tasks)
        endpoints = state.endpoints if self._endpoints is None else MappingProxyType(self._endpoints)
        return _replace(state, tasks=tasks, endpoints=endpoints)

    def add(self, event: Event) -> None:
        match event:
            case CallStarted():
                was = self._endpoint(event)
                self._set_endpoint(event, _replace(was, in_flight=was.in_flight + 1))
            case CallEnded():
                self._set_endpoint(event, _call_ended(self._endpoint(event), event))
                if (key := event.task) is not None:
                    task = self._task(key)
                    tokens = event.usage.completion_tokens if event.usage else 0
                    self._set_task(
                        key,
                        _replace(task, calls=task.calls + 1, completion_tokens=task.completion_tokens + tokens),
                    )
            case RecordSaved(task=key):
                self._set_task(key, _record_saved(self._task(key), event))
            case CallRetried():
                was = self._endpoint(event)
                self._set_endpoint(event, _replace(was, retries=was.retries + 1))
                if (key := event.task) is not None:
                    task = self._task(key)
                    self._set_task(key, _replace(task, retries=task.retries + 1))
            case RecordFailed(task=key):
                task = self._task(key)
                self._set_task(key, _replace(task, failed=task.failed + 1))
            case TaskPlanned(task=key):
                planned = _replace(self._task(key), total=event.total, cached=event.cached, stale=event.stale)
                self._set_task(key, planned)
            case TaskStopped(task=key):
                self._set_task(key, _replace(self._task(key), stopped=True))
            case _:
                self._state = _with_rare(self._state, event)

    def _task(self, key: TaskKey) -> TaskState:
        tasks = self._state.tasks if self._tasks is None else self._tasks
        return tasks.get(key, _NO_TASK)

    def _set_task(self, key: TaskKey, task: TaskState) -> None:
        if self._tasks is None:
            self._tasks = dict(self._state.tasks)
        self._tasks[key] = task

    def _endpoint(self, event: CallStarted | CallEnded | CallRetried) -> EndpointState:
        endpoints = self._state.endpoints if self._endpoints is None else self._endpoints
        return endpoints.get((event.model, event.endpoint), _NO_TRAFFIC)

    def _set_endpoint(self, event: CallStarted | CallEnded | CallRetried, endpoint: EndpointState) -> None:
        if self._endpoints is None:
            self._endpoints = dict(self._state.endpoints)
        self._endpoints[event.model, event.endpoint] = endpoint


def _with_rare(state: RunState, event: Event) -> RunState:
    """Return the state after an event that is neither of a call nor of a task."""
    match event:
        case StandingChanged():
            return _replace(state, standings=_with(state.standings, event.model, event.standing))
        case StopRuleSet():
            return _replace(state, stop_rule=event.rule, opponent=event.opponent, error_control=event.control)
        case ServerSeen():
            return _replace(state, server_numbers=_numbers_seen(state.server_numbers, event))
        case ServerChanged(server=name):
            server = _server_changed(state.servers.get(name), event)
            return _replace(state, servers=_with(state.servers, name, server))
        case EndpointChanged():
            return _replace(state, outages=_outages(state.outages, event))
        case RunPaused():
            return _replace(state, paused_at=state.paused_at or event.at)
        case RunResumed():
            return _resumed(state, event.at)
        case RunStarted():
            return _replace(state, started_at=event.at)
        case StageStarted():
            stages = tuple(sorted({*state.stages, event.stage}))
            return _replace(state, phase="running", stages=stages, started_at=state.started_at or event.at)
        case StageEnded():
            return _replace(state, stages=tuple(stage for stage in state.stages if stage != event.stage))
        case Notice():
            return _replace(state, notices=(*state.notices, event)[-KEPT_NOTICES:])
        case RunEnded():
            return _replace(_resumed(state, event.at), phase=event.outcome, stages=(), ended_at=event.at)
    return state


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return MappingProxyType({**mapping, key: value})


def device_count(devices: str) -> int:
    """Return how many devices a server has by what is shown of them: "0,1", "node:0,1", or "one:2x + other:2x"."""
    parts = [part.rpartition(":")[2] for part in devices.split(" + ")]
    return sum(
        int(part[:-1]) if part[:-1].isdecimal() and part.endswith("x") else part.count(",") + 1 for part in parts
    )


def _server_changed(before: ServerState | None, event: ServerChanged) -> ServerState:
    same = before is not None and before.status == event.status
    since = before.since if before is not None and same else event.at
    starts = (before.starts if before else 0) + (event.status == "starting" and not same)
    took = before.started_in if before else None
    if event.status == "ready" and before is not None and before.status == "starting":
        took = event.at - before.since
    held = before.device_seconds if before else 0.0
    if before is not None and not same and before.status in _WITH_PROCESS:
        held += (event.at - before.since) * device_count(before.devices)
    return ServerState(
        event.models,
        event.status,
        since,
        event.stage,
        event.share,
        event.address or (before.address if before else ""),
        event.detail,
        event.devices,
        starts,
        took,
        event.expected if event.expected is not None else before.expected if before else None,
        held,
    )


def _outages(known: Mapping[EndpointKey, Outage], event: EndpointChanged) -> Mapping[EndpointKey, Outage]:
    left = {key: outage for key, outage in known.items() if key != (event.model, event.endpoint)}
    if event.condition != "ready":
        left[event.model, event.endpoint] = Outage(event.condition, event.since, event.why, event.until)
    return MappingProxyType(left)


def _resumed(state: RunState, at: float) -> RunState:
    if not state.paused_at:
        return state
    return _replace(state, paused_at=0.0, paused_seconds=state.paused_seconds + max(0.0, at - state.paused_at))


def _numbers_seen(known: Mapping[EndpointKey, ServerNumbers], event: ServerSeen) -> Mapping[EndpointKey, ServerNumbers]:
    seen = dict(known)
    before = seen.pop((event.model, event.endpoint), None)
    if event.numbers is not None:
        seen[event.model, event.endpoint] = ServerNumbers(event.numbers, before.first if before else event.numbers)
    return MappingProxyType(seen)


def _call_ended(endpoint: EndpointState, event: CallEnded) -> EndpointState:
    usage = event.usage or _NO_USAGE
    fingerprints = endpoint.fingerprints
    if event.fingerprint and event.fingerprint not in fingerprints:
        fingerprints = (*fingerprints, event.fingerprint)[-KEPT_FINGERPRINTS:]
    return _replace(
        endpoint,
        in_flight=max(0, endpoint.in_flight - 1),
        calls=endpoint.calls + 1,
        errors=endpoint.errors + (event.usage is None),
        fingerprints=fingerprints,
        prompt_tokens=endpoint.prompt_tokens + usage.prompt_tokens,
        completion_tokens=endpoint.completion_tokens + usage.completion_tokens,
        cached_tokens=endpoint.cached_tokens + usage.cached_tokens,
        seconds=endpoint.seconds + event.seconds,
    )


def _record_saved(task: TaskState, event: RecordSaved) -> TaskState:
    won, total = points_of_games(event.labels)
    return _replace(
        task,
        done=task.done + 1,
        truncated=task.truncated + event.truncated,
        unparsed=task.unparsed + event.labels.count(None),
        conflicts=task.conflicts + event.conflicts,
        won=task.won + won,
        weighed=task.weighed + total,
    )
