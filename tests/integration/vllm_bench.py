"""A small bench that a real vLLM server judges, and what came of it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

from engine.bench import Bench
from engine.config.load import parse_config
from engine.run import Run


def workspace(folder: Path, questions: int, answer: str = "It is {}, I think.") -> Bench:
    """A bench with the answers of two models, one of which is the baseline."""
    root = folder / "small"
    (root / "model_answer").mkdir(parents=True)
    ids = [f"q{number}" for number in range(questions)]
    asked = [{"question_id": name, "turns": [{"content": f"What is {name}?"}]} for name in ids]
    (root / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
    for model in ("base", "south"):
        answers = [
            {
                "question_id": name,
                "answer_id": name,
                "model_id": model,
                "choices": [{"index": 0, "turns": [{"content": answer.format(f"{name} by {model}")}]}],
            }
            for name in ids
        ]
        (root / "model_answer" / f"{model}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers))
    return Bench.open(folder, "small")


async def judged(url: str, bench: Bench, **judge: Any) -> Run:
    """A run in which `judge` judges and nobody answers."""
    document = {
        "bench": "small",
        "data": str(bench.paths.root.parent),
        "answers": {"models": []},
        "judge": {"model": "judge", "baseline": "base", "max_tokens": 48} | judge,
        "models": {"judge": {"endpoints": [{"base_url": f"{url}/v1"}]}},
    }
    run = Run(parse_config(document, None, {}))
    async with asyncio.timeout(240):
        await run.execute()
    return run


def games_of(bench: Bench) -> list[dict[str, Any]]:
    lines = bench.paths.judgments("judge", "south").read_bytes().split(b"\n")[:-1]
    return [game for line in lines for game in json.loads(line)["games"]]


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)
