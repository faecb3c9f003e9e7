"""What a run and the processes attached to it send each other: one message a line, in JSON.

Addresses and texts are those that a front end shows, so no key is among them. A line of the run is as long as its
state; one of the other side is short, and of few kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields, replace

from engine.errors import Advice, AdviceKind
from engine.events import EndpointStatus, Event, Histogram, Notice, NoticeLevel, ServerSeen, VllmMetrics
from engine.work.progress import RunSpeed, RunState, ServerNumbers

PROTOCOL = 1
_MAPPING = get_origin(Mapping[str, str])
LONGEST_ORDER = 1 << 14  # bytes of a line to the run
LONGEST_LINE = 1 << 26  # bytes of a line of the run
_LARGEST = 1.7976931348623157e308  # stands for infinity, which JSON has not

RunStatus: TypeAlias = Literal["running", "paused", "stopping"]
Action: TypeAlias = Literal["pause", "resume", "stop", "abort", "retry", "no retry"]


# -- to the run


class Attach(msgspec.Struct, frozen=True, tag=True):
    """The first message: show the run, and with `control` take orders from this connection."""

    control: bool = False
    protocol: int = PROTOCOL


class Order(msgspec.Struct, frozen=True, tag=True):
    """Do something to the run; `number` comes back in the answer."""

    number: int
    action: Action


class SetLimits(msgspec.Struct, frozen=True, tag=True):
    """Change the limits of a model, as they are in the config: a rate of None is no limit."""

    number: int
    model: str
    parallel: int
    rate: float | None


Request: TypeAlias = Attach | Order | SetLimits


# -- of the run


class Greeting(msgspec.Struct, frozen=True, tag=True):
    """The answer to `Attach`: whose run it is. Times are Unix seconds."""

    protocol: int
    version: str
    bench: str
    run: str
    pid: int
    host: str
    started: float


class Conditions(msgspec.Struct, frozen=True, tag=True):
    """What is not in the state of a run: sent with it, and when it has changed.

    `log` is the file that a run without a terminal writes to, empty for one with a terminal. `limits` are those of the
    config by model (`parallel`, `rate`).
    """

    status: RunStatus = "running"
    log: str = ""
    retries_failed: bool = False
    limits: dict[str, tuple[int, float | None]] = {}
    endpoints: dict[str, tuple[EndpointStatus, ...]] = {}
    speed: RunSpeed = RunSpeed(0.0, 0.0, 0.0, None)


class RunSnapshot(msgspec.Struct, frozen=True, tag=True):
    """The state after `number` events, and the numbered events behind its log; events go on from there."""

    number: int
    state: msgspec.Raw
    recent: list[tuple[int, msgspec.Raw]] = []


class Happened(msgspec.Struct, frozen=True, tag=True):
    """Events, the last of which has this number."""

    number: int
    events: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The answer to an order: why it was refused, or nothing."""

    number: int
    problem: str = ""


Message: TypeAlias = Greeting | Conditions | RunSnapshot | Happened | Answer

encode = msgspec.json.Encoder(enc_hook=str).encode  # an `Advice` within an event becomes its text
decode_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
decode_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


# -- events and states


class WireNotice(msgspec.Struct, frozen=True, tag="Notice"):
    """A `Notice` whose text may be an `Advice` of these kinds and values."""

    level: NoticeLevel
    text: str
    at: float
    kinds: tuple[AdviceKind, ...] = ()
    values: tuple[str, ...] = ()


def encode_event(event: Event) -> msgspec.Raw:
    """Return one event as a JSON object."""
    return msgspec.Raw(encode(_to_wire(event)))


def encode_events(events: Iterable[Event]) -> msgspec.Raw:
    """Return events as a JSON list."""
    return msgspec.Raw(encode([_to_wire(event) for event in events]))


def decode_events(data: msgspec.Raw) -> list[Event]:
    """Return the events of a JSON list. Raises msgspec.DecodeError."""
    return [_from_wire(event) for event in _event_decoder().decode(data)]


def decode_event(data: msgspec.Raw) -> Event:
    """Return the event of a JSON object. Raises msgspec.DecodeError."""
    return decode_events(msgspec.Raw(b"[%b]" % bytes(data)))[0]


def encode_state(state: RunState) -> msgspec.Raw:
    """Return a state as a JSON object, its mappings as lists of pairs."""
    return msgspec.Raw(encode({name: _plain(getattr(state, name)) for name in RunState.__struct_fields__}))


def decode_state(data: msgspec.Raw) -> RunState:
    """Return the state of a JSON object; what an older program does not send has its default. Raises DecodeError."""
    types = _field_types()
    found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    values = {name: msgspec.json.decode(found[name], type=types[name]) for name in types if name in found}
    return RunState(**{name: _restored(name, value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, _finite_numbers(one)) for key, one in value.items()]
    if isinstance(value, tuple):
        return [_to_wire(one) if isinstance(one, Notice) else one for one in value]
    return value


def _restored(name: str, value: Any) -> Any:
    if name == "notices":
        return tuple(_from_wire(notice) for notice in value)
    if name in _mappings():
        return MappingProxyType({key: _infinite_numbers(one) for key, one in value})
    return value


@cache
def _mappings() -> frozenset[str]:
    hints = get_type_hints(RunState)
    return frozenset(field.name for field in fields(RunState) if get_origin(hints[field.name]) is _MAPPING)


@cache
def _field_types() -> dict[str, Any]:
    """Return the type of each field of a state in JSON."""
    hints = get_type_hints(RunState)
    types = {field.name: hints[field.name] for field in fields(RunState)}
    for name in _mappings():
        key, value = get_args(types[name])
        types[name] = list[tuple[key, value]]  # type: ignore[valid-type]  # made while running
    return {**types, "notices": list[WireNotice]}


@cache
def _event_decoder() -> msgspec.json.Decoder[list[Any]]:
    kinds = tuple(kind for kind in get_args(Event) if kind is not Notice)
    return msgspec.json.Decoder(list[Union[(*kinds, WireNotice)]])  # type: ignore[valid-type]  # made while running


def _to_wire(event: Event) -> Any:
    if isinstance(event, Notice):
        text = event.text
        kinds, values = (text.kinds, text.values) if isinstance(text, Advice) else ((), ())
        return WireNotice(event.level, str(text), event.at, kinds, values)
    if isinstance(event, ServerSeen) and event.numbers is not None:
        return replace(event, numbers=_bounded(event.numbers, float("inf"), _LARGEST))
    return event


def _from_wire(event: Any) -> Any:
    if isinstance(event, WireNotice):
        text = Advice(event.text, *event.kinds, values=event.values) if event.kinds else event.text
        return Notice(event.level, text, event.at)
    if isinstance(event, ServerSeen) and event.numbers is not None:
        return replace(event, numbers=_bounded(event.numbers, _LARGEST, float("inf")))
    return event


def _finite_numbers(value: Any) -> Any:
    return _both(value, float("inf"), _LARGEST) if isinstance(value, ServerNumbers) else value


def _infinite_numbers(value: Any) -> Any:
    return _both(value, _LARGEST, float("inf")) if isinstance(value, ServerNumbers) else value


def _both(numbers: ServerNumbers, old: float, new: float) -> ServerNumbers:
    return ServerNumbers(_bounded(numbers.now, old, new), _bounded(numbers.first, old, new))


def _bounded(numbers: VllmMetrics, old: float, new: float) -> VllmMetrics:
    """Return metrics with another last bound of their histograms."""
    histograms = {
        field.name: Histogram(tuple(new if bound == old else bound for bound in found.bounds), found.counts)
        for field in fields(numbers)
        if isinstance(found := getattr(numbers, field.name), Histogram)
    }
    return replace(numbers, **histograms)
