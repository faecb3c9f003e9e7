"""Servers that stay up from one checkpoint to the next: of the judges, and of the base that adapters are loaded on.

They are kept only where they fit beside each other and beside the server of a checkpoint; else each run starts its own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
from pydantic import SecretStr

from engine.config.adapters import read_adapter
from engine.config.model import Config, ModelConfig
from engine.config.servers import EndpointConfig
from engine.errors import CallFailed, UsageProblem
from engine.events import Event
from engine.models.connection import FAULTS, fetch, open_session
from engine.models.endpoint import Endpoint
from engine.serving.adapters import RUNTIME_LOADING, base_stays_itself, load_adapter
from engine.serving.endpoints import Demand, NoEndpoints
from engine.serving.fleet import Fleet
from engine.serving.gpus import GpuQueryFailed, gpu_indices, query_gpus
from engine.serving.listing import endpoints_of
from engine.serving.plan import HUB_RANK, LORA_RANKS, ServedAdapter, flag_value, server_plan, server_specs
from engine.serving.server import VllmServer
from engine.watching.entries import with_entry
from engine.watching.ledger import WatchedCheckpoint

MOST_LOADED = 4  # adapters in one batch: that of a checkpoint and of the best, and room for those before
_UNLOAD_SECONDS = 60.0
_LARGEST_REPLY = 1 << 20  # bytes
_IDLE_LOAD = 10.0  # percent, of a GPU that counts as idle
_IDLE_SHARE = 0.1  # of its memory


class KeptServers:
    """The servers that a watch keeps. `config` of each call is that of the evaluation that is next.

    `close` stops them all; a later `serve` starts what it needs again.
    """

    def __init__(self, logs: Path, emit: Callable[[Event], None], grace: float) -> None:
        self._logs = logs
        self._emit = emit
        self._grace = grace
        self._stack: AsyncExitStack | None = None
        self._fleet: Fleet | None = None
        self._endpoints: dict[str, Sequence[Endpoint]] = {}
        self._servers: list[VllmServer] = []
        self._rank = 0  # of adapters that the base takes
        self._mixes: dict[str, bool] = {}  # by base: whether it is itself beside adapters

    @property
    def is_up(self) -> bool:
        return self._stack is not None

    @property
    def gpus(self) -> set[int]:
        """The GPUs that they have."""
        servers = self._fleet.servers if self._fleet is not None else {}
        return {gpu for planned in servers for gpu in planned.gpus}

    async def serve(self, config: Config, checkpoint: WatchedCheckpoint, like: str) -> Config:
        """Return the config of an evaluation: with the addresses of the kept servers, which are started if they fit.

        An adapter is loaded on the server of its base. Raises ArenaError where that cannot be.
        """
        kept = [judge for judge in config.judge.model if config.models[judge].serve is not None]
        base = config.models[like]
        rank = _rank(checkpoint)
        if checkpoint.kind == "adapter" and base.serve is not None:
            kept.append(like)
            config = with_entry(config, like, _taking_adapters(base, max(rank, self._rank)))
        if not self._covers(kept, rank if checkpoint.kind == "adapter" else 0):
            await self.close()
            if kept and not await self._start(config, checkpoint, kept):
                return config
            self._rank = max(rank, self._rank) if like in kept else 0
        if checkpoint.kind == "model" and not self._leaves_room(config, checkpoint):
            await self.close()
            return config
        config = self._beside(config, checkpoint)
        for name, endpoints in self._endpoints.items():
            config = with_entry(config, name, _at(config.models[name], endpoints))
        if checkpoint.kind == "adapter":
            where = self._endpoints.get(like) or endpoints_of(config, like)
            await self._load(checkpoint, where)
            config = with_entry(config, checkpoint.model, _at(config.models[checkpoint.model], where))
        return config

    async def mixes(self, config: Config, checkpoint: WatchedCheckpoint, like: str) -> bool:
        """Return whether judges may be called while the adapter is: they are served elsewhere, or stay themselves."""
        where = self._endpoints.get(like) or endpoints_of(config, like)
        addresses = {endpoint.address for endpoint in where}
        judges = [each.address for judge in config.judge.model for each in endpoints_of(config, judge)]
        if checkpoint.kind != "adapter" or addresses.isdisjoint(judges):
            return True
        if like not in self._mixes:
            async with open_session() as session:
                served = config.served_name(like)
                self._mixes[like] = await base_stays_itself(session, where[0], served, [checkpoint.model])
        return self._mixes[like]

    async def close(self) -> None:
        """Stop the servers and wait until no process of them is left."""
        stack, self._stack, self._fleet = self._stack, None, None
        self._endpoints, self._mixes, self._servers = {}, {}, []
        if stack is not None:
            await stack.aclose()

    def abort(self) -> None:
        """End the starts; with the next `close` nothing is waited for."""
        if self._fleet is not None:
            self._fleet.stop()

    def _covers(self, kept: Sequence[str], rank: int) -> bool:
        """Return whether the servers that are up are those that are wanted, and all of them run."""
        if self._fleet is None:
            return not kept
        runs = all(server.is_ready for server in self._servers)
        return runs and set(kept) <= set(self._endpoints) and rank <= self._rank

    async def _start(self, config: Config, checkpoint: WatchedCheckpoint, kept: Sequence[str]) -> bool:
        """Start the kept servers if they fit; return whether they run."""
        names = list(dict.fromkeys(kept))
        wanted = [*names, checkpoint.model] if checkpoint.kind == "model" else names
        judges = list(config.judge.model)
        plan = await asyncio.to_thread(server_plan, config, wanted, judges)
        if not plan.all_at_once:
            return False
        plan = replace(plan, servers=[each for each in plan.servers if set(each.spec.entries) & set(names)])
        fleet = Fleet(config, plan, names, NoEndpoints(), logs=self._logs, emit=self._emit, grace=self._grace)
        stack = AsyncExitStack()
        stack.push_async_callback(fleet.close)
        self._fleet = fleet
        try:
            await fleet.prepare()
            for name in names:
                found = await stack.enter_async_context(fleet.open(name, Demand()))
                if not found.endpoints:
                    raise UsageProblem(f"{name}: no server for it", f"see its log in {self._logs}")
                self._endpoints[name] = found.endpoints
                self._servers += [server for server in found.servers if isinstance(server, VllmServer)]
        except BaseException:
            self._fleet, self._endpoints, self._servers = None, {}, []
            await stack.aclose()
            raise
        self._stack = stack
        return True

    def _free(self, config: Config, checkpoint: WatchedCheckpoint) -> tuple[list[int], int] | None:
        """Return the GPUs with room for the server of a checkpoint beside the kept ones, and how many it takes; None
        where there is nothing to choose."""
        specs = server_specs(config, [checkpoint.model])
        if not self.gpus or config.vllm.gpus is None or not specs or checkpoint.kind == "adapter":
            return None
        taken: dict[int, float] = defaultdict(float)
        for planned in self._fleet.servers if self._fleet is not None else ():
            for gpu in planned.gpus:
                taken[gpu] += planned.share
        free = [gpu for gpu in config.vllm.gpus if taken[gpu] + specs[0].share <= 1.0 + 1e-9]
        return free, specs[0].gpus_each * max(1, specs[0].replicas)

    def _leaves_room(self, config: Config, checkpoint: WatchedCheckpoint) -> bool:
        free = self._free(config, checkpoint)
        return free is None or len(free[0]) >= free[1]

    def _beside(self, config: Config, checkpoint: WatchedCheckpoint) -> Config:
        """Return the config with the GPUs that the kept servers leave to that of the checkpoint."""
        free = self._free(config, checkpoint)
        return config if free is None else on_gpus(config, free[0])

    async def _load(self, checkpoint: WatchedCheckpoint, where: Sequence[Endpoint]) -> None:
        adapter = ServedAdapter(checkpoint.model, checkpoint.model, checkpoint.path)
        async with open_session() as session:
            for endpoint in where:
                body = msgspec.json.encode({"lora_name": checkpoint.model})
                url = endpoint.url("unload_lora_adapter")
                with suppress(CallFailed, *FAULTS):  # one of this name may be there from before
                    await fetch(session, endpoint, url, time_limit=_UNLOAD_SECONDS, largest=_LARGEST_REPLY, body=body)
                if problem := await load_adapter(session, endpoint, adapter):
                    raise UsageProblem(
                        f"{checkpoint.model}: adapter cannot be used: {problem}",
                        "a server of your own needs --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1",
                    )


def on_gpus(config: Config, gpus: Sequence[int]) -> Config:
    """Return the config with the GPUs that servers may be started on."""
    return config.model_copy(update={"vllm": config.vllm.model_copy(update={"gpus": list(gpus)})})


def idle_gpus(own: set[int]) -> list[int] | None:
    """Return the GPUs that no program uses, and those of `own` servers; None on a machine without any. Blocks."""
    try:
        gpus = query_gpus()
    except GpuQueryFailed:
        return None
    visible = gpu_indices()
    if not gpus or visible is None:
        return None
    return [
        gpu.index
        for gpu in gpus
        if gpu.index in visible
        and (gpu.index in own or (gpu.used_share < _IDLE_SHARE and (gpu.load or 0.0) < _IDLE_LOAD))
    ]


def _rank(checkpoint: WatchedCheckpoint) -> int:
    """Return the rank of an adapter as vLLM makes room for it; 0 for a model."""
    if checkpoint.kind == "model":
        return 0
    try:
        rank = read_adapter(Path(checkpoint.path)).rank
    except ValueError:
        rank = HUB_RANK
    return next((each for each in LORA_RANKS if each >= rank), LORA_RANKS[-1])


def _taking_adapters(base: ModelConfig, rank: int) -> ModelConfig:
    """Return the entry of a base whose server loads adapters while it runs."""
    assert base.serve is not None
    arguments = list(base.serve.args)
    if "--enable-lora" not in arguments:
        arguments.append("--enable-lora")
    wanted = {"--max-loras": MOST_LOADED, "--max-cpu-loras": 2 * MOST_LOADED, "--max-lora-rank": rank}
    for flag, value in wanted.items():
        if flag_value(arguments, flag) is None:
            arguments += [flag, str(value)]
    environment = base.serve.env | {name: SecretStr(value) for name, value in RUNTIME_LOADING.items()}
    serve = base.serve.model_copy(update={"args": arguments, "env": environment})
    return base.model_copy(update={"serve": serve})


def _at(entry: ModelConfig, endpoints: Sequence[Endpoint]) -> ModelConfig:
    """Return an entry that is called at these addresses, and for which no server is started."""
    addresses = [
        EndpointConfig(base_url=each.base_url, api_key=SecretStr(each.api_key) if each.api_key else None)
        for each in endpoints
    ]
    return entry.model_copy(update={"endpoints": addresses, "serve": None})
