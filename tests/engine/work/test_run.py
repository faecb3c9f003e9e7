"""A whole run against simulated servers over real HTTP: what it makes, what it never makes twice, what it says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from desk import ALL_CALLS, QUESTIONS, lines

from engine.config.load import parse_config
from engine.errors import BenchLocked, ConfigError
from engine.events import CallEnded
from engine.run import Run
from engine.simulator import Altered, FaultRule, SimulatedJudge, Status
from engine.work.plan import Scope


def notices(run: Run) -> str:
    return "\n".join(notice.text for notice in run.state.notices)


async def test_a_run_makes_every_answer_and_judgment_once_and_the_next_one_makes_nothing(at_desk):
    async with at_desk() as desk:
        first = await desk.run()
        assert first.state.phase == "done"
        assert await desk.calls() == first.state.calls == ALL_CALLS
        for model in ("good", "poor"):
            judged = sorted(record["question_id"] for record in desk.judgments(model))
            assert judged == [f"q{n}" for n in range(QUESTIONS)]
        second = await desk.run()
        assert second.state.calls == 0
        assert await desk.calls() == ALL_CALLS
        assert not (desk.bench / "journal.jsonl").exists()


NOTHING_TO_DO = """
import asyncio, json, sys
from engine.config.load import parse_config
from engine.run import Run
state = asyncio.run(Run(parse_config(json.loads(sys.argv[1]), None, {})).execute())
heavy = {"aiohttp", "tiktoken", "engine.models.client", "engine.serving.fleet", "engine.work.execution"}
print(json.dumps([state.phase, state.calls, sorted(heavy & sys.modules.keys())]))
"""


async def test_a_run_with_nothing_left_to_do_imports_nothing_that_makes_calls(at_desk):
    async with at_desk() as desk:
        await desk.run()
        document = json.dumps(desk.config().model_dump(mode="json", exclude_unset=True))
        command = [sys.executable, "-c", NOTHING_TO_DO, document]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
        assert json.loads(done.stdout) == ["done", 0, []]


async def test_records_hold_what_older_readers_need_and_what_a_reproduction_needs(at_desk):
    async with at_desk() as desk:
        await desk.run()
        answer = desk.answers("good")[0]
        assert answer["model_id"] == "good"
        assert answer["choices"][0]["turns"][0]["token_len"] > 0
        assert answer["finish_reason"] == "stop"
        assert answer["token_counter"] in ("cl100k_base", "server")
        judgment = desk.judgments("good")[0]
        assert (judgment["judge"], judgment["baseline"], len(judgment["games"])) == ("judge", "base", 2)
        assert {game["score"] for game in judgment["games"]} <= {"A>>B", "A>B", "A=B", "B>A", "B>>A"}
        known = {line["settings"] for line in lines(desk.bench / "settings.jsonl")}
        assert {answer["settings"], judgment["settings"]} <= known


async def test_game_one_shows_the_baseline_as_a_and_game_two_swaps(at_desk):
    async with at_desk() as desk:
        await desk.run()
        judgment = desk.judgments("poor")[0]
        of = {
            model: {r["question_id"]: r["choices"][0]["turns"][0]["content"] for r in desk.answers(model)}
            for model in ("base", "poor")
        }
        question_id = judgment["question_id"]
        first, second = (game["user_prompt"] for game in judgment["games"])
        assert first.index(of["base"][question_id]) < first.index(of["poor"][question_id])
        assert second.index(of["poor"][question_id]) < second.index(of["base"][question_id])


async def test_reasoning_is_kept_apart_and_no_judge_sees_it(at_desk):
    async with at_desk() as desk:
        await desk.run()
        for answer in desk.answers("good"):
            assert answer["reasoning"]
            assert "think>" not in answer["choices"][0]["turns"][0]["content"]
        assert all("think>" not in game["user_prompt"] for r in desk.judgments("good") for game in r["games"])


async def test_every_choice_is_a_conversation_of_its_own_over_all_turns(at_desk):
    async with at_desk() as desk:
        turns = [{"content": "What is 1 + 1?"}, {"content": "And 2 + 2?"}]
        desk.write("question.jsonl", [{"question_id": "q", "turns": turns}])
        run = await desk.run(Scope(judgments=False), answers={"num_choices": 3, "seed": 7, "temperature": 1.0})
        assert run.state.calls == 3 * 3 * 2
        (record,) = desk.answers("base")
        assert [choice["index"] for choice in record["choices"]] == [0, 1, 2]
        assert all(len(choice["turns"]) == 2 for choice in record["choices"])
        assert len({choice["turns"][0]["content"] for choice in record["choices"]}) > 1


async def test_a_changed_setting_is_reported_and_redone_only_on_request(at_desk):
    async with at_desk() as desk:
        await desk.run()
        again = await desk.run(answers={"max_tokens": 1520})
        assert again.state.calls == 0
        assert f"{QUESTIONS} answers of poor were made with max_tokens=4096 (now 1520)" in notices(again)
        redone = await desk.run(Scope(refresh=frozenset({"stale"}), judgments=False), answers={"max_tokens": 1520})
        assert redone.state.calls == 3 * QUESTIONS
        assert "were made with" not in notices(await desk.run(answers={"max_tokens": 1520}))


async def test_a_judgment_of_an_answer_that_changed_is_made_again(at_desk):
    async with at_desk() as desk:
        await desk.run()
        records = desk.answers("poor")
        records[0]["choices"][0]["turns"][0]["content"] = "Quite another answer."
        desk.write("model_answer/poor.jsonl", records)
        assert (await desk.run()).state.calls == 2


async def test_a_judgment_against_another_baseline_is_not_mistaken_for_a_current_one(at_desk):
    async with at_desk() as desk:
        await desk.run()
        other = await desk.run(judge={"baseline": "poor"})
        assert other.state.calls == 2 * 2 * QUESTIONS
        assert (await desk.run()).state.calls == 0, "those against the first baseline are still there"


async def test_failures_are_reported_kept_apart_and_retried_by_the_next_run(at_desk):
    broken = FaultRule(Status(400), sticky=True, model="poor", match="What is 3 + 3?")
    async with at_desk(faults=(broken,)) as desk:
        run = await desk.run()
        assert run.state.phase == "failed"
        (failure,) = lines(desk.bench / "errors.jsonl")
        facts = (failure["model"], failure["question_id"], failure["kind"], failure["attempts"])
        assert facts == ("poor", "q3", "rejected", 1)
        assert len(desk.answers("poor")) == QUESTIONS - 1
        assert len(desk.judgments("poor")) == QUESTIONS - 1
        before = await desk.calls()
        await desk.run()
        assert await desk.calls() == before, "only the failed call was tried again, and refused again"
        assert len(lines(desk.bench / "errors.jsonl")) == 2


async def test_an_empty_answer_is_a_failure_and_never_an_answer(at_desk):
    empty = FaultRule(Altered(message={"content": ""}), sticky=True, model="poor", match="What is 3 + 3?")
    async with at_desk(faults=(empty,)) as desk:
        await desk.run()
        assert "q3" not in {record["question_id"] for record in desk.answers("poor")}
        assert lines(desk.bench / "errors.jsonl")[0]["kind"] == "empty"


async def test_a_judge_is_asked_again_until_it_gives_a_label_and_no_more_often_than_allowed(at_desk):
    mute = (SimulatedJudge(name="judge", unparsed_rate=1.0),)
    async with at_desk(judges=mute) as desk:
        run = await desk.run(judge={"retries": 3, "models": ["poor"]})
        assert run.state.phase == "done"
        games = [game for record in desk.judgments("poor") for game in record["games"]]
        assert {game["score"] for game in games} == {None}
        assert {game["asks"] for game in games} == {3}
        (task,) = (task for key, task in run.state.tasks.items() if key.stage == "judgments")
        assert task.unparsed == 2 * QUESTIONS
        assert (await desk.run(judge={"retries": 3, "models": ["poor"]})).state.calls == 0
        refreshed = await desk.run(Scope(refresh=frozenset({"unparsed"})), judge={"retries": 1, "models": ["poor"]})
        assert refreshed.state.calls == 2 * QUESTIONS


async def test_two_judges_each_judge_everything(at_desk):
    async with at_desk() as desk:
        await desk.run(judge={"model": ["judge", "good"], "models": ["poor"]}, answers={"models": ["base", "poor"]})
        assert len(lines(desk.bench / "model_judgment" / "good" / "poor.jsonl")) == QUESTIONS
        assert len(desk.judgments("poor")) == QUESTIONS


async def test_a_limit_takes_the_same_first_questions_for_all_models(at_desk):
    async with at_desk() as desk:
        run = await desk.run(Scope(limit=2))
        asked = {model: {record["question_id"] for record in desk.answers(model)} for model in ("base", "good", "poor")}
        assert asked["base"] == asked["good"] == asked["poor"]
        assert len(asked["base"]) == 2
        assert run.state.calls == 3 * 2 + 2 * 2 * 2


async def test_a_stop_saves_what_is_in_flight_and_the_next_run_makes_only_the_rest(at_desk):
    async with at_desk(latency=0.1) as desk:
        run = Run(desk.config())

        def stop_after_a_few(event: object) -> None:
            if isinstance(event, CallEnded) and run.state.calls == 9:
                run.stop()

        run.listen(stop_after_a_few)
        state = await run.execute()
        assert state.phase == "interrupted"
        made = await desk.calls()
        assert 9 <= made < ALL_CALLS
        rest = await desk.run()
        assert rest.state.phase == "done"
        assert await desk.calls() == ALL_CALLS, "no call that had ended well was made again"


async def test_a_second_stop_ends_at_once_and_tears_nothing(at_desk):
    async with at_desk(latency=5.0) as desk:
        run = Run(desk.config())
        started = asyncio.get_running_loop().time()
        ending = asyncio.create_task(run.execute())
        while run.state.in_flight < 4:
            await asyncio.sleep(0.01)
        run.stop()
        run.abort()
        assert (await ending).phase == "interrupted"
        assert asyncio.get_running_loop().time() - started < 4
        assert all(path.read_bytes().endswith(b"\n") for path in desk.bench.rglob("*.jsonl"))


async def test_a_paused_run_starts_nothing_until_it_is_resumed(at_desk):
    async with at_desk() as desk:
        run = Run(desk.config())
        run.pause()
        ending = asyncio.create_task(run.execute())
        while run.state.phase == "planning":
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert run.state.calls == 0
        run.resume()
        assert (await ending).phase == "done"


async def test_an_unreachable_model_is_reported_once_and_the_others_continue(at_desk):
    async with at_desk() as desk:
        config = desk.config()
        dead = {"endpoints": [{"base_url": "http://127.0.0.1:9/v1"}]}
        document = config.model_dump(mode="json", exclude_unset=True)
        document["models"]["poor"] = dead
        run = Run(parse_config(document, None, {}), Scope(wait=0.0))
        await run.execute()
        assert run.state.phase == "failed"
        assert notices(run).count("poor: http://127.0.0.1:9/v1") == 1
        assert len(desk.judgments("good")) == QUESTIONS


async def test_only_one_run_writes_to_a_bench(at_desk):
    async with at_desk(latency=0.2) as desk:
        first = asyncio.create_task(desk.run())
        while not (desk.bench / ".lock").exists():
            await asyncio.sleep(0.01)
        with pytest.raises(BenchLocked):
            await Run(desk.config()).execute()
        await first


async def test_a_model_without_answers_and_endpoint_stops_the_run_before_it_starts(at_desk):
    async with at_desk() as desk:
        with pytest.raises(ConfigError, match="nobody"):
            await desk.run(judge={"models": ["nobody"]})
        assert await desk.calls() == 0


async def test_a_torn_line_of_a_crash_is_cut_off_reported_and_made_again(at_desk):
    async with at_desk() as desk:
        await desk.run()
        path = desk.bench / "model_judgment" / "judge" / "poor.jsonl"
        path.write_bytes(path.read_bytes()[:-40])
        run = await desk.run()
        assert "torn" in notices(run)
        assert run.state.calls == 2
        assert len(desk.judgments("poor")) == QUESTIONS


async def test_a_judge_without_an_endpoint_is_reported_when_it_has_work(at_desk):
    async with at_desk() as desk:
        document = desk.config().model_dump(mode="json", exclude_unset=True)
        document["models"]["judge"] = {}
        run = Run(parse_config(document, None, {}))
        await run.execute()
        assert run.state.phase == "failed"
        assert "judge: has work, but its config entry has no endpoint" in notices(run)
        assert len(desk.answers("good")) == QUESTIONS
