"""Real vLLM servers placed by Ray on the nodes of a cluster that is simulated on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import parse_config
from engine.run import Run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'arena-tui[ray]'")

pytestmark = [pytest.mark.vllm, pytest.mark.ray]
TOY = "toy_gpu"  # the resource that stands for a GPU
QUESTIONS = 4
LIMIT = 900.0  # seconds for the run; two servers start


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one toy GPU each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "resources": {TOY: 1}}
    started = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        started.add_node(**node)
        yield started
    finally:
        import ray

        ray.shutdown()
        started.shutdown()


def processes(bench: Path) -> list[int]:
    """Live processes of the servers in the ledgers of the nodes."""
    sessions = {int(file.stem.removeprefix("server-")) for file in (bench / "logs").rglob("server-*.json")}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, _group, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if int(session) in sessions and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


async def test_real_servers_on_the_nodes_of_a_cluster_answer_and_judge(
    vllm_command: Path, tiny_model: Path, cluster: Any, tmp_path: Path
) -> None:
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))
    variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CACHE_ROOT": str(tmp_path / "cache")}
    serve = {"args": ["--enforce-eager"], "env": variables}
    entry = {"model": str(tiny_model), "serve": serve, "parallel": 2}
    document = {
        "bench": "small",
        "data": str(tmp_path / "data"),
        "answers": {"models": ["base", "brief"], "max_tokens": 16},
        "judge": {"model": "judge", "baseline": "base", "verdict": "constrained"},
        "vllm": {"command": [str(vllm_command)]},
        "cluster": {"engine": "ray", "address": cluster.address, "resource": TOY},
        "models": {
            "base": entry,
            "brief": entry | {"system_prompt": "Be brief."},
            "judge": entry | {"serve": serve | {"args": ["--enforce-eager", "--seed", "1"]}},
        },
    }
    run = Run(parse_config(document, tmp_path / "config.toml", {}))
    seen: set[int] = set()
    run.listen(lambda _: seen.update(processes(bench)) if not seen else None)
    async with asyncio.timeout(LIMIT):
        await run.execute()
    told = "\n".join(notice.text for notice in run.state.notices)
    assert run.state.phase == "done", told
    lines = (bench / "model_judgment" / "judge" / "brief.jsonl").read_text().splitlines()
    assert len(lines) == QUESTIONS
    assert seen, "no process of a server was ever seen"
    assert not [pid for pid in seen if "State:\tZ" not in _status(pid)]
    assert not processes(bench)


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"
