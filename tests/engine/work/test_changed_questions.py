"""A question set that is edited after answers exist, and files that are edited while a run writes to them."""

from __future__ import annotations

import json

import pytest
from desk import QUESTIONS

from engine.errors import ConfigError
from engine.events import RecordSaved
from engine.results import judged_bench
from engine.run import Run
from engine.work.plan import Scope, make_plan


def notices(run: Run) -> str:
    return "\n".join(notice.text for notice in run.state.notices)


def edit_first_question(desk) -> None:
    path = desk.bench / "question.jsonl"
    path.write_text(path.read_text("utf-8").replace("What is 0 + 0?", "What is 0 + 1?"), "utf-8")


async def test_answers_to_another_text_of_a_question_are_reported_and_recreated_on_request(at_desk):
    async with at_desk() as desk:
        await desk.run()
        edit_first_question(desk)
        again = await desk.run(Scope(judgments=False))
        assert again.state.calls == 0
        assert "poor: 1 answers were given to another text of their question (q0); recreate them" in notices(again)
        renewed = await desk.run(Scope(judgments=False, refresh=frozenset({"stale"})))
        assert renewed.state.calls == 3
        assert "another text of their question" not in notices(renewed)
        assert "another text of their question" not in notices(await desk.run())


async def test_judgments_of_an_edited_question_do_not_count_and_are_made_again(at_desk):
    async with at_desk() as desk:
        await desk.run()
        edit_first_question(desk)
        judged = judged_bench(desk.bench_files(), ["judge"], "base")
        assert "q0" not in judged.battles.questions
        assert any(text.startswith("1 judgments of poor by judge are of other texts") for text in judged.warnings)
        assert (await desk.run()).state.calls == 2 * 2


async def test_judgments_that_cannot_be_checked_are_not_made_again(at_desk):
    async with at_desk() as desk:
        await desk.run()
        for path in (desk.bench / "model_judgment").glob("*/*.jsonl"):
            records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            bare = [
                {"question_id": each["question_id"], "games": [{"score": game["score"]} for game in each["games"]]}
                for each in records
            ]
            path.write_text("".join(json.dumps(each) + "\n" for each in bare), "utf-8")
        assert (await desk.run()).state.calls == 0
        judged = judged_bench(desk.bench_files(), ["judge"], "base")
        assert len(judged.battles.questions) == QUESTIONS


async def test_records_of_a_removed_question_are_reported_and_not_used(at_desk):
    async with at_desk() as desk:
        await desk.run()
        kept = (desk.bench / "question.jsonl").read_text("utf-8").split("\n")[1:]
        (desk.bench / "question.jsonl").write_text("\n".join(kept), "utf-8")
        before = (desk.bench / "model_answer" / "poor.jsonl").read_bytes()
        again = await desk.run()
        assert again.state.calls == 0
        assert "poor: 1 answers are to questions that are not in the set (q0)" in notices(again)
        judged = judged_bench(desk.bench_files(), ["judge"], "base")
        assert len(judged.battles.questions) == QUESTIONS - 1
        assert (desk.bench / "model_answer" / "poor.jsonl").read_bytes() == before


async def test_with_a_limit_the_other_questions_are_not_taken_for_removed_ones(at_desk):
    async with at_desk() as desk:
        await desk.run()
        found = make_plan(desk.config(), desk.bench_files(), Scope(limit=2))
        assert not [text for text in found.warnings if "not in the set" in text]


@pytest.mark.parametrize("kept_of_ours", [True, False])
async def test_a_file_that_is_edited_during_a_run_is_noticed_and_the_next_run_makes_what_is_gone(at_desk, kept_of_ours):
    async with at_desk() as desk:
        path = desk.bench / "model_answer" / "poor.jsonl"
        run, edits = Run(desk.config(), Scope(judgments=False)), []

        def edit(event: object) -> None:
            if isinstance(event, RecordSaved) and event.task.model == "poor" and not edits:
                edits.append(path.read_bytes())
                line = b'{"question_id": "by-hand", "choices": [{"turns": [{"content": "hers"}]}]}\n'
                if kept_of_ours:
                    with path.open("ab") as stream:
                        stream.write(line)
                else:
                    path.unlink()
                    path.write_bytes(line)

        run.listen(edit)
        await run.execute()
        assert b"by-hand" in path.read_bytes()
        assert f"{path}: another program has {'appended' if kept_of_ours else 'rewritten'}" in notices(run)
        again = await desk.run(Scope(judgments=False))
        assert (again.state.calls > 0) is not kept_of_ours
        assert {record["question_id"] for record in desk.answers("poor")} == {
            "by-hand",
            *(f"q{number}" for number in range(QUESTIONS)),
        }


async def test_names_that_look_alike_are_reported_and_accepted(at_desk):
    async with at_desk() as desk:
        desk.write("model_answer/pооr.jsonl", [])  # with Cyrillic letters
        found = make_plan(desk.config(), desk.bench_files(), Scope())
        (warning,) = [text for text in found.warnings if "look alike" in text]
        assert warning.startswith(r"'poor' and 'p\u043e\u043er' look alike")


async def test_names_that_would_share_a_file_are_refused_where_the_disk_ignores_case(at_desk):
    async with at_desk() as desk:
        desk.write("model_answer/Poor.jsonl", [])
        make_plan(desk.config(), desk.bench_files(), Scope())
        desk.write("QUESTION.JSONL", [])  # as if it were question.jsonl
        with pytest.raises(ConfigError, match="'Poor' and 'poor' would share one file"):
            make_plan(desk.config(), desk.bench_files(), Scope())
