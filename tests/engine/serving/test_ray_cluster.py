"""Servers on a real Ray cluster of three nodes on this machine, with a fake `vllm` and a resource as GPUs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yard import FAKE, Yard, carried_out, until

from engine.config.load import parse_config
from engine.diagnosis import examine
from engine.errors import ConfigError
from engine.run import Run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'arena-tui[ray]'")

pytestmark = pytest.mark.ray
REPOSITORY = Path(__file__).resolve().parents[3]
TOY = "toy_gpu"  # the resource that stands for a GPU
PER_NODE = 2


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of three nodes, two toy GPUs each; the first one has Ray's own services."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "resources": {TOY: PER_NODE}}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            started.add_node(num_cpus=1, resources={TOY: PER_NODE})
        yield started
    finally:
        import ray

        ray.shutdown()
        started.shutdown()


@pytest.fixture
def cluster(nodes: Any) -> Any:
    """The cluster with its three nodes, once Ray has noticed what became of the others."""
    nodes.wait_for_nodes(timeout=120)
    return nodes


def kill_a_node(cluster: Any) -> None:
    """Kill a node, but for the one through which the run has joined the cluster."""
    for node in list(cluster.worker_nodes):
        try:
            cluster.remove_node(node, allow_graceful=False)
        except ValueError:
            continue
        return


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, 12)


@pytest.fixture
def long_yard(tmp_path: Path) -> Yard:
    """Enough questions for a run that outlasts what happens to its cluster."""
    return Yard(tmp_path, 60)


def cast(yard: Yard, replicas: int | str, **behaviour: Any) -> dict[str, Any]:
    models = {name: yard.model(name) for name in ("base", "good")} | {"judge": yard.model("judge", **behaviour)}
    models["judge"]["serve"]["replicas"] = replicas
    return models


def config_of(yard: Yard, cluster: Any, models: dict[str, Any], **more: Any) -> Any:
    document = {
        "bench": "small",
        "data": str(yard.folder / "data"),
        "judge": {"model": "judge", "baseline": "base"},
        "vllm": {"command": FAKE},
        "cluster": {"engine": "ray", "address": cluster.address, "resource": TOY} | more,
        "models": models,
    }
    return parse_config(document, yard.folder / "config.toml", {})


def started(config: Path) -> subprocess.Popen[str]:
    """A run as a program."""
    return subprocess.Popen(
        [sys.executable, "-m", "arena_tui", "-c", str(config), "--no-ui", "run"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(run: Run) -> str:
    return "\n".join(notice.text for notice in run.state.notices)


async def test_servers_fill_the_cluster_and_a_node_that_dies_costs_no_result(cluster, yard):
    models = cast(yard, "max", latency=1.0)
    models["judge"]["parallel"] = 1
    run = Run(config_of(yard, cluster, models))
    going = asyncio.create_task(carried_out(run))
    judging = [f"judge #{number}" for number in range(1, 3 * PER_NODE + 1)]
    await until(lambda: len(yard.lines("model_judgment/judge/good.jsonl")) >= 1 or going.done())
    run.pause()  # so that there is work left when the last server is ready
    await until(
        lambda: going.done() or all(getattr(run.state.servers.get(n), "status", "") == "ready" for n in judging)
    )
    assert not going.done(), told(run)
    assert len(set(yard.pids("judge"))) == 3 * PER_NODE
    assert len({run.state.servers[name].address for name in judging}) == 3 * PER_NODE
    run.resume()
    kill_a_node(cluster)
    try:
        lost = "server exited and is restarted: lost with node"
        await until(lambda: told(run).count(lost) == PER_NODE or going.done())
        await going
    finally:
        cluster.add_node(num_cpus=1, resources={TOY: PER_NODE})
    assert run.state.phase == "done", told(run)
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == 12
    assert not yard.left()


async def test_a_server_of_a_lost_node_goes_to_a_node_that_joins(cluster, yard):
    models = cast(yard, 3 * PER_NODE, latency=0.5)
    models["judge"]["parallel"] = 1
    run = Run(config_of(yard, cluster, models))
    going = asyncio.create_task(carried_out(run))
    await until(lambda: len(yard.lines("model_judgment/judge/good.jsonl")) >= 1 or going.done())
    kill_a_node(cluster)
    before = len(yard.pids("judge"))
    cluster.add_node(num_cpus=1, resources={TOY: PER_NODE})
    await until(lambda: len(yard.pids("judge")) > before or going.done())
    await going
    assert run.state.phase == "done", told(run)
    assert not yard.left()


async def test_a_node_that_joins_gets_further_servers_of_a_model_that_takes_all(cluster, long_yard):
    yard = long_yard
    models = cast(yard, "max", latency=0.5)
    models["judge"]["parallel"] = 1
    run = Run(config_of(yard, cluster, models))
    going = asyncio.create_task(carried_out(run))
    await until(lambda: going.done() or len(yard.lines("model_judgment/judge/good.jsonl")) >= 1)
    planned = {name for name in run.state.servers if name.startswith("judge")}
    assert len(planned) == 3 * PER_NODE, told(run)
    joined = cluster.add_node(num_cpus=1, resources={TOY: PER_NODE})
    further = [f"judge #{number}" for number in range(3 * PER_NODE + 1, 4 * PER_NODE + 1)]
    try:
        await until(
            lambda: going.done() or all(getattr(run.state.servers.get(n), "status", "") == "ready" for n in further)
        )
        assert not going.done(), told(run)
        called = {run.state.servers[name].address for name in further}
        await going
    finally:
        cluster.remove_node(joined, allow_graceful=False)
    assert run.state.phase == "done", told(run)
    assert called <= {
        address for (name, address), seen in run.state.endpoints.items() if name == "judge" and seen.calls
    }
    assert told(run).count("a further server, as node") == PER_NODE
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == 60
    assert not yard.left()


def test_the_death_of_the_head_ends_a_run_in_order(long_yard):
    yard = long_yard
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "resources": {TOY: PER_NODE}}
    mortal = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        mortal.add_node(**node)
        config = yard.written(cast(yard, 1, latency=2.0))
        config.write_text(
            f"{config.read_text()}parallel = 1\n"
            f'[cluster]\nengine = "ray"\naddress = "{mortal.address}"\nresource = "{TOY}"\n'
        )
        program = started(config)

        async def end() -> None:
            await until(lambda: yard.lines("model_judgment/judge/good.jsonl") or program.poll() is not None)
            assert program.poll() is None, program.communicate()
            for processes in mortal.head_node.all_processes.values():
                for each in processes:
                    os.kill(each.process.pid, signal.SIGKILL)
            await until(lambda: not yard.left() and program.poll() is not None)

        try:
            asyncio.run(end())
        finally:
            program.kill()
            out, err = program.communicate(timeout=60)
    finally:
        for each in list(mortal.worker_nodes):
            mortal.remove_node(each, allow_graceful=False)
    assert program.returncode == 1, err
    assert "is gone, and with it the servers; results are saved" in err
    saved = len(yard.lines("model_judgment/judge/good.jsonl"))
    assert 0 < saved < 60
    assert "95% CI" in out  # the leaderboard of what is there
    assert "records not made: no endpoint available; run the same command to resume" in err, err


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_no_end_of_the_program_leaves_a_process_and_its_stdout_holds_results_only(cluster, yard, sent):
    config = yard.written(cast(yard, 1, latency=1.0))
    config.write_text(
        config.read_text() + f'\n[cluster]\nengine = "ray"\naddress = "{cluster.address}"\nresource = "{TOY}"\n'
    )
    program = started(config)

    async def end() -> None:
        await until(lambda: yard.lines("model_judgment/judge/good.jsonl") or program.poll() is not None)
        assert program.poll() is None, program.communicate()
        assert yard.left()
        os.kill(program.pid, sent)
        await until(lambda: not yard.left() and program.poll() is not None)

    try:
        asyncio.run(end())
    finally:
        program.kill()
        out, err = program.communicate(timeout=60)
    assert out == ""
    assert "ray" not in err.lower().replace(str(REPOSITORY).lower(), ""), err


async def test_a_model_that_a_node_does_not_have_is_reported_with_the_node(cluster, yard):
    models = cast(yard, 1)
    models["good"]["model"] = str(yard.folder / "models" / "missing")
    run = Run(config_of(yard, cluster, models))
    await carried_out(run)
    assert f"node {os.uname().nodename}" in told(run)
    assert "missing not found" in told(run)
    assert not yard.left()


async def test_what_does_not_fit_on_a_node_or_does_not_exist_is_one_clear_problem(cluster, yard):
    models = cast(yard, 1)
    models["judge"]["serve"]["tensor_parallel"] = PER_NODE + 1
    with pytest.raises(ConfigError, match=f"needs {PER_NODE + 1} GPUs on one node; the largest node has {PER_NODE}"):
        await Run(config_of(yard, cluster, models)).execute()
    with pytest.raises(ConfigError, match="no node of the Ray cluster has 'moons'"):
        await Run(config_of(yard, cluster, cast(yard, 1), resource="moons")).execute()


async def test_a_diagnosis_looks_for_programs_and_models_on_every_node(cluster, yard):
    models = cast(yard, 1)
    found = [check async for check in examine(config_of(yard, cluster, models))]
    nodes = [check for check in found if check.subject.startswith("node ")]
    assert [check.status for check in nodes] == ["ok"] * 3
    assert {check.text for check in nodes} == {f"{PER_NODE} {TOY}, {FAKE[0]}"}
    assert not [check for check in found if check.subject in ("vLLM", "GPU")]
    models["good"]["model"] = str(yard.folder / "models" / "missing")
    wrong = config_of(yard, cluster, models)
    wrong = wrong.model_copy(update={"vllm": wrong.vllm.model_copy(update={"command": ["no-such-vllm"]})})
    problems = [check async for check in examine(wrong) if check.status == "problem"]
    at_node = f"node {os.uname().nodename} ("
    assert [check.subject for check in problems].count("vLLM") == 3
    assert [check.subject for check in problems].count("models.good.model") == 3
    assert all(check.text.startswith(at_node) for check in problems)
    assert "'no-such-vllm' not found" in problems[0].text
