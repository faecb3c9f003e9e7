"""What each node of a Ray cluster lacks to run the servers of a plan: the program, models by path, the same version."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from engine.config.servers import ClusterConfig
from engine.serving.model_folder import folder_problems
from engine.serving.nodes import connect
from engine.serving.place import program_problem
from engine.serving.plan import ServerSpec
from engine.serving.server_log import Cause
from engine.version import __version__

LOOK_SECONDS = 60.0  # for all nodes: each starts a process for the look


@dataclass(frozen=True)
class NodeReport:
    """What was found on a node: its name, address and devices, the program there, and problems by entry of the config.

    Problems of the node itself are those of "".
    """

    node: str
    address: str
    devices: int
    program: str
    problems: Mapping[str, Sequence[Cause]]


def examine_nodes(cluster: ClusterConfig, specs: Sequence[ServerSpec], program: str) -> list[NodeReport]:
    """Look at every live node that has devices. Blocks. Raises ConfigError where there is no cluster."""
    ray = connect(cluster)
    pinned = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"] and int(node["Resources"].get(cluster.resource, 0))]
    looks = {}
    for node in nodes:
        task = ray.remote(_look).options(num_cpus=0, max_retries=0, scheduling_strategy=pinned(node["NodeID"], False))
        looks[node["NodeID"]] = task.remote(specs, program, __version__)
    ray.wait(list(looks.values()), num_returns=max(1, len(looks)), timeout=LOOK_SECONDS)
    reports = []
    for node in nodes:
        address, devices = node["NodeManagerAddress"], int(node["Resources"][cluster.resource])
        try:
            name, path, problems = ray.get(looks[node["NodeID"]], timeout=0)
        except ray.exceptions.GetTimeoutError:
            cause = Cause(f"no reply within {LOOK_SECONDS:.0f} s", "look at the node with `ray status`")
            name, path, problems = node["NodeManagerHostname"], "", {"": [cause]}
        except ray.exceptions.RayError as error:
            first = next((line for line in str(error).splitlines()[::-1] if line.strip()), type(error).__name__)
            cause = Cause(first.strip()[:200], "install arena-tui, in the same version, on every node")
            name, path, problems = node["NodeManagerHostname"], "", {"": [cause]}
        reports.append(NodeReport(name, address, devices, path, problems))
    return sorted(reports, key=lambda report: (report.node, report.address))


def _look(specs: Sequence[ServerSpec], program: str, version: str) -> tuple[str, str, dict[str, list[Cause]]]:
    """Return the name of this node, the path of the program here, and what prevents a start. Runs on the node."""
    problems: dict[str, list[Cause]] = {"": []}
    if version != __version__:
        cause = Cause(f"arena-tui {__version__} there, {version} here", "install the same version on all nodes")
        problems[""].append(cause)
    if (missing := program_problem(program)) is not None:
        problems[""].append(missing)
    problems |= {spec.name: list(folder_problems(spec)) for spec in specs}
    return socket.gethostname(), shutil.which(program) or "", problems
