"""Judge prompts of real answers through a bounded prefix cache: what the order of the calls is for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import parse_config
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "prefix_hits.py"


@pytest.mark.realdata
def test_prefixes_of_real_prompts_are_found_again_also_with_two_replicas(shared_data: Path):
    command = [sys.executable, BENCHMARK, "--data", shared_data / "arena-hard-ru", "--questions", "100"]
    reported = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    share = {(line[:32].strip(), int(line.split()[-3])): float(line.split()[-1]) for line in reported.splitlines()[4:]}
    assert share["question by question", 1] >= 0.97
    assert share["question by question", 2] >= 0.95
    assert share["model by model, the original", 1] < 0.7


async def records_of(folder: Path, endpoints: int, parallel: int) -> dict[str, list[dict[str, Any]]]:
    """What a run on so many servers makes, by file, without the marks of time; sorted, for the order may differ."""
    bench = folder / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(12)]
    (bench / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions))
    names = ("base", "good", "poor")
    cast = SimulatorConfig(models=[SimulatedModel(name=name) for name in names], judges=[SimulatedJudge(name="judge")])
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(running_simulator(cast)) for _ in range(endpoints)]
        entry = {"endpoints": [{"base_url": f"{url}/v1"} for url in urls], "parallel": parallel}
        judge = {"model": "judge", "baseline": "base", "temperature": 0.7, "seed": 3}
        tables = {"judge": judge, "models": dict.fromkeys((*names, "judge"), entry)}
        run = Run(parse_config({"bench": "small", "data": str(folder), **tables}, None, {}))
        async with asyncio.timeout(120):
            await run.execute()
    assert run.state.phase == "done"
    found = {}
    for path in sorted(bench.glob("model_*/**/*.jsonl")):
        lines = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
        kept = [{key: value for key, value in line.items() if key not in ("tstamp", "answer_id")} for line in lines]
        found[str(path.relative_to(bench))] = sorted(kept, key=lambda record: record["question_id"])
    return found


async def test_results_are_the_same_whatever_the_order_and_wherever_the_calls_went(tmp_path: Path):
    one_by_one = await records_of(tmp_path / "one", endpoints=1, parallel=1)
    assert await records_of(tmp_path / "many", endpoints=3, parallel=8) == one_by_one
    assert len(one_by_one) == 5
