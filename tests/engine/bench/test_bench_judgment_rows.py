"""The list of judgments, single answers, and whole records of both generations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.bench import Bench
from engine.bench.index import BenchIndex
from engine.bench.judgment_rows import JudgmentRow, JudgmentRows
from engine.bench.layout import BenchPaths
from engine.bench.stored import load_judgments, read_judgment


def judgment(question_id: str, *scores: str | None, **more: Any) -> dict[str, Any]:
    games = [{"user_prompt": f"p{n}", "judgment": f"said {n}", "score": score} for n, score in enumerate(scores)]
    return {"question_id": question_id, "model": "m", "judge": "j", "games": games, **more}


def index(bench: BenchPaths) -> list[JudgmentRow]:
    games = JudgmentRows(bench, BenchIndex(bench))
    assert games.refresh()
    return list(games.rows)


def test_the_index_lists_what_the_leaderboard_counts(bench: BenchPaths, write_lines):
    path = write_lines(
        bench.judgments("j", "m"),
        judgment("q1", "[A>B]", "B<<A"),
        b"",
        b"not json",
        judgment("q2", None, "[[nonsense]]"),
        {"uid": 7, "judge": "j", "model": "m", "baseline": "base", "games": [None, {"score": "A<B"}]},
        {"question_id": "q4", "games": []},
        {"games": [{"score": "A>B"}]},
        judgment("q1", "A=B", "A=B"),
    )
    rows = {row.question_id: row for row in index(bench)}
    loaded = load_judgments(path).items
    assert {key: row.labels for key, row in rows.items()} == {key: told.labels for key, told in loaded.items()}
    assert {key: row.played for key, row in rows.items()} == {key: told.played for key, told in loaded.items()}
    assert rows["q1"].labels == ("A=B", "A=B")
    assert rows["7"].baseline == "base"
    assert rows["7"].played == (False, True)
    assert (rows["q1"].judge, rows["q1"].model) == ("j", "m")


def test_judgments_against_two_baselines_are_both_listed(bench: BenchPaths, write_lines):
    write_lines(
        bench.judgments("j", "m"),
        judgment("q", "A>B", "B>A", baseline="old"),
        judgment("q", "B>A", "A>B", baseline="new"),
    )
    assert {row.baseline: row.labels[0] for row in index(bench)} == {"old": "A>B", "new": "B>A"}


def test_the_index_grows_with_its_files_and_forgets_those_that_go(bench: BenchPaths, write_lines):
    write_lines(bench.judgments("j", "m"), judgment("q1", "A>B", "A>B"))
    games = JudgmentRows(bench, BenchIndex(bench))
    assert games.refresh()
    assert not games.refresh()
    with bench.judgments("j", "m").open("ab") as stream:
        stream.write(json.dumps(judgment("q2", "A=B", "A=B")).encode() + b"\n")
    write_lines(bench.judgments("j", "other"), judgment("q1", "A>B", "A>B"))
    assert games.refresh()
    assert [(row.model, row.question_id) for row in games.rows] == [("m", "q1"), ("m", "q2"), ("other", "q1")]
    bench.judgments("j", "m").unlink()
    assert games.refresh()
    assert [row.model for row in games.rows] == ["other"]


def test_a_whole_judgment_of_generation_1_tells_everything(bench: BenchPaths, write_lines):
    first = {
        "user_prompt": "Prompt one",
        "judgment": "<think>hm</think>So [[A>B]]",
        "score": "A>B",
        "asks": 2,
        "finish_reason": "stop",
        "usage": {"completion_tokens": 7},
    }
    second = {"user_prompt": "Prompt two", "judgment": "no idea", "score": None, "reasoning": "I thought"}
    record = {"question_id": "q", "games": [first, second], "baseline": "b", "settings": "s", "inputs": "i"}
    write_lines(bench.judgments("j", "m"), record)
    (row,) = index(bench)
    whole = read_judgment(row.file, row.place, row.question_id)
    one, two = whole.games
    assert one is not None
    assert two is not None
    assert (one.judgment, one.reasoning, one.label, one.asks, one.completion_tokens) == (
        "So [[A>B]]",
        "hm",
        "A>B",
        2,
        7,
    )
    assert one.messages[0].content == "Prompt one"
    assert (two.judgment, two.reasoning, two.label) == ("no idea", "I thought", None)
    assert (whole.baseline, whole.settings, whole.inputs) == ("b", "s", "i")


def test_a_whole_judgment_of_generation_2_tells_its_system_prompt_and_the_game_that_was_not_played(
    bench: BenchPaths, write_lines
):
    messages = [{"role": "system", "content": "Judge!"}, {"role": "user", "content": "Here"}]
    game = {"score": "A<<B", "judgment": {"answer": "B it is"}, "prompt": messages}
    write_lines(bench.judgments("j", "m"), {"uid": "u", "baseline": "b", "games": [game, None]})
    (row,) = index(bench)
    one, two = read_judgment(row.file, row.place, row.question_id).games
    assert one is not None
    assert [(message.role, message.content) for message in one.messages] == [("system", "Judge!"), ("user", "Here")]
    assert (one.judgment, one.label, one.score) == ("B it is", "B>>A", "A<<B")
    assert two is None


@pytest.mark.parametrize(
    "game", [3, "text", {"judgment": 3, "score": ["A>B"]}, {"judgment": None, "prompt": "x"}, {"usage": []}]
)
def test_what_is_of_an_unexpected_type_reads_as_absent(bench: BenchPaths, write_lines, game: Any):
    path = write_lines(bench.judgments("j", "m"), {"question_id": "q", "games": [{"score": "A>B"}, game]})
    rows = JudgmentRows(bench, BenchIndex(bench))
    rows.refresh()
    place = next(iter(rows.rows)).place if list(rows.rows) else None
    if place is not None:
        whole = read_judgment(path, place, "q")
        assert len(whole.games) == 2
        assert whole.games[1] is None or whole.games[1].label is None


def test_the_last_usable_answer_is_the_one_that_is_read(bench: BenchPaths, write_lines):
    def answer(text: str | None, **more: Any) -> dict[str, Any]:
        choices = [{"index": 0, "turns": [{"content": text, "token_len": 5}]}]
        return {"question_id": "q", "choices": choices, **more}

    second_generation = {
        "uid": "u",
        "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": {"answer": "gen 2"}}],
        "metadata": {"token_len": 9},
    }
    write_lines(
        bench.answers("m"),
        answer("first"),
        answer("second", reasoning="why", finish_reason="length"),
        answer("$ERROR$"),
        answer(None),
        b"broken",
        second_generation,
    )
    answers = Bench(bench.root)
    assert set(answers.index.answers("m").spans) == {"q", "u"}
    found = answers.answer("m", "q")
    assert found is not None
    assert (found.turns, found.token_len, found.reasoning, found.finish_reason) == (("second",), 5, "why", "length")
    other = answers.answer("m", "u")
    assert other is not None
    assert (other.turns, other.token_len) == (("gen 2",), 9)
    assert answers.answer("m", "nothing") is None
    assert answers.answer("nobody", "q") is None
    with bench.answers("m").open("ab") as stream:
        stream.write(json.dumps(answer("third")).encode() + b"\n")
    newest = answers.answer("m", "q")
    assert newest is not None
    assert newest.turns == ("third",)


def test_an_answer_of_no_known_kind_is_none(bench: BenchPaths, write_lines):
    write_lines(bench.answers("m"), {"question_id": "q", "choices": "many"})
    assert Bench(bench.root).answer("m", "q") is None
