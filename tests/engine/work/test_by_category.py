"""Categories with a baseline and a prompt of their own: each question is judged against its own, and only once."""

from __future__ import annotations

from typing import Any

import pytest
from desk import QUESTIONS, Desk

from engine.judging.prompts import CREATIVE, SIMPLE
from engine.ratings.leaderboard import LeaderboardOptions
from engine.ratings.stop_rule import parse_stop_rule
from engine.results import judged_bench, rate
from engine.work.plan import Scope, make_plan

WRITING = {f"q{number}" for number in range(0, QUESTIONS, 2)}
RULES: dict[str, Any] = {"by_category": [{"category": "writing", "baseline": "good", "prompt": "creative"}]}


@pytest.fixture
async def desk(at_desk):
    async with at_desk() as opened:
        opened.write(
            "question.jsonl",
            [
                {
                    "uid": f"q{number}",
                    "category": "writing" if f"q{number}" in WRITING else "maths",
                    "prompt": f"What is {number} + {number}?",
                }
                for number in range(QUESTIONS)
            ],
        )
        yield opened


def baselines(desk: Desk, model: str) -> dict[str, set[str]]:
    """The questions of the judgments of a model by the baseline that they name."""
    found: dict[str, set[str]] = {}
    for record in desk.judgments(model):
        found.setdefault(record["baseline"], set()).add(record["uid"])
    return found


def systems(desk: Desk, model: str) -> dict[str, str]:
    return {
        record["uid"]: next(each["content"] for each in game["prompt"] if each["role"] == "system")
        for record in desk.judgments(model)
        for game in record["games"]
    }


async def test_each_question_is_judged_against_the_baseline_and_by_the_prompt_of_its_category(desk: Desk) -> None:
    config = desk.config(judge=RULES)
    plan = make_plan(config, desk.bench_files(), Scope())
    assert {task.key.model: task.total for task in plan.judgments} == {"poor": QUESTIONS}
    assert {task.key.model: task.total for task in plan.answers} == {
        "base": QUESTIONS - len(WRITING),  # nothing else is asked of a model that is only a baseline
        "good": len(WRITING),
        "poor": QUESTIONS,
    }
    run = await desk.run(judge=RULES)
    assert run.state.phase == "done"
    everything = {f"q{number}" for number in range(QUESTIONS)}
    assert baselines(desk, "poor") == {"good": WRITING, "base": everything - WRITING}
    prompts = {question: CREATIVE if question in WRITING else SIMPLE for question in everything}
    plan = make_plan(config, desk.bench_files(), Scope())
    sent = {question.id: plan.judging["judge"].prompt_for(question) for question in plan.questions}
    assert sent == prompts
    before = await desk.calls()
    await desk.run(judge=RULES)
    assert await desk.calls() == before


async def test_what_changes_for_a_category_is_stale_or_missing_there_alone(desk: Desk) -> None:
    answers = {"models": ["base", "good", "poor"]}
    await desk.run(judge=RULES, answers=answers)
    others = QUESTIONS - len(WRITING)

    def planned(**rule: Any) -> tuple[int, int, int]:
        config = desk.config(judge={"by_category": [{"category": "writing"} | rule]}, answers=answers)
        (task,) = [
            each for each in make_plan(config, desk.bench_files(), Scope()).judgments if each.key.model == "poor"
        ]
        return task.total, task.cached, task.stale

    assert planned(baseline="good", prompt="creative") == (QUESTIONS, QUESTIONS, 0)
    assert planned(baseline="good", prompt="full") == (QUESTIONS, QUESTIONS, len(WRITING))
    assert planned(baseline="base", prompt="creative") == (QUESTIONS, others, 0)
    rule = {"category": "writing", "baseline": "good"}
    changed = make_plan(desk.config(judge={"by_category": [rule]}, answers=answers), desk.bench_files(), Scope())
    (warning,) = [text for text in changed.warnings if "judgments of poor" in text]
    assert "prompt=creative (now simple)" in warning  # by what holds for the category, not for the others
    changed = desk.config(judge=RULES | {"prompt": "full"}, answers=answers)
    (task,) = make_plan(changed, desk.bench_files(), Scope()).judgments
    assert (task.cached, task.stale) == (QUESTIONS, others)  # the general prompt is that of the others


async def test_the_baseline_of_a_category_is_judged_on_the_others_where_the_config_names_it(desk: Desk) -> None:
    await desk.run(judge=RULES | {"models": ["good", "base", "poor"]})
    everything = {f"q{number}" for number in range(QUESTIONS)}
    assert baselines(desk, "good") == {"base": everything - WRITING}
    assert baselines(desk, "base") == {"good": WRITING}
    config = desk.config(judge=RULES)
    judged = judged_bench(desk.bench_files(), ["judge"], config.judge.pairing)
    board, _ = rate(judged, LeaderboardOptions(baseline=judged.facts.baselines[0], rounds=20))
    assert {row.model for row in board.rows} == {"base + good", "poor"}
    assert any("not ranked overall" in warning and "base, good" in warning for warning in board.warnings)
    groups = {group.group: group for group in board.groups or ()}
    assert {name: group.baseline for name, group in groups.items()} == {"maths": "base", "writing": "good"}
    assert {name: {row.model for row in group.rows} for name, group in groups.items()} == {
        "maths": {"base", "good", "poor"},
        "writing": {"base", "good", "poor"},
    }


async def test_a_bench_with_one_of_the_categories_has_one_baseline(desk: Desk) -> None:
    pairing = desk.config(judge=RULES).judge.pairing
    await desk.run(judge=RULES)
    questions = [
        {"uid": f"q{number}", "category": "writing", "prompt": f"What is {number} + {number}?"}
        for number in range(0, QUESTIONS, 2)
    ]
    desk.write("question.jsonl", questions)
    judged = judged_bench(desk.bench_files(), ["judge"], pairing)
    assert judged.facts.baselines == ("good",)
    assert not judged.facts.by_category
    assert len(judged.battles) == 2 * len(WRITING)
    plan = make_plan(desk.config(judge=RULES), desk.bench_files(), Scope(judgments=False))
    assert plan.participants.judged == ["base", "poor"]  # base is no baseline here


async def test_judgments_against_another_baseline_than_that_of_the_category_do_not_count(desk: Desk) -> None:
    answers = {"models": ["base", "good", "poor"]}
    await desk.run(answers=answers, judge={"models": ["poor"]})  # all of them against base
    pairing = desk.config(judge=RULES).judge.pairing
    judged = judged_bench(desk.bench_files(), ["judge"], pairing)
    assert set(judged.battles.questions) == {f"q{number}" for number in range(QUESTIONS)} - WRITING
    (warning,) = [text for text in judged.warnings if "baseline of their category" in text]
    assert f"{len(WRITING)} judgments of poor by judge" in warning


async def test_a_stop_rule_decides_by_all_categories(desk: Desk) -> None:
    run = await desk.run(Scope(until=parse_stop_rule("calls:8")), judge=RULES)
    assert run.state.opponent == "base + good"
    assert set(run.state.standings) == {"poor"}


async def test_a_category_that_no_question_has_is_reported(desk: Desk) -> None:
    config = desk.config(judge={"by_category": [{"category": "wriitng", "baseline": "good"}]})
    plan = make_plan(config, desk.bench_files(), Scope())
    assert any("no question has the category 'wriitng'" in text and "writing" in text for text in plan.warnings)
    assert plan.participants.baseline == "base"
