"""Answers and judgments side by side: when judging starts, what it waits for, and that the result is the same."""

from __future__ import annotations

import asyncio
from typing import Any

from desk import QUESTIONS, Desk
from hypothesis import given
from hypothesis import strategies as st

from engine.events import CallEnded, CallStarted, Event, RecordSaved, StageEnded, StageStarted, TaskPlanned
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate
from engine.run import Run
from engine.simulator import FaultRule, Status
from engine.work.plan import Scope
from engine.work.queue import WorkQueue


async def finished(run: Run) -> list[Event]:
    """The events of a run that ended well."""
    heard: list[Event] = []
    run.listen(heard.append)
    async with asyncio.timeout(60):
        state = await run.execute()
    assert state.phase == "done", state.notices
    return heard


def board(desk: Desk) -> Any:
    judged = judged_bench(desk.bench_files(), ["judge"], "base")
    return rate(judged, LeaderboardOptions(baseline="base"))[0]


async def test_judging_starts_when_both_answers_of_a_question_are_saved_and_not_before(at_desk):
    async with at_desk(latency=0.2) as desk:
        heard = await finished(Run(desk.config()))
        made: set[tuple[str, str]] = set()
        asked_while_answering = 0
        for event in heard:
            if isinstance(event, RecordSaved) and event.task.stage == "answers":
                made.add((event.task.model, event.question_id))
            elif isinstance(event, RecordSaved):
                assert {("base", event.question_id), (event.task.model, event.question_id)} <= made
            elif isinstance(event, CallStarted) and event.model == "judge":
                asked_while_answering += len(made) < 3 * QUESTIONS
        assert asked_while_answering
        stages = [event for event in heard if isinstance(event, StageStarted | StageEnded)]
        reported = [(type(event), event.stage) for event in stages]
        assert reported == [
            (StageStarted, "answers"),
            (StageStarted, "judgments"),
            (StageEnded, "answers"),
            (StageEnded, "judgments"),
        ]


async def test_the_leaderboard_is_the_same_whether_the_stages_overlap_or_not(at_desk, tmp_path):
    async with at_desk() as desk:
        await finished(Run(desk.config()))
        side_by_side = board(desk)
        (desk.bench / "model_judgment" / "judge").rename(tmp_path / "aside")
        await finished(Run(desk.config()))
        assert board(desk) == side_by_side


async def test_an_answer_that_fails_is_not_waited_for_and_its_judgment_is_taken_off_the_plan(at_desk):
    broken = FaultRule(Status(400), sticky=True, model="base", match="What is 3 + 3?")
    async with at_desk(faults=(broken,)) as desk:
        run = Run(desk.config())
        async with asyncio.timeout(60):
            await run.execute()
        assert run.state.phase == "failed"
        judging = [task for key, task in run.state.tasks.items() if key.stage == "judgments"]
        assert [(task.total, task.done, task.left) for task in judging] == [(QUESTIONS - 1, QUESTIONS - 1, 0)] * 2


async def test_an_answer_that_comes_out_as_before_has_its_judgment_already(at_desk):
    async with at_desk() as desk:
        await finished(Run(desk.config()))
        (desk.bench / "model_answer" / "poor.jsonl").unlink()
        run = Run(desk.config())
        heard = await finished(run)
        assert run.state.calls == QUESTIONS, "the simulated model says the same again, so no game is played anew"
        reported = [event for event in heard if isinstance(event, TaskPlanned) and event.task.judge]
        assert max(event.cached for event in reported if event.task.model == "poor") == QUESTIONS
        assert {task.left for task in run.state.tasks.values()} == {0}


async def test_a_judge_that_comes_up_only_when_the_answers_are_made_is_found_then(at_desk):
    async with at_desk() as desk:
        config = desk.config()
        late = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        address = f"http://127.0.0.1:{late.sockets[0].getsockname()[1]}/v1"
        late.close()
        await late.wait_closed()
        document = config.model_dump(mode="json", exclude_unset=True)
        document["models"]["judge"]["endpoints"] = [{"base_url": address}]
        run = Run(desk.parsed(document), Scope(wait=0.0))
        async with asyncio.timeout(60):
            await run.execute()
        reported = "\n".join(notice.text for notice in run.state.notices)
        assert f"judge: {address}" in reported
        assert "waiting for it until 0 s after the last answer" in reported
        assert len(desk.answers("good")) == QUESTIONS, "the answers did not wait for it"
        assert run.state.phase == "failed"


async def test_a_judge_that_also_answers_does_both_over_one_client(at_desk):
    async with at_desk() as desk:
        run = Run(
            desk.config(judge={"model": "good", "models": ["poor"]}, answers={"models": ["base", "poor", "good"]})
        )
        most = 0

        def count(event: Event) -> None:
            nonlocal most
            if isinstance(event, CallStarted | CallEnded) and event.model == "good":
                most = max(most, run.clients["good"].in_flight)

        run.listen(count)
        await finished(run)
        assert 1 < most <= 4, "`parallel` holds for the model, not for each of its stages"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=30), st.integers(0, 6))
def test_a_queue_gives_its_units_in_order_up_to_its_bound_and_all_of_them_once_it_is_lifted(units, bound):
    queue = WorkQueue(units, order=lambda unit: (unit[0],))
    queue.set_bound((bound,))
    first = list(iter(queue.take, None))
    assert first == sorted((unit for unit in units if unit[0] < bound), key=lambda unit: unit[0])
    queue.set_bound(None)
    rest = list(iter(queue.take, None))
    assert sorted(first + rest) == sorted(units)


async def test_a_queue_that_is_empty_waits_for_more_until_it_is_finished_or_stopped():
    async with asyncio.timeout(10):
        queue: WorkQueue[int] = WorkQueue()
        waiting = asyncio.create_task(queue.more())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.put([1])
        assert await waiting
        assert queue.take() == 1
        queue.finish()
        assert not await queue.more()
        other = WorkQueue([1, 2])
        other.stop()
        assert other.take() is None
        assert not await other.more()
