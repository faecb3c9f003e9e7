"""A server that is larger than any node: its GPUs are those of several nodes of a simulated Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yard import FAKE, Yard, carried_out, is_alive, until

from engine.config.load import parse_config
from engine.errors import ConfigError
from engine.events import ServerChanged
from engine.run import Run
from engine.work.reducer import device_count

pytest.importorskip("ray", reason="Ray is not installed: pip install 'arena-tui[ray]'")

pytestmark = pytest.mark.ray
PER_NODE = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes that say that they have two GPUs each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "num_gpus": PER_NODE}
    started = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        started.add_node(**node)
        yield started
    finally:
        import ray

        ray.shutdown()
        started.shutdown()


def config_of(yard: Yard, cluster: Any, size: int, **serve: Any) -> Any:
    models = {name: yard.model(name) for name in ("base", "good", "judge")}
    models["judge"]["serve"] |= {"tensor_parallel": size} | serve
    document = {
        "bench": "small",
        "data": str(yard.folder / "data"),
        "judge": {"model": "judge", "baseline": "base"},
        "vllm": {"command": FAKE},
        "cluster": {"engine": "ray", "address": cluster.address},
        "models": models,
    }
    return parse_config(document, yard.folder / "config.toml", {})


async def test_a_server_over_two_nodes_works_and_leaves_no_worker(cluster: Any, tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    run = Run(config_of(yard, cluster, 2 * PER_NODE))
    events = await carried_out(run)
    assert run.state.phase == "done", [notice.text for notice in run.state.notices]
    workers = json.loads((yard.folder / "models" / "judge" / "workers").read_text())
    assert len(workers) == 2 * PER_NODE
    assert len({node for node, _ in workers}) == 2
    assert "--distributed-executor-backend ray" in yard.starts("judge")[0]
    shown = {each.devices for each in events if isinstance(each, ServerChanged) and each.server == "judge"}
    assert any(device_count(each) == 2 * PER_NODE and each.count(f":{PER_NODE}x") == 2 for each in shown)
    await until(lambda: not any(is_alive(pid) for _, pid in workers))
    assert not yard.left()


async def test_what_no_nodes_together_have_room_for_is_a_problem(cluster: Any, tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    with pytest.raises(ConfigError, match="needs 5 GPUs"):
        await Run(config_of(yard, cluster, 2 * PER_NODE + 1)).execute()
    with pytest.raises(ConfigError, match="on one node; the largest node has 2"):
        await Run(config_of(yard, cluster, 1, data_parallel=2 * PER_NODE)).execute()
