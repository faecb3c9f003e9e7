"""Several baselines: every model is judged against each, two baselines meet once, and all games are rated together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import combinations
from typing import Any

import msgspec
import pytest
from desk import QUESTIONS, Desk

from engine.bench.run_files import Part
from engine.errors import ConfigError
from engine.events import TaskKey
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.records import Game, GamePart
from engine.results import judged_bench
from engine.work.participants import choose_participants
from engine.work.plan import Scope, make_plan


@pytest.fixture
async def desk(at_desk: Callable[..., Any]) -> AsyncIterator[Desk]:
    async with at_desk() as opened:
        yield opened


def meetings(desk: Desk) -> Counter[frozenset[str]]:
    """How many records there are of each two models."""
    return Counter(
        frozenset((record["model"], record["baseline"]))
        for file in sorted((desk.bench / "model_judgment" / "judge").glob("*.jsonl"))
        for record in map(json.loads, file.read_text("utf-8").splitlines())
    )


async def test_every_model_is_judged_against_each_baseline_and_only_once(desk: Desk) -> None:
    run = await desk.run(judge={"baseline": ["base", "good"]})
    assert run.state.phase == "done"
    pairs = [frozenset(pair) for pair in (("good", "base"), ("poor", "base"), ("poor", "good"))]
    assert meetings(desk) == dict.fromkeys(pairs, QUESTIONS)
    assert [record["baseline"] for record in desk.judgments("good")] == ["base"] * QUESTIONS
    assert set(run.state.tasks) >= {
        TaskKey("judgments", "good", "judge"),
        TaskKey("judgments", "poor", "judge"),
        TaskKey("judgments", "poor", "judge", "good"),
    }
    before = await desk.calls()
    again = await desk.run(judge={"baseline": ["base", "good"]})
    assert again.state.phase == "done"
    assert await desk.calls() == before
    assert not (desk.bench / "journal.jsonl").exists()


async def test_another_baseline_later_asks_for_its_games_alone(desk: Desk) -> None:
    await desk.run()
    before = await desk.calls()
    await desk.run(judge={"baseline": ["base", "poor"]})
    assert await desk.calls() - before == 2 * QUESTIONS  # good against poor; poor against base was there
    assert meetings(desk)[frozenset(("good", "poor"))] == QUESTIONS


async def test_naming_every_model_makes_a_round_robin_whose_games_are_rated_together(desk: Desk) -> None:
    names = ["base", "good", "poor"]
    await desk.run(judge={"baseline": names})
    assert meetings(desk) == {frozenset(pair): QUESTIONS for pair in combinations(names, 2)}
    judged = judged_bench(desk.bench_files(), ["judge"], names)
    assert judged.facts.baselines == tuple(names)
    assert len(judged.battles) == 3 * 2 * QUESTIONS
    ratings = rate_battles(judged.battles, RatingOptions(baseline="base", rounds=50))
    assert not judged.warnings
    assert not ratings.table.against_baseline_only
    assert ratings.models == ("base", "good", "poor")
    assert ratings.rate[1] > ratings.rate[2]


async def test_a_comparison_that_was_made_both_ways_round_counts_once(desk: Desk) -> None:
    await desk.run(judge={"models": ["good"]})
    await desk.run(judge={"baseline": "good", "models": ["base"]})
    assert meetings(desk) == {frozenset(("base", "good")): 2 * QUESTIONS}
    judged = judged_bench(desk.bench_files(), ["judge"], ["base", "good"])
    assert len(judged.battles) == 2 * QUESTIONS
    assert {judged.battles.models[index] for index in judged.battles.model_a} == {"base"}


async def test_a_judgment_that_names_no_baseline_counts_against_the_one_that_it_is_of(desk: Desk) -> None:
    await desk.run(judge={"models": ["poor"]})
    file = desk.bench / "model_judgment" / "judge" / "poor.jsonl"
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for record in records:
        del record["baseline"], record["inputs"]  # as other programs write them
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    judged = judged_bench(desk.bench_files(), ["judge"], ["good", "base"])
    assert len(judged.battles) == 2 * QUESTIONS
    assert {judged.battles.models[index] for index in judged.battles.model_a} == {"base"}
    assert judged.warnings == ["no model was judged against good"]


async def test_the_journal_lets_go_of_games_against_either_baseline(desk: Desk) -> None:
    await desk.run(judge={"baseline": ["base", "good"]})
    parts: list[Part] = [
        GamePart(
            record["question_id"],
            record["model"],
            record["judge"],
            record["settings"],
            record["inputs"],
            1,
            msgspec.convert(record["games"][0], Game),
        )
        for record in desk.judgments("poor")
    ]
    journal = desk.bench / "journal.jsonl"
    journal.write_bytes(b"".join(msgspec.json.encode(part) + b"\n" for part in parts))
    bench = desk.bench_files()
    assert len(bench.journal()) == 2 * QUESTIONS
    bench.compact_journal()
    assert bench.journal() == []


async def test_a_plan_names_the_baseline_of_each_task(desk: Desk) -> None:
    for model in ("base", "good", "poor"):
        choice = {"index": 0, "turns": [{"content": f"{model} says", "token_len": 2}]}
        answers = [{"question_id": f"q{n}", "model_id": model, "choices": [choice]} for n in range(QUESTIONS)]
        desk.write(f"model_answer/{model}.jsonl", answers)
    found = make_plan(desk.config(judge={"baseline": ["good", "base"]}), desk.bench_files(), Scope())
    tasks = [task.key for task in found.judgments]
    assert [(task.model, task.baseline) for task in tasks] == [("base", ""), ("poor", ""), ("poor", "base")]
    assert {job.baseline for task in found.judgments[2:] for job in task.jobs} == {"base"}  # type: ignore[union-attr]
    assert found.judgments[1].calls == found.judgments[2].calls == 2 * QUESTIONS


async def test_baselines_without_answers_or_twice_are_reported(desk: Desk) -> None:
    participants = choose_participants(desk.config(judge={"baseline": ["base", "gone"]}), (), {"base": 3, "good": 3})
    assert [(problem.key, "gone" in problem.message) for problem in participants.problems] == [("judge.baseline", True)]
    with pytest.raises(ConfigError, match="listed twice"):
        desk.config(judge={"baseline": ["base", "base"]})
    with pytest.raises(ConfigError, match="must not be empty"):
        desk.config(judge={"baseline": []})
