"""Whole runs against servers that fail in every way: each call ends as a result or as one line in errors.jsonl."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_bench import (
    answer,
    answers,
    assert_all_is_accounted_for,
    carry_out,
    config,
    failures,
    is_about_good,
    judgments,
    lines,
    question_of,
    write_questions,
)
from fault_server import FAULTS, FaultServer, serving

from engine.models.retry import ODD_REPLIES, ODD_REPLY_TRIES
from engine.run import Run

NAMES = [name for name in FAULTS if name != "401"]  # a key is refused for all calls or for none: see test_outages
ATTEMPTS = 2
SERVED = ["base", "good", "poor", "judge"]


@dataclass(frozen=True)
class Outcome:
    run: Run
    bench: Path
    server: FaultServer


def fault_of(request: dict[str, Any]) -> str | None:
    """Question k of `poor` meets fault k when it is answered, and that of `good` when it is judged."""
    if request["model"] == "poor" or is_about_good(request):
        return NAMES[question_of(request)]
    return None


def outcome_of(folder: Path, strike: Any) -> Outcome:
    bench = folder / "bench"
    write_questions(bench, len(NAMES))

    async def all_of_it() -> Outcome:
        server = FaultServer(SERVED, answer, strike)
        async with serving(server) as url:
            return Outcome(await carry_out(config(folder, url, attempts=ATTEMPTS)), bench, server)

    return asyncio.run(all_of_it())


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run in which each fault strikes its calls whenever they come."""
    return outcome_of(tmp_path_factory.mktemp("lasting"), lambda request, time: fault_of(request))


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run in which each fault strikes its calls once."""
    return outcome_of(
        tmp_path_factory.mktemp("passing"), lambda request, time: fault_of(request) if time == 1 else None
    )


def test_with_every_fault_at_once_all_is_accounted_for(lasting: Outcome):
    assert_all_is_accounted_for(lasting.run, lasting.bench, len(NAMES))
    assert set(lasting.server.struck) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_that_lasts_ends_as_one_line_with_cause_and_attempts(lasting: Outcome, name: str):
    fault, question = FAULTS[name], f"q{NAMES.index(name)}"
    found = failures(lasting.bench, "answers", "poor").get(question, [])
    judged = failures(lasting.bench, "judgments", "good").get(question, [])
    if fault.kind is None:
        assert found == judged == []
        assert (answers(lasting.bench, "poor")[question]["finish_reason"] == "length") is fault.truncated
        return
    assert [row["kind"] for row in found] == [fault.kind.value]
    assert {row["kind"] for row in judged} == {fault.kind.value}
    assert [row["game"] for row in judged] in ([1, 2], [2, 1])
    tries = min(ATTEMPTS, ODD_REPLY_TRIES) if fault.kind in ODD_REPLIES else ATTEMPTS
    for row in (*found, *judged):
        assert row["message"]
        assert row["attempts"] >= (tries if fault.passing else 1)
        assert fault.passing or row["attempts"] == 1, "what will never work is asked once"


def test_faults_that_pass_cost_no_record(passing: Outcome):
    assert_all_is_accounted_for(passing.run, passing.bench, len(NAMES))
    lost = {f"q{n}" for n, name in enumerate(NAMES) if not FAULTS[name].passing}
    assert failures(passing.bench, "answers", "poor").keys() == lost
    assert failures(passing.bench, "judgments", "good").keys() == lost
    assert {row["attempts"] for row in lines(passing.bench / "errors.jsonl")} == {1}


def test_the_next_run_makes_what_is_missing_and_nothing_else(passing: Outcome):
    async def again() -> tuple[Run, FaultServer]:
        server = FaultServer(SERVED, answer, lambda request, time: None)
        async with serving(server) as url:
            return await carry_out(config(passing.bench.parent, url)), server

    before = lines(passing.bench / "errors.jsonl")
    missing_answers = len(failures(passing.bench, "answers", "poor"))
    missing_judgments = len(failures(passing.bench, "judgments", "good")) + missing_answers
    run, server = asyncio.run(again())
    assert run.state.phase == "done"
    assert server.requests.total() == missing_answers + 2 * missing_judgments
    assert lines(passing.bench / "errors.jsonl") == before
    assert len(answers(passing.bench, "poor")) == len(judgments(passing.bench, "good")) == len(NAMES)


@pytest.mark.parametrize("seed", [1, 2])
async def test_all_faults_mixed_at_a_fifth_of_the_calls(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    questions = 60
    write_questions(tmp_path / "bench", questions)

    def strike(request: dict[str, Any], time: int) -> str | None:
        return chance.choice(NAMES) if chance.random() < 0.2 else None

    one, two = (FaultServer(SERVED, answer, strike) for _ in range(2))
    async with serving(one) as first, serving(two) as second:
        run = await carry_out(config(tmp_path, first, second, attempts=4))
    assert_all_is_accounted_for(run, tmp_path / "bench", questions)
    assert one.struck.total() + two.struck.total() > 30
    records = sum(task.done for task in run.state.tasks.values())
    assert records > 0.8 * 5 * questions
