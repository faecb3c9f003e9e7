"""`vllm run-batch` in rounds: real processes of a fake vLLM, until nothing is left to make."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from yard import QUESTIONS, Yard, live_members

from engine.batch.failed import BatchFailed
from engine.batch.local import Progress, RoundEnded, run_batches
from engine.bench import Bench
from engine.errors import UsageProblem
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate
from engine.work.plan import Scope

LIMITS: dict[str, int] = {"max_requests": 50_000, "max_bytes": 10**8}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def cast(yard: Yard, **judge: Any) -> dict[str, Any]:
    return {"base": yard.model("base"), "other": yard.model("other"), "judge": yard.model("judge", **judge)}


async def made(yard: Yard, models: dict[str, Any], heard: list[Any], **limits: int) -> int:
    async with asyncio.timeout(120):
        return await run_batches(
            yard.config(models), yard.folder / "batches", Scope(), heard.append, **(LIMITS | limits)
        )


async def test_rounds_make_answers_then_judgments_and_end(yard: Yard) -> None:
    heard: list[Any] = []
    models = cast(yard, prefers=f"An answer of {yard.folder / 'models' / 'other'}.")
    assert await made(yard, models, heard) == 0
    rounds = [each.report for each in heard if isinstance(each, RoundEnded)]
    assert [dict(report.saved) for report in rounds] == [{"answers": 2 * QUESTIONS}, {"judgments": QUESTIONS}]
    assert [len(yard.starts(name)) for name in ("base", "other", "judge")] == [1, 1, 1]
    config = yard.config(models)
    judged = judged_bench(Bench.open(config.data, "small"), ["judge"], ["base"])
    board, _ = rate(judged, LeaderboardOptions(baseline="base"))
    assert [(row.model, round(row.score)) for row in board.rows] == [("other", 100), ("base", 50)]
    shares = [each.share for each in heard if isinstance(each, Progress)]
    assert shares[-1] == 1.0
    assert yard.left() == []
    assert not list((yard.bench / "logs").glob("server-*.json"))


async def test_files_are_shared_out_to_replicas(yard: Yard) -> None:
    models = cast(yard)
    models["base"]["serve"]["replicas"] = 2
    assert await made(yard, models, [], max_requests=1) == 0
    assert len(yard.starts("base")) == QUESTIONS
    assert len(yard.lines("model_answer/base.jsonl") or []) == QUESTIONS


async def test_a_batch_that_cannot_start_says_why_and_leaves_nothing(yard: Yard) -> None:
    models = cast(yard)
    models["base"] = yard.model("base", fail=["ValueError: No available memory for the cache blocks."])
    with pytest.raises(BatchFailed, match="base: "):
        await made(yard, models, [])
    assert (yard.bench / "logs" / "base.batch.log").read_text().count("No available memory") >= 1
    assert yard.left() == []
    assert not list((yard.folder / "batches").rglob("*.results.jsonl"))


async def test_results_that_are_there_are_read_before_anything_is_made_again(yard: Yard) -> None:
    models = cast(yard)
    await made(yard, models, [])
    folder = yard.folder / "batches" / "round-001"
    assert list(folder.glob("*.results.jsonl"))
    (yard.bench / "model_answer" / "base.jsonl").unlink()
    heard: list[Any] = []
    await made(yard, models, heard)
    assert len(yard.starts("base")) == 1  # its results were still there
    assert any(isinstance(each, str) and "results that are there" in each for each in heard)


async def test_refused_requests_end_the_rounds_with_the_reason_on_disk(yard: Yard) -> None:
    models = cast(yard)
    models["base"] = yard.model("base", refuse="What is 2?")
    with pytest.raises(BatchFailed, match="no result of this round could be taken"):
        await made(yard, models, [])
    failures = [json.loads(line) for line in (yard.bench / "errors.jsonl").read_text().splitlines()]
    assert {(failure["question_id"], failure["status"]) for failure in failures} == {("q2", 404)}
    assert len(yard.lines("model_answer/base.jsonl")) == QUESTIONS - 1


async def test_models_without_a_server_of_their_own_are_left(yard: Yard) -> None:
    models = cast(yard)
    models["judge"] = {"endpoints": [{"base_url": "http://127.0.0.1:9/v1"}]}
    assert await made(yard, models, []) == 2 * QUESTIONS
    with pytest.raises(UsageProblem, match=r"no model with calls to make has a \[serve\] table: judge"):
        await made(yard, models, [])


async def test_a_cancelled_round_leaves_no_process(yard: Yard) -> None:
    models = cast(yard)
    models["base"] = yard.model("base", batch_seconds=30)
    going = asyncio.Event()
    rounds = asyncio.create_task(
        run_batches(yard.config(models), yard.folder / "batches", Scope(), lambda _: going.set(), **LIMITS)
    )
    async with asyncio.timeout(120):
        while not yard.starts("base"):
            await asyncio.sleep(0.02)
        rounds.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rounds
    assert live_members(yard.pids("base")) == []
    assert not list((yard.folder / "batches").rglob("*.results.jsonl"))
