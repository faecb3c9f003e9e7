"""What a server is, told from the config: which model, for which entries, with which flags, on how many GPUs. Pure.

Entries that name the same model with the same [serve] table (they differ in sampling or system prompt) share a server.

Which server runs on which GPUs, and in which order: every server is started once, which is the fewest. Pure.

Where the judges fit beside the answering models, they get GPUs of their own (or a share of their memory) for the whole
run and judge while the others still answer; else the answering models have their turns first, and a judge has its own
on the same GPUs once the answers are made.

From a config to the plan of its servers on this machine.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from engine.config.model import Config, ServeConfig
from engine.errors import ConfigError, ConfigProblem
from engine.serving.gpus import gpu_indices

VLLM_SHARE = 0.92  # of a GPU's memory, where nobody says otherwise
_SECRET_FLAG = re.compile(r"--\S*(token|key|secret|password)$", re.IGNORECASE)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, eq=False)
class ServerSpec:
    """One model that is to be served, in `replicas` servers of `gpus_each` GPUs.

    `share` is the part of each GPU's memory that a server takes. `pinned` are the GPUs that the config names, if it
    does. `arguments` are those of `vllm serve` behind the model, but for host, port and names.
    """

    name: str
    entries: tuple[str, ...]
    model: str
    is_folder: bool
    served_names: tuple[str, ...]
    arguments: tuple[str, ...]
    serve: ServeConfig
    gpus_each: int
    replicas: int
    share: float
    pinned: tuple[int, ...] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the config adds. They may be secrets."""
        return {name: value.get_secret_value() for name, value in self.serve.env.items()}


def server_specs(config: Config, names: Iterable[str]) -> list[ServerSpec]:
    """The servers for those of the entries `names` that arena-tui serves itself, in that order."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name in names:
        serve = config.models[name].serve
        if serve is not None:
            what = serve.model_dump_json() + repr(sorted((k, v.get_secret_value()) for k, v in serve.env.items()))
            alone = name if config.models[name].endpoints else ""  # its port is its own
            grouped.setdefault((config.served_name(name), what + alone), []).append(name)
    return [_spec(config, tuple(entries)) for entries in grouped.values()]


def _spec(config: Config, entries: tuple[str, ...]) -> ServerSpec:
    serve = config.models[entries[0]].serve
    assert serve is not None
    model = config.served_name(entries[0])
    folder = model_folder(config, model)
    arguments = list(serve.args)
    tensor = serve.tensor_parallel or _number(serve.args, "--tensor-parallel-size", "-tp")
    data = serve.data_parallel or _number(serve.args, "--data-parallel-size", "-dp") or 1
    pipeline = _number(serve.args, "--pipeline-parallel-size", "-pp") or 1
    if tensor is None:  # the GPUs that are named are meant to be used
        tensor = max(1, len(serve.gpus or ()) // (serve.replicas * data * pipeline))
    for flag, value in (("--tensor-parallel-size", tensor), ("--data-parallel-size", data)):
        short = "-tp" if flag.startswith("--t") else "-dp"
        if value > 1 and _text(serve.args, flag, short) is None:
            arguments += [flag, str(value)]
    told = _text(serve.args, "--gpu-memory-utilization")
    if serve.memory is not None and told is None:
        arguments += ["--gpu-memory-utilization", f"{serve.memory:g}"]
    return ServerSpec(
        name=entries[0],
        entries=entries,
        model=str(folder) if folder else model,
        is_folder=folder is not None,
        served_names=(model,),
        arguments=tuple(arguments),
        serve=serve,
        gpus_each=tensor * data * pipeline,
        replicas=serve.replicas,
        share=serve.memory or _share(told),
        pinned=tuple(serve.gpus) if serve.gpus is not None else None,
    )


def model_folder(config: Config, model: str) -> Path | None:
    """The folder that a model's name is the path of; None for a name of the hub.

    What looks like a path is one, also if nothing is there; else it is one if there is such a folder beside the config.
    """
    beside = config.file.parent if config.file else Path()
    path = beside / Path(model).expanduser()
    looks_like_path = model.startswith(("/", "./", "../", "~")) or not _HUB_NAME.fullmatch(model)
    return path.resolve() if looks_like_path or path.is_dir() else None


def spec_problems(config: Config, specs: Sequence[ServerSpec], gpus: Sequence[int] | None) -> list[ConfigProblem]:
    """What keeps a server from ever starting on this machine, whose GPUs are `gpus` (None: it has none)."""
    problems = []
    for spec in specs:
        at = f"models.{spec.name}"
        if spec.is_folder and not Path(spec.model).exists():
            problems.append(ConfigProblem(f"{at}.model", f"there is no {spec.model}", "check the path of the model"))
        elif spec.is_folder and not (Path(spec.model) / "config.json").exists() and Path(spec.model).is_dir():
            problems.append(
                ConfigProblem(f"{at}.model", f"{spec.model} holds no config.json", "name the folder of a saved model")
            )
        need = spec.gpus_each * spec.replicas
        allowed = config.vllm.gpus if config.vllm.gpus is not None else gpus
        usable = spec.pinned or allowed
        if spec.pinned and allowed is not None and (strange := sorted(set(spec.pinned) - set(allowed))):
            problems.append(
                ConfigProblem(f"{at}.serve.gpus", f"there is no GPU {strange[0]} to use", f"there are {list(allowed)}")
            )
        if usable is not None and need > len(usable):
            problems.append(
                ConfigProblem(
                    f"{at}.serve",
                    f"needs {need} GPUs ({spec.replicas} servers of {spec.gpus_each}), and {len(usable)} may be used",
                    "lower `replicas`, `tensor_parallel` or `data_parallel`, or name more `gpus`",
                )
            )
    return problems


def masked(arguments: Sequence[str]) -> list[str]:
    """Arguments as they may be shown and kept: without the values of flags that name a secret."""
    shown: list[str] = []
    hide = False
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        is_secret = bool(_SECRET_FLAG.match(flag))
        shown.append(
            "***" if hide and not argument.startswith("-") else f"{flag}=***" if is_secret and equals else argument
        )
        hide = is_secret and not equals
    return shown


def _text(arguments: Sequence[str], *flags: str) -> str | None:
    """The value of a flag, written `--flag value` or `--flag=value`; underscores count as dashes, as vLLM has it."""
    value = None
    for at, argument in enumerate(arguments):
        flag, equals, rest = argument.partition("=")
        if flag.replace("_", "-") in flags:
            value = rest if equals else (arguments[at + 1] if at + 1 < len(arguments) else None)
    return value


def _number(arguments: Sequence[str], *flags: str) -> int | None:
    told = _text(arguments, *flags)
    return int(told) if told is not None and told.isdecimal() and int(told) > 0 else None


def _share(told: str | None) -> float:
    try:
        share = float(told) if told is not None else VLLM_SHARE
    except ValueError:
        return VLLM_SHARE
    return min(1.0, share) if share > 0 else VLLM_SHARE


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


def server_plan(config: Config, names: Iterable[str], judging: Collection[str]) -> ServerPlan:
    """The servers that the entries `names` need, with those of `judging` behind the others.

    Asks the driver which GPUs there are: not for the event loop. Raises ConfigError for what can never be served here.
    """
    specs = server_specs(config, names)
    if not specs:
        return ServerPlan()
    gpus = gpu_indices()
    problems = spec_problems(config, specs, gpus)
    if problems:
        raise ConfigError(str(config.file or "config"), problems)
    return plan_servers(specs, judging, gpus, config.vllm.gpus)
