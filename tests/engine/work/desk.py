"""A small bench and the simulated servers that a run on it calls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from engine.bench import Bench
from engine.config.load import parse_config
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig
from engine.work.plan import Scope

QUESTIONS = 6


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


class Desk:
    """A bench in a folder of its own, and the simulated server that its config names."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url, self.data = url, folder
        self.bench = folder / "small"
        self.bench.mkdir()
        questions = [
            {"question_id": f"q{n}", "category": "maths", "cluster": "c", "turns": [{"content": f"What is {n} + {n}?"}]}
            for n in range(QUESTIONS)
        ]
        self.write("question.jsonl", questions)

    def write(self, name: str, records: list[dict[str, Any]]) -> None:
        path = self.bench / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")

    def config(self, *, judge: dict[str, Any] | None = None, answers: dict[str, Any] | None = None) -> Any:
        """The config of this desk with further keys of [judge] and [answers]."""
        entry = {"endpoints": [{"base_url": f"{self.url}/v1"}], "parallel": 4, "attempts": 2}
        document = {
            "bench": "small",
            "data": str(self.data),
            "answers": answers or {},
            "judge": {"model": "judge", "baseline": "base"} | (judge or {}),
            "models": dict.fromkeys(("base", "good", "poor", "judge"), entry),
        }
        return self.parsed(document)

    @staticmethod
    def parsed(document: dict[str, Any]) -> Any:
        """A config from a document of its own."""
        return parse_config(document, None, {})

    async def run_document(self, document: dict[str, Any]) -> Run:
        """Carry out a run by a whole config document; it must end."""
        run = Run(self.parsed(document))
        async with asyncio.timeout(120):
            await run.execute()
        return run

    def bench_files(self) -> Bench:
        return Bench.open(self.data, "small")

    async def run(self, scope: Scope | None = None, **changes: Any) -> Run:
        """Carry out a run; it must end."""
        run = Run(self.config(**changes), scope)
        async with asyncio.timeout(60):
            await run.execute()
        return run

    async def calls(self) -> int:
        """Requests that the server has answered well so far."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as reply:
            text = await reply.text()
        reported = [line for line in text.split("\n") if line.startswith('simulator:requests_total{status="200"}')]
        return int(float(reported[0].split()[-1])) if reported else 0

    def answers(self, model: str) -> list[dict[str, Any]]:
        return lines(self.bench / "model_answer" / f"{model}.jsonl")

    def judgments(self, model: str) -> list[dict[str, Any]]:
        return lines(self.bench / "model_judgment" / "judge" / f"{model}.jsonl")


CAST = SimulatorConfig(
    models=(
        SimulatedModel(name="base"),
        SimulatedModel(name="good", skill=0.9, reasoning="tags"),
        SimulatedModel(name="poor", skill=0.1),
    ),
    judges=(SimulatedJudge(name="judge"),),
)
ALL_CALLS = 3 * QUESTIONS + 2 * 2 * QUESTIONS
