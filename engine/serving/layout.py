"""Which server runs on which GPUs, and in which order: every server is started once, which is the fewest. Pure.

Where the judges fit beside the answering models, they get GPUs of their own (or a share of their memory) for the whole
run and judge while the others still answer; else the answering models have their turns first, and a judge has its own
on the same GPUs once the answers are made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.serving.specs import ServerSpec

NO_GPU = -1  # stands for a machine without GPUs: one place, on which a server takes its share of `memory`, or all
_FULL = 1.0 + 1e-9


@dataclass(frozen=True, eq=False)
class PlannedServer:
    """One server: replica `replica` of its spec, on `devices` (`NO_GPU` alone where there are none)."""

    spec: ServerSpec
    devices: tuple[int, ...]
    share: float
    replica: int = 0

    @property
    def name(self) -> str:
        return self.spec.name if self.spec.replicas == 1 else f"{self.spec.name} #{self.replica + 1}"

    @property
    def gpus(self) -> tuple[int, ...]:
        return tuple(device for device in self.devices if device != NO_GPU)


@dataclass(frozen=True)
class ServerPlan:
    """Servers in the order of their turns. `side_by_side`: the judges' servers run beside those that answer."""

    servers: Sequence[PlannedServer] = ()
    side_by_side: bool = True

    @property
    def all_at_once(self) -> bool:
        """Whether there is room for all of them together, so that none waits for another to end."""
        return all(self.may_start(server, ()) for server in self.servers)

    def of(self, entry: str) -> list[PlannedServer]:
        """The servers of an entry of the config: its replicas."""
        return [server for server in self.servers if entry in server.spec.entries]

    def may_start(self, server: PlannedServer, over: Collection[PlannedServer]) -> bool:
        """Whether it is the server's turn, with those in `over` done: it fits beside all earlier ones that are not."""
        earlier = [other for other in self.servers[: self.servers.index(server)] if other not in over]
        return all(
            sum(other.share for other in earlier if device in other.devices) + server.share <= _FULL
            for device in server.devices
        )


def plan_servers(
    specs: Sequence[ServerSpec], judging: Collection[str], gpus: Sequence[int] | None, allowed: Sequence[int] | None
) -> ServerPlan:
    """Plan servers for `specs`, those with an entry in `judging` last.

    `gpus` are those of the machine, None where it has none (then nothing is pinned either); `allowed` restricts them.
    """
    devices = [NO_GPU] if gpus is None else [gpu for gpu in gpus if allowed is None or gpu in allowed]
    judges = [spec for spec in specs if set(spec.entries) & set(judging)]
    others = [spec for spec in specs if spec not in judges]
    if not others or not judges:
        return ServerPlan(_in_turn(judges or others, devices))
    beside = _beside(others, judges, devices)
    if beside is not None:
        return ServerPlan(beside)
    return ServerPlan([*_in_turn(others, devices), *_in_turn(judges, devices)], side_by_side=False)


def _beside(
    others: Sequence[ServerSpec], judges: Sequence[ServerSpec], devices: Sequence[int]
) -> list[PlannedServer] | None:
    """A plan with all judges at once, and room for the others' turns beside them; None if that does not fit."""
    taken: defaultdict[int, float] = defaultdict(float)
    judging: list[PlannedServer] = []
    for spec in judges:
        servers = _place(spec, list(reversed(devices)), taken, {})
        if servers is None:
            return None
        judging += servers
        for server in servers:
            for device in server.devices:
                taken[device] += server.share
    answering = _in_turn(others, devices, taken)
    return [*judging, *answering] if {server.spec for server in answering} == set(others) else None


def _in_turn(
    specs: Sequence[ServerSpec], devices: Sequence[int], taken: Mapping[int, float] = MappingProxyType({})
) -> list[PlannedServer]:
    """Every spec that fits, on the devices that have the least to do so far; each device has its servers one by one."""
    placed: list[PlannedServer] = []
    load: Counter[int] = Counter()
    for spec in specs:
        servers = _place(spec, devices, taken, load) or []
        placed += servers
        load.update(device for server in servers for device in server.devices)
    return placed


def _place(
    spec: ServerSpec, devices: Sequence[int], taken: Mapping[int, float], load: Mapping[int, int]
) -> list[PlannedServer] | None:
    """The replicas of a spec, each on free devices of its own, the least loaded first; None if they do not fit."""
    if list(devices) == [NO_GPU]:
        share = min(spec.serve.memory or 1.0, 1.0 / spec.replicas)
        if taken.get(NO_GPU, 0.0) + share * spec.replicas > _FULL:
            return None
        return [PlannedServer(spec, (NO_GPU,), share, number) for number in range(spec.replicas)]
    usable = [device for device in devices if spec.pinned is None or device in spec.pinned]
    free = [device for device in usable if taken.get(device, 0.0) + spec.share <= _FULL]
    each = spec.gpus_each
    if len(free) < each * spec.replicas:
        return None
    chosen = sorted(free, key=lambda device: load.get(device, 0))
    return [
        PlannedServer(spec, tuple(sorted(chosen[at * each : (at + 1) * each])), spec.share, at)
        for at in range(spec.replicas)
    ]
