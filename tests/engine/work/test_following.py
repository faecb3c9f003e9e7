"""The run of another process, followed by what it appends to the files of a bench."""

from __future__ import annotations

import json

from desk import QUESTIONS

from engine.events import RecordSaved, StageEnded, StageStarted, TaskKey
from engine.work.following import Follower
from engine.work.plan import Scope, make_plan
from engine.work.progress import RunState
from engine.work.reducer import reduce


async def test_records_of_another_process_become_the_events_of_its_run(at_desk):
    async with at_desk() as desk:
        bench = desk.bench_files()
        follower = Follower(bench)
        plan = make_plan(desk.config(), bench, Scope())
        assert follower.poll(plan) == []
        own = await desk.run()
        events = follower.poll(plan)
        saved = [event for event in events if isinstance(event, RecordSaved)]
        assert len(saved) == 3 * QUESTIONS + 2 * QUESTIONS
        assert [type(event) for event in events if not isinstance(event, RecordSaved)] == [StageStarted, StageEnded] * 2
        state = RunState()
        for event in events:
            state = reduce(state, event)
        for key, task in own.state.tasks.items():
            followed = state.tasks[key]
            assert (followed.done, followed.won, followed.weighed) == (task.done, task.won, task.weighed)
        assert follower.poll(plan) == [], "each line is reported once"


async def test_a_line_is_reported_once_it_is_complete_and_in_either_generation(at_desk):
    async with at_desk() as desk:
        await desk.run()
        bench = desk.bench_files()
        follower = Follower(bench)
        plan = make_plan(desk.config(), bench, Scope())
        record = {"uid": "q0", "model": "good", "games": [{"score": "A>B"}, None]}
        line = json.dumps(record).encode() + b"\n"
        with (desk.bench / "model_judgment" / "judge" / "good.jsonl").open("ab") as file:
            file.write(line[:20])
            file.flush()
            assert follower.poll(plan) == []
            file.write(line[20:] + b"no JSON\n")
            file.flush()
        saved = [event for event in follower.poll(plan) if isinstance(event, RecordSaved)]
        key = TaskKey("judgments", "good", "judge")
        assert saved == [RecordSaved(key, "q0", labels=("A>B", None)), RecordSaved(key, "")]
