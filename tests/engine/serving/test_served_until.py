"""A stop rule where arena-tui serves the models itself: as few starts as without it, and none for what is decided."""

from __future__ import annotations

from pathlib import Path

import pytest
from yard import Yard, carried_out

from engine.ratings.__init__ import FEWEST_QUESTIONS
from engine.ratings.stop_rule import parse_stop_rule
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatorConfig, running_simulator
from engine.work.plan import Scope

QUESTIONS = 60
DECIDED = Scope(until=parse_stop_rule("decided"))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, QUESTIONS)


async def test_where_servers_take_turns_each_is_started_once_and_judge_calls_are_spared(yard):
    models = {"judge": yard.model("judge", prefers="good"), "base": yard.model("base"), "good": yard.model("good")}
    run = Run(yard.config(models), DECIDED)
    await carried_out(run)
    assert run.state.phase == "done", run.state.notices
    assert run.state.standings["good"].verdict == "better"
    assert [len(yard.starts(name)) for name in models] == [1, 1, 1]
    assert len(yard.lines("model_answer/good.jsonl")) == QUESTIONS, "the judge came after all of them"
    assert len(yard.lines("model_judgment/judge/good.jsonl")) < 45
    again = Run(yard.config(models), DECIDED)
    await carried_out(again)
    assert again.state.standings["good"].verdict == "better"
    assert [len(yard.starts(name)) for name in models] == [1, 1, 1], "nobody is started for what is decided"
    assert not yard.left()


async def test_where_servers_take_turns_no_more_answers_are_made_than_a_budget_of_calls_can_judge(yard):
    models = {"judge": yard.model("judge"), "base": yard.model("base"), "good": yard.model("good")}
    run = Run(yard.config(models), Scope(until=parse_stop_rule("calls:40")))
    await carried_out(run)
    assert run.state.phase == "done", run.state.notices
    assert run.state.standings["good"].verdict == "budget"
    assert len(yard.lines("model_answer/good.jsonl")) == 20
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == 20
    assert not yard.left()


async def test_where_all_fit_at_once_answers_are_spared_as_well(yard):
    models = {"judge": yard.model("judge", prefers="good"), "base": yard.model("base"), "good": yard.model("good")}
    for entry in models.values():
        entry["serve"]["memory"] = 0.3
    run = Run(yard.config(models), DECIDED)
    await carried_out(run)
    assert run.state.standings["good"].verdict == "better"
    assert len(yard.lines("model_answer/good.jsonl")) < 45
    assert not yard.left()


async def test_models_that_take_turns_do_not_wait_for_a_judge_who_waits_for_them(yard):
    async with running_simulator(SimulatorConfig(judges=(SimulatedJudge(name="judge"),))) as url:
        models = {
            "judge": {"endpoints": [{"base_url": f"{url}/v1"}]},
            "base": yard.model("base"),
            "good": yard.model("good"),
        }
        run = Run(yard.config(models), DECIDED)
        await carried_out(run)
        assert run.state.phase == "done", run.state.notices
        assert len(yard.lines("model_answer/base.jsonl")) == QUESTIONS
        assert run.state.standings["good"].questions >= FEWEST_QUESTIONS
        assert not yard.left()


async def test_time_that_is_up_while_a_server_starts_breaks_its_start_off(yard):
    models = {"judge": yard.model("judge"), "base": yard.model("base", stage_seconds=20.0), "good": yard.model("good")}
    run = Run(yard.config(models), Scope(until=parse_stop_rule("minutes:0.03")))
    await carried_out(run, seconds=45)
    assert run.state.phase == "done", run.state.notices
    assert run.state.standings["good"].verdict == "budget"
    assert yard.starts("judge") == []
    assert not yard.left()
