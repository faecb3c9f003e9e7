"""A run in a folder of generation 2: its records are of that generation, so that arena-hard-auto still reads them."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ALL_CALLS, QUESTIONS, Desk

from engine.results import judged_bench
from engine.work.plan import Scope

CONTEXT = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "Hi"}]


def of_generation_2(desk: Desk, **more: Any) -> None:
    desk.write(
        "question.jsonl",
        [
            {"uid": f"q{n}", "category": "hard_prompt", "subcategory": "maths", "prompt": f"What is {n} + {n}?", **more}
            for n in range(QUESTIONS)
        ],
    )


async def test_records_are_written_in_the_generation_of_the_folder(at_desk):
    async with at_desk() as desk:
        of_generation_2(desk)
        assert (await desk.run()).state.calls == ALL_CALLS
        answers, judgments = desk.answers("good"), desk.judgments("good")
        assert (
            {each["uid"] for each in answers}
            == {each["uid"] for each in judgments}
            == {f"q{n}" for n in range(QUESTIONS)}
        )
        for answer in answers:
            assert not answer.keys() & {"question_id", "answer_id", "model_id", "choices"}
            assert answer["ans_id"]
            assert answer["model"] == "good"
            assert answer["messages"][0] == {
                "role": "user",
                "content": f"What is {answer['uid'][1:]} + {answer['uid'][1:]}?",
            }
            said = answer["messages"][-1]
            assert said["role"] == "assistant"
            assert said["content"]["answer"]
            assert answer["metadata"]["token_len"] > 0
            assert set(answer["metadata"]["header_count"]) == {f"h{level}" for level in range(1, 7)}
            assert answer["settings"]
            assert answer["inputs"]
        for judgment in judgments:
            assert "question_id" not in judgment
            assert (judgment["category"], judgment["judge"], judgment["model"]) == ("hard_prompt", "judge", "good")
            assert judgment["baseline"] == "base"
            for game in judgment["games"]:
                assert game["score"]
                assert game["judgment"]["answer"]
                assert said_in(game)
                assert "user_prompt" not in game


def said_in(game: dict[str, Any]) -> str:
    """The last message that the judge was sent."""
    (message,) = game["prompt"]
    assert message["role"] == "user"
    return message["content"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"turns": [{"content": "What is one?"}, {"content": "And two?"}]},
        {"turns": [*CONTEXT, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "What is one?"}]},
    ],
)
@pytest.mark.parametrize("choices", [1, 2])
async def test_what_was_written_is_read_back(at_desk, more, choices):
    async with at_desk() as desk:
        of_generation_2(desk, **more)
        await desk.run(answers={"num_choices": choices})
        again = await desk.run(answers={"num_choices": choices})
        assert again.state.calls == 0
        assert not [notice.text for notice in again.state.notices if "other settings" in notice.text]
        first = judged_bench(desk.bench_files(), ["judge"], "base")
        assert len(first.battles) == 2 * 2 * QUESTIONS * choices
        assert not first.warnings
        assert all(length for known in first.facts.token_lengths.values() for length in known.values())
        assert (await desk.run(Scope(refresh=frozenset({"stale"})), answers={"num_choices": choices})).state.calls == 0
        asked = len(more.get("turns", [1])) - (3 if len(more.get("turns", ())) == 4 else 0)
        assert len(desk.bench_files().answers("good").items["q0"].turns) == asked


async def test_a_folder_of_generation_1_stays_one(at_desk):
    async with at_desk() as desk:
        await desk.run()
        assert all("uid" not in each for each in (*desk.answers("good"), *desk.judgments("good")))
