"""Several answers to a question and repeated judgments: what is made, kept, reused, and how it counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from desk import QUESTIONS, Desk, lines

from engine.bench.judgment_rows import JudgmentRows
from engine.events import CallEnded, Event
from engine.ratings.leaderboard import LeaderboardOptions
from engine.repeats import FIRST, ONCE, Repeats, Replicate, parse_repeats
from engine.results import judged_bench, rate
from engine.run import Run
from engine.work.plan import Scope, make_plan

SAMPLED: dict[str, dict[str, Any]] = {"answers": {"temperature": 1.0}, "judge": {"temperature": 2.0}}
TWICE, THRICE = Scope(repeats=parse_repeats("2")), Scope(repeats=parse_repeats("3x2"))
FURTHER = [(0, 1), (1, 0)]  # choice and repeat of what `TWICE` adds


def further(desk: Desk, model: str) -> list[dict[str, Any]]:
    return lines(desk.bench / "judgment_repeats" / "judge" / f"{model}.jsonl")


def which(record: dict[str, Any]) -> tuple[int, int]:
    return record.get("choice", 0), record.get("repeat", 0)


def all_which(desk: Desk, model: str) -> Counter[tuple[int, int]]:
    return Counter(map(which, further(desk, model)))


async def test_the_first_judgment_stands_where_every_program_reads_it_and_all_others_beside_it(at_desk):
    async with at_desk() as desk:
        run = await desk.run(TWICE, **SAMPLED)
        assert run.state.phase == "done", run.state.notices
        for model in ("good", "poor"):
            assert len(desk.judgments(model)) == QUESTIONS
            assert not [record for record in desk.judgments(model) if {"choice", "repeat"} & record.keys()]
            assert all_which(desk, model) == dict.fromkeys(FURTHER, QUESTIONS)
        judging = [task for key, task in run.state.tasks.items() if key.stage == "judgments"]
        assert [(task.total, task.done) for task in judging] == [(3 * QUESTIONS, 3 * QUESTIONS)] * 2
        assert (await desk.run(TWICE, **SAMPLED)).state.calls == 0


async def test_each_judgment_compares_the_answers_of_its_own_choice_and_repeats_have_seeds_of_their_own(at_desk):
    async with at_desk() as desk:
        await desk.run(THRICE, **SAMPLED)
        texts = {
            model: {r["question_id"]: [c["turns"][0]["content"] for c in r["choices"]] for r in desk.answers(model)}
            for model in ("base", "good")
        }
        assert all(len(set(choices)) == 3 for mine in texts.values() for choices in mine.values())
        for record in (*desk.judgments("good"), *further(desk, "good")):
            choice, key = record.get("choice", 0), record["question_id"]
            first, second = (game["user_prompt"] for game in record["games"])
            ours, theirs = texts["good"][key][choice], texts["base"][key][choice]
            assert first.index(theirs) < first.index(ours)
            assert second.index(ours) < second.index(theirs)
            assert record.get("baseline_choice", 0) == choice
        said = {(r["question_id"], which(r)): [g["score"] for g in r["games"]] for r in further(desk, "good")}
        pairs = [
            (said[f"q{n}", (choice, 0)], said[f"q{n}", (choice, 1)]) for n in range(QUESTIONS) for choice in (1, 2)
        ]
        assert any(one != other for one, other in pairs), "a sampled judge says the same each time: no seed is sent"


async def test_more_repeats_make_only_what_is_missing_and_fewer_make_nothing(at_desk):
    async with at_desk() as desk:
        once = await desk.run(**SAMPLED)
        before = {r["question_id"]: r["choices"][0] for r in desk.answers("good")}
        twice = await desk.run(TWICE, **SAMPLED)
        assert twice.state.calls == 3 * QUESTIONS + 2 * QUESTIONS * 2 * len(FURTHER)
        assert {r["question_id"]: r["choices"][0] for r in desk.answers("good")} == before
        assert len(desk.judgments("good")) == QUESTIONS, "judgments of the first answers are kept"
        thrice = await desk.run(THRICE, **SAMPLED)
        assert thrice.state.calls == 3 * QUESTIONS + 2 * QUESTIONS * 2 * len([(1, 1), (2, 0), (2, 1)])
        for scope in (Scope(), TWICE, THRICE):
            assert (await desk.run(scope, **SAMPLED)).state.calls == 0
        assert once.state.calls == 3 * QUESTIONS + 2 * QUESTIONS * 2
        usage = [r["usage"]["completion_tokens"] for r in desk.answers("good")[-QUESTIONS:]]
        firsts = [r["usage"]["completion_tokens"] for r in desk.answers("good")[:QUESTIONS]]
        assert min(usage) > 2 * min(firsts), "the tokens of all choices are summed"


async def test_all_answers_that_the_config_asks_for_are_judged(at_desk):
    several = {**SAMPLED, "answers": {"temperature": 1.0, "num_choices": 2}}
    async with at_desk() as desk:
        await desk.run(**several)
        assert all_which(desk, "good") == {(1, 0): QUESTIONS}
        board, _ = rate(judged_bench(desk.bench_files(), ["judge"], "base"), LeaderboardOptions(baseline="base"))
        assert {row.model: row.games for row in board.rows if row.model != "base"} == dict.fromkeys(
            ("good", "poor"), 4 * QUESTIONS
        )
        assert all(row.questions == QUESTIONS for row in board.rows if row.model != "base")
        assert (await desk.run(**SAMPLED)).state.calls == 0, "fewer choices are no other settings"
        assert not make_plan(desk.config(**SAMPLED), desk.bench_files(), Scope()).warnings


async def test_a_question_counts_once_however_many_answers_and_repeats_it_has(at_desk):
    async with at_desk() as desk:
        await desk.run(**SAMPLED)
        options = LeaderboardOptions(baseline="base", rounds=200)
        before, _ = rate(judged_bench(desk.bench_files(), ["judge"], "base"), options)
        for model in ("good", "poor"):
            kept = desk.judgments(model)
            copies = [
                {**record, "choice": 0, "repeat": repeat} for record in kept[:2] for repeat in range(1, 9)
            ]  # two questions judged nine times, with the same result
            desk.write(f"judgment_repeats/judge/{model}.jsonl", copies)
        after, _ = rate(judged_bench(desk.bench_files(), ["judge"], "base"), options)
        scores = [[(row.model, round(row.score, 9)) for row in board.rows] for board in (before, after)]
        assert scores[0] == scores[1]
        assert [(row.model, round(row.lower, 6)) for row in after.rows] == [
            (row.model, round(row.lower, 6)) for row in before.rows
        ]


async def test_a_run_that_was_cut_off_makes_nothing_twice(at_desk):
    async with at_desk(latency=0.02) as desk:
        run = Run(desk.config(**SAMPLED), TWICE)
        ended = 0

        def cut(event: Event) -> None:
            nonlocal ended
            ended += isinstance(event, CallEnded)
            if ended == 30:
                run.stop()

        run.listen(cut)
        async with asyncio.timeout(60):
            await run.execute()
        again = await desk.run(TWICE, **SAMPLED)
        assert again.state.phase == "done"
        assert await desk.calls() == 2 * 3 * QUESTIONS + 2 * QUESTIONS * 2 * 3
        assert all_which(desk, "good") == dict.fromkeys(FURTHER, QUESTIONS)


async def test_repeats_of_an_answer_that_was_changed_do_not_count_and_are_made_again(at_desk):
    async with at_desk() as desk:
        await desk.run(TWICE, **SAMPLED)
        answers = desk.answers("good")
        answers[0]["choices"][1]["turns"][0]["content"] = "Quite another answer."
        desk.write("model_answer/good.jsonl", answers)
        judged = judged_bench(desk.bench_files(), ["judge"], "base")
        of_good = judged.battles.where(judged.battles.model_b == judged.battles.models.index("good"))
        assert len(of_good) == 2 * (3 * QUESTIONS - 1)
        again = await desk.run(TWICE, **SAMPLED)
        assert again.state.calls == 2
        assert len(judged_bench(desk.bench_files(), ["judge"], "base").battles) == 2 * 2 * 3 * QUESTIONS


async def test_a_model_without_an_endpoint_is_judged_again_on_the_answers_it_has(at_desk):
    async with at_desk() as desk:
        await desk.run(**SAMPLED)
        document = desk.config(**SAMPLED).model_dump(mode="json", exclude_unset=True)
        document["models"]["good"] = {}
        config = desk.parsed(document)
        plan = make_plan(config, desk.bench_files(), TWICE)
        assert any("good: 6 of 6 answers are not repeated" in warning for warning in plan.warnings)
        run = Run(config, TWICE)
        async with asyncio.timeout(60):
            await run.execute()
        assert all_which(desk, "good") == {(0, 1): QUESTIONS}
        assert all_which(desk, "poor") == dict.fromkeys(FURTHER, QUESTIONS)


async def test_the_list_of_judgments_has_each_question_once_and_counts_the_others(at_desk):
    async with at_desk() as desk:
        await desk.run(**SAMPLED)
        bench = desk.bench_files()
        rows = JudgmentRows(bench.paths, bench.index)
        assert rows.refresh()
        assert [row.further for row in rows.rows] == [0] * 2 * QUESTIONS
        assert not rows.refresh()
        await desk.run(TWICE, **SAMPLED)
        assert rows.refresh()
        assert [row.further for row in rows.rows] == [len(FURTHER)] * 2 * QUESTIONS
        assert not rows.refresh()


async def test_repeats_that_are_alike_are_reported_before_they_are_paid_for(at_desk):
    async with at_desk() as desk:
        found = make_plan(desk.config(), desk.bench_files(), TWICE).warnings
        assert any("answers at temperature 0" in warning for warning in found)
        assert any("verdicts at temperature 0" in warning for warning in found)
        assert not make_plan(desk.config(**SAMPLED), desk.bench_files(), TWICE).warnings


async def test_a_stop_rule_decides_by_first_judgments(at_desk):
    async with at_desk() as desk:
        from engine.ratings.stop_rule import parse_stop_rule

        scope = Scope(repeats=TWICE.repeats, until=parse_stop_rule("calls:1000"))
        run = await desk.run(scope, **SAMPLED)
        assert run.state.phase == "done"
        assert {known.questions for known in run.state.standings.values()} == {QUESTIONS}


def test_repeats_are_read_as_they_are_written():
    assert parse_repeats("1") == ONCE
    assert str(parse_repeats(" 3 X 2 ")) == "3x2"
    assert str(parse_repeats("4")) == "4"
    assert parse_repeats("3").replicates(2) == [FIRST, Replicate(0, 1), Replicate(0, 2), Replicate(1, 0)]
    assert Repeats(2, 2, of_every=True).replicates(5) == [FIRST, Replicate(0, 1), Replicate(1, 0), Replicate(1, 1)]
