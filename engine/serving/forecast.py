"""Forecast how long servers take to start and a plan to run: from earlier runs, else from the size of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from engine.serving.plan import PlannedServer, ServerPlan, ServerSpec

ASSUMED_START = 60.0  # seconds without the weights: imports, profiling, CUDA graphs
ASSUMED_LOADING = 1e9  # bytes per second from a local disk
RECENT_STARTS = 5  # of a model, whose median is the forecast


@dataclass(frozen=True)
class ServerTurn:
    """One server's turn, in seconds from the start of the run; `measured` if its start time is from earlier runs."""

    server: PlannedServer
    begins: float
    starts_in: float
    works_for: float
    measured: bool

    @property
    def ends(self) -> float:
        return self.begins + self.starts_in + self.works_for


def turns(
    plan: ServerPlan, works_for: Mapping[str, float], runs: Sequence[Mapping[str, Any]], judging: Iterable[str]
) -> list[ServerTurn]:
    """Return when each server runs; `works_for` gives the seconds of calls per entry of the config."""
    found: list[ServerTurn] = []
    judges = set(judging)
    for server in plan.servers:
        starts_in, measured = start_seconds(server.spec, runs)
        begins = _begin(plan, server, found)
        work = max((works_for.get(entry, 0.0) for entry in server.spec.entries), default=0.0) / server.spec.replicas
        found.append(ServerTurn(server, begins, starts_in, work, measured))
    if not plan.side_by_side:
        return found
    answered = max((turn.ends for turn in found if not judges & set(turn.server.spec.entries)), default=0.0)
    return [  # a judge beside the answering models finishes after the last answer
        replace(turn, works_for=max(turn.works_for, answered - turn.starts_in))
        if judges & set(turn.server.spec.entries)
        else turn
        for turn in found
    ]


def start_seconds(spec: ServerSpec, runs: Sequence[Mapping[str, Any]]) -> tuple[float, bool]:
    """Return the seconds until a server of this model is ready, and whether that was measured."""
    took = [
        float(server["started_in"])
        for run in runs
        for server in run.get("servers", ())
        if server.get("model") == spec.model and isinstance(server.get("started_in"), int | float)
    ][-RECENT_STARTS:]
    if took:
        return median(took), True
    return ASSUMED_START + _weights(spec) / ASSUMED_LOADING, False


def _begin(plan: ServerPlan, server: PlannedServer, earlier: Sequence[ServerTurn]) -> float:
    """Return when the server and its other replicas may start: the first moment when all fit."""
    together = [other for other in plan.servers if other.spec is server.spec]
    others = [turn for turn in earlier if turn.server not in together]
    for moment in sorted({0.0, *(turn.ends for turn in others)}):
        finished = [turn.server for turn in others if turn.ends <= moment]
        if all(plan.may_start(each, finished) for each in together):
            return moment
    return max((turn.ends for turn in others), default=0.0)


def _weights(spec: ServerSpec) -> int:
    folder = Path(spec.model)
    if not spec.is_folder or not folder.is_dir():
        return 0
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".safetensors", ".bin", ".gguf"))
