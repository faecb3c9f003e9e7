"""Answers of other programs: matched with the questions by their text, or bringing the questions along."""

from __future__ import annotations

import json

import pytest

from engine.bench.store import Bench
from engine.errors import BenchError
from engine.formats.foreign_answers import convert, is_foreign
from engine.formats.importing import import_bench

OUTPUTS = [
    {"dataset": "d", "instruction": "Why?", "output": "Because.", "generator": "org/model"},
    {"dataset": "d", "instruction": "How?\n", "output": "So, {braces} and\nlines", "generator": "org/model"},
    {"dataset": "d", "instruction": "Why?", "output": "No idea.", "generator": "other"},
]


def bring_in(src, empty_bench, tmp_path):
    folder = tmp_path / "converted"
    folder.mkdir()
    for file in convert(src, empty_bench, folder):
        import_bench(file, empty_bench.root.parent, empty_bench.name)
    return Bench(empty_bench.root)


def test_outputs_of_alpaca_eval_bring_their_questions_along_where_there_are_none(empty_bench, tmp_path):
    src = tmp_path / "model_outputs.json"
    src.write_text(json.dumps(OUTPUTS), "utf-8")
    assert is_foreign(src)
    found = bring_in(src, empty_bench, tmp_path)
    texts = {question.turns: question.id for question in found.questions().items}
    assert set(texts) == {("Why?",), ("How?\n",)}
    assert found.models_with_answers() == ["org/model", "other"]
    assert found.answers("org/model").items[texts["How?\n",]].turns == ("So, {braces} and\nlines",)


def test_a_csv_is_matched_with_the_questions_that_are_there(empty_bench, tmp_path, write_lines):
    write_lines(empty_bench.questions, {"question_id": 7, "turns": [{"content": 'Why, "he" asked?\nAnd how?'}]})
    src = tmp_path / "my-model.csv"
    src.write_text('\ufeffprompt,response\n"Why, ""he"" asked?\nAnd how?","Well, so"\n', "utf-8")
    found = bring_in(src, empty_bench, tmp_path)
    assert found.answers("my-model").items["7"].turns == ("Well, so",)


def test_answers_come_in_in_the_generation_of_the_bench(empty_bench, tmp_path, write_lines):
    write_lines(empty_bench.questions, {"uid": "7", "prompt": "Why?", "category": "c"})
    src = tmp_path / "my-model.csv"
    src.write_text("prompt,response\nWhy?,So.\n", "utf-8")
    found = bring_in(src, empty_bench, tmp_path)
    record = json.loads(empty_bench.answers("my-model").read_text("utf-8"))
    assert record["uid"] == "7"
    assert record["messages"][-1] == {"role": "assistant", "content": {"answer": "So."}}
    assert "question_id" not in record
    assert found.answers("my-model").items["7"].turns == ("So.",)


def test_answers_to_unknown_questions_are_refused_and_nothing_comes_in(empty_bench, tmp_path, write_lines):
    write_lines(empty_bench.questions, {"question_id": "q", "turns": [{"content": "Why?"}]})
    src = tmp_path / "outputs.json"
    src.write_text(json.dumps(OUTPUTS), "utf-8")
    with pytest.raises(BenchError, match="1 answers are to questions that are not in"):
        bring_in(src, empty_bench, tmp_path)
    assert Bench(empty_bench.root).models_with_answers() == []


def test_files_of_mt_bench_get_turns_as_they_are_here(empty_bench, tmp_path, write_lines):
    questions = write_lines(tmp_path / "q.jsonl", {"question_id": 81, "category": "c", "turns": ["First?", "Second?"]})
    choices = [{"index": 0, "turns": ["one", "two"]}]
    answers = write_lines(tmp_path / "a.jsonl", {"question_id": 81, "model_id": "m", "choices": choices})
    for file in (questions, answers):
        import_bench(file, empty_bench.root.parent, empty_bench.name)
    found = Bench(empty_bench.root)
    assert found.questions().items[0].turns == ("First?", "Second?")
    assert found.answers("m").items["81"].turns == ("one", "two")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"not JSON"),
        ("a.json", b'{"some": "object"}'),
        ("a.json", b'[{"instruction": 1, "output": null, "generator": "m"}]'),
        ("a.json", b"[]"),
        ("a.json", b'["\xff"]'),
        ("a.csv", b"question,answer\na,b\n"),
        ("a.csv", b"prompt,response\na\n"),
        ("a.csv", b"prompt,response\n\xff,b\n"),
        ("a.csv", b""),
    ],
)
def test_what_is_in_none_of_the_formats_is_reported_with_the_formats(empty_bench, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchError) as refused:
        convert(tmp_path / name, empty_bench, tmp_path)
    assert "AlpacaEval" in refused.value.hint


def test_files_of_arena_hard_are_not_foreign(tmp_path, write_lines):
    own = {"question_id": "q", "turns": [{"content": "?"}], "choices": [{"turns": [{"content": "!"}]}, 3]}
    for record in (own, {"question_id": "q", "turns": 3, "choices": "x"}, {"uid": "q", "prompt": "?"}):
        assert not is_foreign(write_lines(tmp_path / "own.jsonl", record))
    (tmp_path / "empty.jsonl").touch()
    assert not is_foreign(tmp_path / "empty.jsonl")


def imported(empty_bench, src):
    import_bench(src, empty_bench.root.parent, empty_bench.name)
    return Bench(empty_bench.root)


def test_lines_without_ids_bring_questions_and_answers_in_by_their_text(empty_bench, tmp_path, write_lines):
    asked = [
        {"prompt": "Why?"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "How?"}]},
    ]
    imported(empty_bench, write_lines(tmp_path / "set.jsonl", *asked))
    src = write_lines(tmp_path / "my-model.jsonl", *({**each, "response": "So."} for each in asked))
    found = imported(empty_bench, src)
    questions = found.questions().items
    assert [(question.turns, len(question.context)) for question in questions] == [(("Why?",), 0), (("How?",), 1)]
    assert found.answers("my-model").items.keys() == {question.id for question in questions}


def test_an_array_of_records_with_ids_is_read_as_their_lines(empty_bench, tmp_path):
    questions, answers = tmp_path / "sharegpt.json", tmp_path / "m.json"
    questions.write_text(json.dumps([{"id": 1, "conversations": [{"from": "human", "value": "Why?"}]}]), "utf-8")
    chat = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]
    answers.write_text(json.dumps([{"id": 1, "conversations": chat}]), "utf-8")
    imported(empty_bench, questions)
    assert imported(empty_bench, answers).answers("m").items["1"].turns == ("So.",)


def test_cells_that_hold_lists_as_json_become_turns(empty_bench, tmp_path):
    src = tmp_path / "m.csv"
    src.write_text('prompt,response\n"[""One?"",""Two?""]","[""1"",""2""]"\n"List?","[""a"",""b""]"\n', "utf-8")
    found = imported(empty_bench, src)
    texts = {question.id: question.turns for question in found.questions().items}
    answers = found.answers("m").items
    assert {texts[key]: answer.turns for key, answer in answers.items()} == {
        ("One?", "Two?"): ("1", "2"),
        ("List?",): ('["a","b"]',),
    }
