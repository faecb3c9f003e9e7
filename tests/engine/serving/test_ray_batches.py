"""Rounds by Ray Data on a real Ray cluster of three nodes: its own LLM processor, with a stand-in for vLLM."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yard import QUESTIONS, Yard, is_alive, until

from engine.batch.failed import BatchFailed
from engine.batch.local import Progress, RoundEnded, run_batches
from engine.config.load import parse_config
from engine.errors import UsageProblem
from engine.work.plan import Scope

pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'arena-tui[ray]'")

pytestmark = pytest.mark.ray
PACKAGES = Path(__file__).with_name("fake_packages")
TOY = "toy_gpu"
LIMITS: dict[str, Any] = {"max_requests": 3, "max_bytes": 10**8, "on_cluster": True}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes with a toy GPU each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "resources": {TOY: 1}}
    started = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        for _ in range(2):
            started.add_node(**node)
        yield started
    finally:
        import ray

        ray.shutdown()
        started.shutdown()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def cast(yard: Yard, **base: Any) -> dict[str, Any]:
    models = {"base": yard.model("base", **base), "other": yard.model("other"), "judge": yard.model("judge")}
    for entry in models.values():
        entry["serve"] = {"args": ["--max-model-len", "90000"], "env": {"PYTHONPATH": str(PACKAGES)}, "replicas": 2}
    return models


def config_of(yard: Yard, cluster: Any, models: dict[str, Any], **more: Any) -> Any:
    document = {
        "bench": "small",
        "data": str(yard.folder / "data"),
        "judge": {"model": "judge", "baseline": "base"},
        "vllm": {"command": [sys.executable]},
        "cluster": {"engine": "ray", "address": cluster.address, "resource": TOY},
        "models": models,
    }
    return parse_config(document | more, yard.folder / "config.toml", {})


async def made(yard: Yard, config: Any, heard: list[Any]) -> int:
    async with asyncio.timeout(300):
        return await run_batches(config, yard.folder / "batches", Scope(), heard.append, **LIMITS)


async def test_rounds_of_ray_data_make_answers_then_judgments(cluster: Any, yard: Yard) -> None:
    heard: list[Any] = []
    models = cast(yard)
    assert await made(yard, config_of(yard, cluster, models), heard) == 0
    rounds = [each.report for each in heard if isinstance(each, RoundEnded)]
    assert [dict(report.saved) for report in rounds] == [{"answers": 2 * QUESTIONS}, {"judgments": QUESTIONS}]
    assert not any(report.warnings or report.failed for report in rounds)
    assert [each.share for each in heard if isinstance(each, Progress)][-1] == 1.0
    assert all("max_model_len" in start for start in yard.starts("base"))  # an argument of the engine
    (answer, *_) = yard.lines("model_answer/base.jsonl")
    assert answer["choices"][0]["turns"][0]["content"] == f"An answer of {models['base']['model']}."
    orders = [json.loads(file.read_text()) for file in (yard.folder / "batches").rglob("*.job.json")]
    assert {order["count"] for order in orders} == {QUESTIONS, 2 * QUESTIONS}  # the files of a model are one job
    assert not await until_gone(yard)


async def until_gone(yard: Yard) -> list[int]:
    """Wait until no engine is left."""
    pids = {pid for name in ("base", "other", "judge") for pid in yard.pids(name)}
    await until(lambda: not any(map(is_alive, pids)))
    return [pid for pid in pids if is_alive(pid)]


async def test_an_engine_that_dies_is_replaced_and_costs_no_result(cluster: Any, yard: Yard) -> None:
    heard: list[Any] = []
    assert await made(yard, config_of(yard, cluster, cast(yard, dies_after=2)), heard) == 0
    assert (yard.folder / "models" / "base" / "died").exists()
    assert len(yard.lines("model_answer/base.jsonl")) == QUESTIONS


async def test_parts_of_a_round_that_was_killed_are_read_first(cluster: Any, yard: Yard) -> None:
    config = config_of(yard, cluster, cast(yard))
    await made(yard, config, [])
    (yard.bench / "model_answer" / "base.jsonl").unlink()
    starts = len(yard.starts("base"))
    heard: list[Any] = []
    await made(yard, config, heard)
    assert len(yard.starts("base")) == starts  # its results were still there
    assert any(isinstance(each, str) and "results that are there" in each for each in heard)


async def test_what_ray_data_cannot_make_is_said(cluster: Any, yard: Yard) -> None:
    config = config_of(yard, cluster, cast(yard))
    with pytest.raises(UsageProblem, match="no Ray cluster is configured"):
        await made(yard, config.model_copy(update={"cluster": type(config.cluster)()}), [])
    models = cast(yard)
    models["base"]["serve"]["args"] = ["--api-server-count", "2"]
    with pytest.raises(BatchFailed, match="not an argument of vLLM's engine, which Ray Data runs: --api-server-count"):
        await made(yard, config_of(yard, cluster, models), [])
    assert not await until_gone(yard)
