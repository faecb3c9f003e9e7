"""A small bench whose calls meet faults, and what must hold after any run on it, whatever happened."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from engine.config.load import parse_config
from engine.config.model import Config
from engine.run import Run

MODELS = ("base", "good", "poor")
JUDGED = ("good", "poor")
RUN_SECONDS = 120  # far more than any of these runs takes


def write_questions(bench: Path, count: int) -> None:
    bench.mkdir(parents=True, exist_ok=True)
    rows = [{"question_id": f"q{n}", "category": "", "turns": [{"content": f"Question {n}."}]} for n in range(count)]
    (bench / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def config(data: Path, *urls: str, **entry: Any) -> Config:
    endpoints = [{"base_url": url} for url in urls]
    entry = {"endpoints": endpoints, "parallel": 16, "attempts": 2, "idle_timeout": 0.3, "timeout": 3.0} | entry
    document = {
        "bench": "bench",
        "data": str(data),
        "judge": {"model": "judge", "baseline": "base", "retries": 2},
        "models": dict.fromkeys((*MODELS, "judge"), entry),
    }
    return parse_config(document, None, {})


def answer(request: dict[str, Any]) -> str:
    """What the server truly says: an answer that names its model and question, or a verdict."""
    if request["model"] == "judge":
        return "TRUE verdict: [[A>B]]"
    return f"TRUE answer of {request['model']} to {question_of(request)}."


def question_of(request: dict[str, Any]) -> int:
    """The number of the question that a request, of whatever kind, is about; 0 for the tiny call to a bad endpoint."""
    asked = re.search(r"Question (\d+)\.", request["messages"][-1]["content"])
    asked = asked or re.search(r"Question (\d+)\.", str(request["messages"]))
    return int(asked[1]) if asked else 0


def is_about_good(request: dict[str, Any]) -> bool:
    """Whether it is a game of the model `good`."""
    return request["model"] == "judge" and "answer of good" in str(request["messages"])


async def carry_out(used: Config) -> Run:
    run = Run(used)
    async with asyncio.timeout(RUN_SECONDS):
        await run.execute()
    return run


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a file, strictly; none if there is no file."""
    if not path.exists():
        return []
    data = path.read_bytes()
    assert data.endswith(b"\n"), f"{path} ends in a torn line"
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def answers(bench: Path, model: str) -> dict[str, dict[str, Any]]:
    rows = lines(bench / "model_answer" / f"{model}.jsonl")
    found = {row["question_id"]: row for row in rows}
    assert len(found) == len(rows), "an answer stands twice"
    return found


def judgments(bench: Path, model: str, judge: str = "judge") -> dict[str, dict[str, Any]]:
    rows = lines(bench / "model_judgment" / judge / f"{model}.jsonl")
    found = {row["question_id"]: row for row in rows}
    assert len(found) == len(rows), "a judgment stands twice"
    return found


def failures(bench: Path, stage: str, model: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of errors.jsonl of one task, by question."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in lines(bench / "errors.jsonl"):
        if (row["stage"], row["model"]) == (stage, model):
            found.setdefault(row["question_id"], []).append(row)
    return found


def assert_all_is_accounted_for(run: Run, bench: Path, questions: int) -> None:
    """Every call ended as a result or as one line with cause and attempts, and every count says the same."""
    every = {f"q{n}" for n in range(questions)}
    answered = {model: answers(bench, model) for model in MODELS}
    for model in MODELS:
        failed = failures(bench, "answers", model)
        assert answered[model].keys() | failed.keys() == every
        assert not answered[model].keys() & failed.keys()
        for row in answered[model].values():
            text = row["choices"][0]["turns"][0]["content"]
            assert text.startswith("TRUE"), "an error, or a part of a reply, was taken for an answer"
    for model in JUDGED:
        judged, failed = judgments(bench, model), failures(bench, "judgments", model)
        assert judged.keys() | failed.keys() == answered[model].keys() & answered["base"].keys()
        assert not judged.keys() & failed.keys()
        assert all(len(row["games"]) == 2 and all(row["games"]) for row in judged.values())
    for row in lines(bench / "errors.jsonl"):
        assert row["message"]
        assert row["attempts"] >= 1
        assert row["kind"]
    calls = Counter((r["stage"], r["model"], r["question_id"], r.get("game")) for r in lines(bench / "errors.jsonl"))
    assert set(calls.values()) <= {1}, "one line for each call"
    for key, task in run.state.tasks.items():
        read = answers if key.stage == "answers" else judgments
        lacking = questions - len(answered[key.model].keys() & answered["base"].keys())
        assert task.done == len(read(bench, key.model))
        assert task.left <= (lacking if key.stage == "judgments" else 0)
        assert task.failed == len(failures(bench, key.stage, key.model))
    assert run.state.in_flight == 0
    assert run.state.phase == ("failed" if run.state.failed else "done")
