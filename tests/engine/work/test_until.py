"""Whole runs with a stop rule, against simulated servers over real HTTP: what they spare, and what they may not do."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from desk import Desk

from engine.errors import UsageProblem
from engine.events import CallStarted, Event, RecordSaved
from engine.ratings.stop_rule import Standing, parse_stop_rule
from engine.run import Run
from engine.simulator import FaultRule, SimulatedJudge, SimulatedModel, Status
from engine.work.plan import Scope, seeded_order

QUESTIONS = 400
FULL_RUN = 2 * QUESTIONS + 2 * QUESTIONS  # answers of two models, two games of each question


def questions(desk: Desk, count: int = QUESTIONS) -> None:
    desk.write(
        "question.jsonl",
        [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(count)],
    )


def config(desk: Desk, *models: str, **judge: Any) -> Any:
    """The desk's config with only these models judged."""
    return desk.config(judge={"models": list(models), **judge}, answers={"models": ["base", *models]})


async def run_until(desk: Desk, until: str, *models: str, **judge: Any) -> Run:
    run = Run(config(desk, *models, **judge), Scope(until=parse_stop_rule(until)))
    async with asyncio.timeout(120):
        await run.execute()
    return run


def judge_calls(heard: Sequence[Event]) -> int:
    return sum(isinstance(event, CallStarted) and event.model == "judge" for event in heard)


async def test_a_clear_cut_model_is_decided_in_about_a_tenth_of_the_calls(at_desk):
    async with at_desk() as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good")
        assert run.state.phase == "done"
        standing = run.state.standings["good"]
        assert standing.verdict == "better"
        assert 7 <= standing.decided_after <= 40
        assert await desk.calls() == run.state.calls <= 0.15 * FULL_RUN
        answered = {record["question_id"] for record in desk.answers("good")}
        judged = {record["question_id"] for record in desk.judgments("good")}
        assert len(answered) <= standing.decided_after + 12, "answers ran ahead by no more than they may"
        assert len(answered - judged) <= 12
        (record,) = (json.loads(path.read_bytes()) for path in (desk.bench / "runs").glob("*.json"))
        assert (record["scope"]["until"], record["standings"]["good"]["verdict"]) == ("decided", "better")
        assert record["error_control"] == {"alpha": 0.05, "models": 1}
        assert (await run_until(desk, "decided", "good")).state.calls == 0, "what is there has decided already"


async def test_all_models_are_judged_on_the_first_questions_of_the_same_order(at_desk):
    async with at_desk() as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good", "poor")
        assert {name: each.verdict for name, each in run.state.standings.items()} == {"good": "better", "poor": "worse"}
        order = [question.id for question in seeded_order(desk.bench_files().questions().items)]
        for model in ("good", "poor"):
            places = sorted(order.index(record["question_id"]) for record in desk.judgments(model))
            after = run.state.standings[model].decided_after
            assert places[:after] == list(range(after))
            assert places[-1] < after + 12


@pytest.mark.parametrize("faults", [(), (FaultRule(Status(503), rate=0.1),)])
async def test_a_budget_of_calls_is_never_exceeded_not_even_by_those_in_flight_or_tried_again(at_desk, faults):
    async with at_desk(faults=faults) as desk:
        questions(desk, 120)
        heard: list[Event] = []
        run = Run(config(desk, "good", "poor"), Scope(until=parse_stop_rule("calls:101")))
        run.listen(heard.append)
        async with asyncio.timeout(120):
            state = await run.execute()
        assert judge_calls(heard) == 101
        assert {standing.verdict for standing in state.standings.values()} == {"budget"}
        if not faults:
            rest = await run_until(desk, "calls:101", "good", "poor")
            assert rest.state.calls == 0, "what was spent stays spent"


async def test_time_that_is_up_ends_the_run_gracefully(at_desk):
    async with at_desk(latency=0.4) as desk:
        questions(desk)
        heard: list[Event] = []
        run = Run(config(desk, "good"), Scope(until=parse_stop_rule("minutes:0.06")))
        run.listen(heard.append)
        async with asyncio.timeout(60):
            state = await run.execute()
        assert state.phase == "done"
        assert state.standings["good"].verdict == "budget"
        assert 0 < state.calls < FULL_RUN / 4
        assert state.in_flight == 0
        assert not any(getattr(event, "error", "") for event in heard), "what was in flight has come in"


async def test_a_run_that_is_stopped_again_and_again_decides_the_same_as_an_undisturbed_one(at_desk, tmp_path):
    async with at_desk(judges=(SimulatedJudge(name="judge", noise=0.6),)) as desk:
        questions(desk, 200)
        calm = await run_until(desk, "decided,ci:9", "good", "poor")
        (desk.bench / "model_answer").rename(tmp_path / "answers aside")
        (desk.bench / "model_judgment").rename(tmp_path / "judgments aside")
        moments = random.Random(1)
        for _ in range(8):
            rough = Run(config(desk, "good", "poor"), Scope(until=parse_stop_rule("decided,ci:9")), grace=0.05)
            last = moments.randrange(10, 60)

            def stop_after(event: Event, rough: Run = rough, last: int = last) -> None:
                if isinstance(event, RecordSaved) and sum(task.done for task in rough.state.tasks.values()) >= last:
                    rough.abort()

            rough.listen(stop_after)
            await rough.execute()
        final = await run_until(desk, "decided,ci:9", "good", "poor")
        assert final.state.phase == "done"
        assert _decisions(final.state.standings) == _decisions(calm.state.standings)


async def test_a_model_that_fails_on_some_questions_is_decided_on_the_others(at_desk):
    broken = FaultRule(Status(400), sticky=True, model="good", match="7 +")
    async with at_desk(faults=(broken,)) as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good")
        assert run.state.standings["good"].verdict == "better"
        assert run.state.failed


async def test_a_judge_that_comes_only_when_the_answers_are_made_is_waited_for_by_none_of_them(at_desk):
    async with at_desk() as desk:
        questions(desk, 60)
        document = config(desk, "good").model_dump(mode="json", exclude_unset=True)
        document["models"]["judge"]["endpoints"] = [{"base_url": "http://127.0.0.1:9/v1"}]
        run = Run(desk.parsed(document), Scope(until=parse_stop_rule("decided"), wait=0.0))
        async with asyncio.timeout(60):
            await run.execute()
        assert run.state.phase == "failed"
        assert len(desk.answers("good")) == 60


async def test_a_judge_that_refuses_all_from_some_moment_on_ends_the_run_and_no_answer_is_made_for_nothing(at_desk):
    locked = FaultRule(Status(401), model="judge", skip=8)
    async with at_desk(faults=(locked,)) as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good")
        assert run.state.phase == "failed"
        assert run.state.standings["good"].verdict == "undecided"
        assert len(desk.answers("good")) <= 45
        assert sum(task.left for task in run.state.tasks.values()) > QUESTIONS, "the rest is still to be done"


async def test_two_judges_decide_together(at_desk):
    judges = (SimulatedJudge(name="judge"), SimulatedJudge(name="poor"))
    async with at_desk(
        judges=judges, models=(SimulatedModel(name="base"), SimulatedModel(name="good", skill=0.9))
    ) as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good", model=["judge", "poor"])
        assert run.state.standings["good"].verdict == "better"
        assert run.state.calls < FULL_RUN / 4


async def test_of_several_baselines_the_first_decides_and_all_games_end_with_it(at_desk):
    async with at_desk() as desk:
        questions(desk)
        run = await run_until(desk, "decided", "good", "poor", baseline=["base", "poor"])
        assert run.state.phase == "done"
        assert {name: each.verdict for name, each in run.state.standings.items()} == {"good": "better", "poor": "worse"}
        assert run.state.calls < FULL_RUN / 4
        again = await run_until(desk, "decided", "good", "poor", baseline=["base", "poor"])
        assert again.state.calls == 0


async def test_an_opponent_who_is_not_judged_ends_the_run_before_the_first_call(at_desk):
    async with at_desk() as desk:
        questions(desk, 40)
        with pytest.raises(UsageProblem, match="decided:nobody"):
            await run_until(desk, "decided:nobody", "good")
        assert await desk.calls() == 0


def _decisions(standings: Any) -> dict[str, tuple[str, int | None]]:
    return {
        model: (known.verdict, known.decided_after) for model, known in standings.items() if isinstance(known, Standing)
    }
