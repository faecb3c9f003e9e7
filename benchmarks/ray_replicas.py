"""Calls per second of a judge with six replicas placed by Ray on three nodes, against the same six started by hand.

Both are fake vLLM servers with a fixed latency, on this machine, in turns. Needs Ray: pip install 'arena-tui[ray]'.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine" / "serving"))

from yard import FAKE, Yard, listening

from engine.config.load import parse_config
from engine.events import Event, StageEnded, StageStarted
from engine.run import Run
from engine.serving.process import pick_port

NODES, PER_NODE = 3, 2


async def measured(yard: Yard, models: dict[str, Any], **tables: Any) -> float:
    """Carry out all judge calls anew; return how many were made per second."""
    shutil.rmtree(yard.bench / "model_judgment", ignore_errors=True)
    document = {
        "bench": "small",
        "data": str(yard.folder / "data"),
        "judge": {"model": "judge", "baseline": "base"},
        "vllm": {"command": FAKE},
        "models": models,
    }
    run = Run(parse_config(document | tables, yard.folder / "config.toml", {}))
    times: dict[str, float] = {}

    def note(event: Event) -> None:
        if isinstance(event, StageStarted | StageEnded) and event.stage == "judgments":
            times[type(event).__name__] = event.at

    run.listen(note)
    await run.execute()
    assert run.state.phase == "done", [notice.text for notice in run.state.notices]
    calls = sum(state.calls for (name, _), state in run.state.endpoints.items() if name == "judge")
    return calls / (times["StageEnded"] - times["StageStarted"])


async def compare(options: argparse.Namespace, address: str) -> None:
    """Print the figures of both, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        yard = Yard(Path(folder), options.questions)
        judge = yard.model("judge", latency=options.latency) | {"parallel": options.parallel}
        replicas = NODES * PER_NODE
        ports = [pick_port() for _ in range(replicas)]
        answering = {name: yard.model(name) for name in ("base", "good")}
        by_hand = {"judge": {"model": judge["model"], "parallel": options.parallel}} | answering
        by_hand["judge"]["endpoints"] = [{"base_url": f"http://127.0.0.1:{port}/v1"} for port in ports]
        by_ray = {"judge": judge | {"serve": {"replicas": replicas}}} | answering
        cluster = {"engine": "ray", "address": address, "resource": "toy_gpu"}
        figures: dict[str, list[float]] = {"by hand": [], "by Ray": []}
        for number in range(options.rounds + 1):
            servers = [
                await asyncio.create_subprocess_exec(
                    *(*FAKE, "serve", judge["model"], "--port", str(port), "--served-model-name", judge["model"]),
                    stdout=asyncio.subprocess.DEVNULL,
                )
                for port in ports
            ]
            try:
                await asyncio.gather(*map(listening, ports))
                rate = await measured(yard, by_hand)
            finally:
                for server in servers:
                    server.terminate()
                    await server.wait()
            if number:  # the first round makes the answers too
                figures["by hand"].append(rate)
                figures["by Ray"].append(await measured(yard, by_ray, cluster=cluster))
        for name, rates in figures.items():
            shown = ", ".join(f"{rate:.1f}" for rate in rates)
            print(f"{name}: {statistics.median(rates):.1f} calls/s ({shown})")
        print(f"ratio: {statistics.median(figures['by Ray']) / statistics.median(figures['by hand']):.3f}")


def main() -> None:
    """Start the cluster, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds of a call")
    parser.add_argument("--parallel", type=int, default=4, help="calls in flight at one server")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "resources": {"toy_gpu": PER_NODE}}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            cluster.add_node(**node)
        asyncio.run(compare(options, cluster.address))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
