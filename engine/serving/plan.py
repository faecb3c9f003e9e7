"""Which servers a config needs, on which GPUs, and in which order. Pure but for `server_plan`, which asks the driver.

Entries with the same model and the same [serve] table (they differ in sampling or system prompt) share a server. Every
server is started once. If the judges fit beside the answering models, they get GPUs of their own (or a share of the
memory) for the whole run and judge while the others answer; otherwise the answering models run first and the judges
follow on the same GPUs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from engine.config.adapters import adapter_folder, read_adapter, unfit_for
from engine.config.model import Config
from engine.config.servers import ServeConfig
from engine.errors import ConfigError, ConfigProblem
from engine.serving.gpus import gpu_indices

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
HUB_RANK = 64  # assumed of an adapter whose config is not on this machine
MOST_IN_A_BATCH = 8  # adapters; each more takes memory for its weights
VLLM_SHARE = 0.92  # of a GPU's memory, vLLM's default
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class ServedAdapter:
    """A LoRA adapter that a server loads under `served_name`: its path or hub name, or why it cannot be loaded."""

    entry: str
    served_name: str
    path: str
    problem: str = ""


@dataclass(frozen=True, eq=False)
class ServerSpec:
    """One model to serve, as `replicas` servers of `gpus_each` GPUs, with the LoRA `adapters` that it loads.

    0 `replicas` are as many as fit. `share` is the share (0..1) of each GPU's memory per server, `pinned` the GPUs that
    the config names, `arguments` those of `vllm serve` after the model, without host, port and names. One that `spans`
    nodes of a cluster is larger than any of them.
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
    adapters: tuple[ServedAdapter, ...] = ()
    spans: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the config; they may hold secrets."""
        return {name: value.get_secret_value() for name, value in self.serve.env.items()}


def server_specs(config: Config, names: Iterable[str]) -> list[ServerSpec]:
    """Return the servers for those entries in `names` that have a [serve] table, in that order."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name in names:
        serve = config.models[name].serve
        if serve is not None and config.models[name].registry is None:  # else others start its servers
            server = _server_entry(config, name)
            what = serve.model_dump_json() + repr(sorted((k, v.get_secret_value()) for k, v in serve.env.items()))
            alone = server if config.models[name].endpoints else ""  # a fixed port cannot be shared
            if server != name and name in config.judge.model:
                alone = name  # an adapter that judges must not wait for the base that answers, nor be mixed with it
            grouped.setdefault((config.served_name(server), what + alone), []).append(name)
    return [_spec(config, tuple(entries)) for entries in grouped.values()]


def _server_entry(config: Config, name: str) -> str:
    """Return the entry whose model a server of `name` loads: the base of an adapter."""
    entry = config.models[name]
    return entry.base if entry.adapter is not None and entry.base is not None else name


def _spec(config: Config, entries: tuple[str, ...]) -> ServerSpec:
    serve = config.models[entries[0]].serve
    assert serve is not None
    model = config.served_name(_server_entry(config, entries[0]))
    folder = model_folder(config, model)
    replicas = 0 if serve.replicas == "max" else serve.replicas  # see `_filled`
    adapters, adapter_arguments = _adapters(config, entries, serve, folder)
    arguments = [*serve.args, *adapter_arguments]
    tensor = serve.tensor_parallel or _number(serve.args, "--tensor-parallel-size", "-tp")
    data = serve.data_parallel or _number(serve.args, "--data-parallel-size", "-dp") or 1
    pipeline = _number(serve.args, "--pipeline-parallel-size", "-pp") or 1
    if tensor is None:  # use all GPUs that the config names
        tensor = max(1, len(serve.gpus or ()) // (replicas * data * pipeline)) if replicas else 1
    for flag, value in (("--tensor-parallel-size", tensor), ("--data-parallel-size", data)):
        short = "-tp" if flag.startswith("--t") else "-dp"
        if value > 1 and flag_value(serve.args, flag, short) is None:
            arguments += [flag, str(value)]
    given = flag_value(serve.args, "--gpu-memory-utilization")
    if serve.memory is not None and given is None:
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
        replicas=replicas,
        share=serve.memory or _share(given),
        pinned=tuple(serve.gpus) if serve.gpus is not None else None,
        adapters=adapters,
    )


def _adapters(
    config: Config, entries: Iterable[str], serve: ServeConfig, base: Path | None
) -> tuple[tuple[ServedAdapter, ...], list[str]]:
    """Return the adapters among the entries, and the arguments that a server needs for them."""
    beside = config.file.parent if config.file else Path()
    largest = _number(serve.args, "--max-lora-rank") or LORA_RANKS[-1]
    adapters, ranks = [], [1]
    for name in entries:
        adapter = config.models[name].adapter
        if adapter is None:
            continue
        folder, rank, problem = adapter_folder(adapter, beside), HUB_RANK, ""
        if folder is not None:
            try:
                found = read_adapter(folder)
                rank, problem = found.rank, unfit_for(found, base) if base is not None else ""
            except ValueError as error:
                rank, problem = 1, str(error)
        if rank > largest:
            rank, problem = 1, f"its rank is {rank}, and its server takes at most {largest}"
        ranks.append(rank)
        adapters.append(ServedAdapter(name, config.served_name(name), str(folder or adapter), problem))
    if not adapters:
        return (), []
    rank = next(each for each in LORA_RANKS if each >= max(ranks))
    wanted = {
        "--max-loras": min(len(adapters), MOST_IN_A_BATCH),
        "--max-cpu-loras": len(adapters),
        "--max-lora-rank": rank,
    }
    arguments = [] if "--enable-lora" in serve.args else ["--enable-lora"]
    for flag, value in wanted.items():
        if flag_value(serve.args, flag) is None:
            arguments += [flag, str(value)]
    return tuple(adapters), arguments


def model_folder(config: Config, model: str) -> Path | None:
    """Return the folder if the model is a path; None for a name on the hub.

    A name that looks like a path is one, even if nothing exists there; other names are if a folder beside the config
    has that name.
    """
    beside = config.file.parent if config.file else Path()
    path = beside / Path(model).expanduser()
    looks_like_path = model.startswith(("/", "./", "../", "~")) or not _HUB_NAME.fullmatch(model)
    return path.resolve() if looks_like_path or path.is_dir() else None


def spec_problems(config: Config, specs: Sequence[ServerSpec], gpus: Sequence[int] | None) -> list[ConfigProblem]:
    """Return which servers do not fit on a machine with these GPUs (None: without any)."""
    problems = []
    for spec in specs:
        at = f"models.{spec.name}"
        need = spec.gpus_each * max(1, spec.replicas)
        allowed = config.vllm.gpus if config.vllm.gpus is not None else gpus
        usable = spec.pinned or allowed
        if spec.pinned and allowed is not None and (unknown := sorted(set(spec.pinned) - set(allowed))):
            problems.append(
                ConfigProblem(f"{at}.serve.gpus", f"GPU {unknown[0]} not available", f"available: {list(allowed)}")
            )
        if usable is not None and need > len(usable):
            problems.append(
                ConfigProblem(
                    f"{at}.serve",
                    f"needs {need} GPUs ({spec.replicas} servers of {spec.gpus_each}), {len(usable)} available",
                    "lower `replicas`, `tensor_parallel` or `data_parallel`, or name more `gpus`",
                )
            )
    return problems


def _cluster_problems(config: Config, specs: Sequence[ServerSpec], largest: int) -> Iterator[ConfigProblem]:
    """Yield what cannot be placed on a cluster whose largest node has so many GPUs."""
    if config.vllm.gpus is not None:
        yield ConfigProblem("vllm.gpus", "applies to this machine, not to a cluster", "remove it")
    for spec in specs:
        if spec.pinned:
            hint = "remove it; `tensor_parallel` says how many a server takes"
            yield ConfigProblem(f"models.{spec.name}.serve.gpus", "applies to this machine, not to a cluster", hint)
        elif spec.gpus_each > largest and not spec.spans:
            message = f"needs {spec.gpus_each} GPUs on one node; the largest node has {largest}"
            yield ConfigProblem(f"models.{spec.name}.serve", message, "lower `tensor_parallel` or `data_parallel`")


def _spanning(config: Config, spec: ServerSpec, largest: int) -> ServerSpec:
    """Return a spec over several nodes if it is larger than the largest: vLLM itself takes GPUs of Ray for it."""
    data = spec.serve.data_parallel or _number(spec.serve.args, "--data-parallel-size", "-dp") or 1
    if spec.gpus_each <= largest or data > 1 or config.cluster.resource != "GPU":
        return spec
    flag = "--distributed-executor-backend"
    more = () if flag_value(spec.arguments, flag) else (flag, "ray")
    return replace(spec, spans=True, arguments=(*spec.arguments, *more))


def _filled(spec: ServerSpec, devices: Sequence[int]) -> ServerSpec:
    """Return a spec with as many replicas as fit on the devices, if it asks for those."""
    if spec.replicas:
        return spec
    usable = [device for device in devices if spec.pinned is None or device in spec.pinned]
    return replace(spec, replicas=max(1, len(usable) // spec.gpus_each))


def flag_value(arguments: Sequence[str], *flags: str) -> str | None:
    """Return the value of a flag, `--flag value` or `--flag=value`; underscores count as dashes, as in vLLM."""
    value = None
    for at, argument in enumerate(arguments):
        flag, equals, rest = argument.partition("=")
        if flag.replace("_", "-") in flags:
            value = rest if equals else (arguments[at + 1] if at + 1 < len(arguments) else None)
    return value


def _number(arguments: Sequence[str], *flags: str) -> int | None:
    given = flag_value(arguments, *flags)
    return int(given) if given is not None and given.isdecimal() and int(given) > 0 else None


def _share(given: str | None) -> float:
    try:
        share = float(given) if given is not None else VLLM_SHARE
    except ValueError:
        return VLLM_SHARE
    return min(1.0, share) if share > 0 else VLLM_SHARE


NO_GPU = -1  # the one device of a machine without GPUs, on which a server takes its share of `memory`, or all
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
        return (
            self.spec.name if self.spec.replicas == 1 and not self.replica else f"{self.spec.name} #{self.replica + 1}"
        )

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
        """Whether all servers fit together, so that none waits for another to stop."""
        return all(self.may_start(server, ()) for server in self.servers)

    def of(self, entry: str) -> list[PlannedServer]:
        """Return the servers (replicas) of an entry of the config."""
        return [server for server in self.servers if entry in server.spec.entries]

    def may_start(self, server: PlannedServer, finished: Collection[PlannedServer]) -> bool:
        """Return whether the server fits beside all earlier ones that have not finished."""
        earlier = [other for other in self.servers[: self.servers.index(server)] if other not in finished]
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
    specs = [_filled(spec, devices) for spec in specs]
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
    """Return a plan with all judges at once and the others' turns beside them; None if that does not fit."""
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
    """Place every spec that fits, on the least loaded devices; servers on one device run one after another."""
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
    """Place the replicas of a spec on free devices of their own, least loaded first; None if they do not fit."""
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
    """Plan the servers for the entries `names` on this machine, those in `judging` last.

    With [cluster] they are those of its nodes, numbered through. Blocks on the GPU driver or the cluster: call it in a
    thread. Raises ConfigError for servers that do not fit there.
    """
    specs = server_specs(config, names)
    if not specs:
        return ServerPlan()
    problems = []
    if config.cluster.engine == "ray":
        from engine.serving.nodes import node_devices

        nodes = node_devices(config.cluster)
        gpus: list[int] | None = list(range(sum(nodes)))
        specs = [_spanning(config, spec, max(nodes)) for spec in specs]
        problems = list(_cluster_problems(config, specs, max(nodes)))
    else:
        gpus = gpu_indices()
    problems = problems or spec_problems(config, specs, gpus)
    if problems:
        raise ConfigError(str(config.file or "config"), problems)
    return plan_servers(specs, judging, gpus, config.vllm.gpus)
