"""Servers gone for a while, and judges without a verdict: a run waits, asks again, and says what it lacks."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from fault_bench import (
    MODELS,
    RUN_SECONDS,
    answer,
    answers,
    assert_all_is_accounted_for,
    carry_out,
    config,
    failures,
    judgments,
    lines,
    question_of,
    write_questions,
)
from fault_server import REPETITION, FaultServer, serving

from engine.events import CallRetried, Event, TaskKey
from engine.run import Run

SERVED = [*MODELS, "judge"]
QUESTIONS = 40


@pytest.fixture
def port() -> int:
    """A port that is free now; the server of the test comes back on it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_an_outage_is_waited_for_and_costs_no_record(tmp_path: Path, port: int):
    """Everything is refused once all models are at work, until the endpoint was down and tried in vain."""
    write_questions(tmp_path / "bench", QUESTIONS)
    enough, tried_in_vain = asyncio.Event(), asyncio.Event()

    def strike(request: dict[str, Any], time: int) -> str | None:
        asked.add(request["model"])
        if len(asked) == len(SERVED):
            enough.set()
        return "hanging" if enough.is_set() else None

    def listen(event: Event) -> None:
        if isinstance(event, CallRetried) and enough.is_set() and any(s.is_down for s in statuses()):
            retries.append(event)
            if len(retries) == 3:
                tried_in_vain.set()

    def statuses() -> list[Any]:
        return [status for client in run.clients.values() for status in client.status()]

    asked: set[str] = set()
    retries: list[CallRetried] = []
    run = Run(config(tmp_path, f"http://127.0.0.1:{port}/v1", idle_timeout=60.0, timeout=60.0))
    run.listen(listen)
    server = FaultServer(SERVED, answer, strike)
    async with asyncio.timeout(RUN_SECONDS):
        async with serving(server, port):
            ending = asyncio.create_task(run.execute())
            await enough.wait()
        await tried_in_vain.wait()
        server = FaultServer(SERVED, answer, lambda request, time: None)
        async with serving(server, port):
            state = await ending
    assert state.phase == "done"
    assert state.failed == 0
    assert_all_is_accounted_for(run, tmp_path / "bench", QUESTIONS)
    assert not any(status.is_down or status.disabled for status in statuses())


async def test_the_work_of_an_endpoint_that_is_down_goes_to_the_others(tmp_path: Path):
    write_questions(tmp_path / "bench", QUESTIONS)
    broken = FaultServer(SERVED, answer, lambda request, time: "500")
    whole = FaultServer(SERVED, answer, lambda request, time: None)
    async with serving(broken) as first, serving(whole) as second:
        run = await carry_out(config(tmp_path, first, second, attempts=5))
    assert (run.state.phase, run.state.failed) == ("done", 0)
    assert whole.requests.total() == 3 * QUESTIONS + 2 * 2 * QUESTIONS
    assert broken.requests.total() < whole.requests.total() / 2, "it is down, and only tried now and then"


async def test_a_key_that_is_refused_stops_the_work_of_its_model_and_is_told_once(tmp_path: Path):
    """The list of models is open to all, so that only the calls tell. Nobody is shown forty identical messages."""
    write_questions(tmp_path / "bench", QUESTIONS)

    def strike(request: dict[str, Any], time: int) -> str | None:
        return "401" if request["model"] == "poor" else None

    server = FaultServer(SERVED, answer, strike)
    async with serving(server) as url:
        run = await carry_out(config(tmp_path, url, parallel=2))
    assert run.state.phase == "failed"
    told = [notice for notice in run.state.notices if "401" in notice.text]
    assert len(told) == 1
    assert "poor" in told[0].text
    assert "api_key" in told[0].text
    assert server.struck["401"] <= 2, "those that were out at once"
    refused = failures(tmp_path / "bench", "answers", "poor")
    assert [row["kind"] for rows in refused.values() for row in rows] == ["unauthorized"] * server.struck["401"]
    assert run.state.tasks[TaskKey("answers", "poor")].left == QUESTIONS - server.struck["401"]
    assert len(judgments(tmp_path / "bench", "good")) == QUESTIONS, "the work of the others goes on"


async def test_a_judge_whose_key_is_refused_leaves_its_games_to_the_next_run(tmp_path: Path):
    write_questions(tmp_path / "bench", QUESTIONS)
    refusing = [True]

    def strike(request: dict[str, Any], time: int) -> str | None:
        return "401" if request["model"] == "judge" and refusing[0] else None

    server = FaultServer(SERVED, answer, strike)
    async with serving(server) as url:
        first = await carry_out(config(tmp_path, url, parallel=2))
        assert first.state.phase == "failed"
        assert len(lines(tmp_path / "bench" / "errors.jsonl")) == server.struck["401"] <= 2
        refusing[0] = False
        second = await carry_out(config(tmp_path, url))
    assert second.state.phase == "done"
    assert second.state.calls == 2 * 2 * QUESTIONS


SAYINGS = {
    "nothing to the point": ("I like both of them.", "none", 2),
    "two verdicts": ("First [[A>B]]. On reflection [[B>A]].", "conflict", 2),
    "itself again and again": (REPETITION, "none", 2),
    "a verdict of another scale": ("[[7]]", "none", 2),
}


async def test_a_judge_that_gives_no_verdict_is_asked_again_and_told_as_unparsed(tmp_path: Path):
    said = list(SAYINGS.values())
    write_questions(tmp_path / "bench", len(said))

    def replies(request: dict[str, Any]) -> str:
        return said[question_of(request)][0] if request["model"] == "judge" else answer(request)

    async with serving(FaultServer(SERVED, replies, lambda request, time: None)) as url:
        run = await carry_out(config(tmp_path, url))
    assert run.state.phase == "done"
    for number, (_, reason, asks) in enumerate(said):
        games = judgments(tmp_path / "bench", "good")[f"q{number}"]["games"]
        assert [game["score"] for game in games] == [None, None]
        assert [(game["unparsed"], game["asks"]) for game in games] == [(reason, asks)] * 2
    told = [task for key, task in run.state.tasks.items() if key.stage == "judgments"]
    assert [task.unparsed for task in told] == [2 * len(said)] * 2
    assert [task.conflicts for task in told] == [2] * 2
    assert lines(tmp_path / "bench" / "errors.jsonl") == []
    assert len(answers(tmp_path / "bench", "good")) == len(said)
