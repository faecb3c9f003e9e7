"""Answers of both generations: what counts as an answer, and which of several counts."""

from __future__ import annotations

import json
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench import Bench
from engine.bench.lines import encode_line
from engine.bench.stored import StoredAnswer, load_answers
from engine.records import AnswerRecord, Choice, Turn

CL = partial(StoredAnswer, token_counter="cl100k_base")
V2 = partial(StoredAnswer, token_counter="arena-hard-v2")


def generation_1(question_id, *texts, token_len=7, **more):
    turns = [{"content": text, "token_len": token_len} for text in texts]
    choices = [{"index": 0, "turns": turns}]
    return {"question_id": question_id, "answer_id": "a", "model_id": "m", "choices": choices, "tstamp": 1.5} | more


def generation_2(uid, text, token_len=None):
    record = {
        "uid": uid,
        "ans_id": "a",
        "model": "m",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": {"answer": text}}],
        "tstamp": 1.5,
    }
    return record if token_len is None else record | {"metadata": {"token_len": token_len, "bold_count": {"**": 1}}}


def test_both_generations_read_alike(bench, write_lines):
    path = write_lines(bench.answers("m"), generation_1("q", "text"), generation_2("u", "text", token_len=7))
    loaded = load_answers(path)
    assert loaded.items == {"q": CL("q", ("text",), 7), "u": V2("u", ("text",), 7)}
    assert loaded.problems == ()


def test_backslashes_and_quotes_of_generation_2_come_through_unchanged(bench, write_lines):
    text = 'LaTeX \\(\\frac{v t}{r}\\), a "quote", C:\\new\\table, tab\t, {"answer": "\\n"}'
    path = write_lines(bench.answers("m"), generation_2("u", text))
    assert load_answers(path).items["u"].turns == (text,)


def test_token_lengths_are_summed_over_the_turns_of_the_first_choice(bench, write_lines):
    other_choice = {"index": 1, "turns": [{"content": "other", "token_len": 1000}]}
    record = generation_1("q", "one", "two", token_len=20)
    record["choices"].append(other_choice)
    path = write_lines(bench.answers("m"), record)
    assert load_answers(path).items == {"q": CL("q", ("one", "two"), 40)}


def test_a_token_length_that_is_not_told_is_none(bench, write_lines):
    partly = generation_1("partly", "one", "two")
    partly["choices"][0]["turns"][0]["token_len"] = None
    path = write_lines(bench.answers("m"), partly, generation_1("odd", "x", token_len="7"), generation_2("u", "x"))
    lengths = {question_id: answer.token_len for question_id, answer in load_answers(path).items.items()}
    assert lengths == {"partly": None, "odd": None, "u": None}


def test_the_last_answer_to_a_question_counts(bench, write_lines):
    path = write_lines(
        bench.answers("m"),
        generation_2("q", "published"),
        generation_1("q", "refreshed", settings="12ab", finish_reason="length"),
    )
    loaded = load_answers(path)
    assert loaded.items == {"q": CL("q", ("refreshed",), 7, "12ab", "length")}
    assert loaded.problems == ()


@pytest.mark.parametrize("text", [None, "", " \n", "$ERROR$", "$ERROR$\n"])
@pytest.mark.parametrize("generation", [generation_1, generation_2])
def test_an_error_in_place_of_an_answer_counts_as_missing_and_is_told(bench, write_lines, generation, text):
    path = write_lines(bench.answers("m"), generation("q", text), generation("other", "fine"))
    loaded = load_answers(path)
    assert set(loaded.items) == {"other"}
    assert [problem.line for problem in loaded.problems] == [1]
    assert "counts as missing" in loaded.problems[0].message


def test_an_error_does_not_hide_an_earlier_answer(bench, write_lines):
    path = write_lines(bench.answers("m"), generation_1("q", "fine"), generation_1("q", "$ERROR$"))
    assert load_answers(path).items["q"].turns == ("fine",)


def test_an_answer_that_only_speaks_of_the_error_mark_is_an_answer(bench, write_lines):
    path = write_lines(bench.answers("m"), generation_1("q", "The file says $ERROR$ here."))
    assert load_answers(path).problems == ()


def test_what_is_no_answer_is_told_with_its_line(bench, write_lines):
    path = write_lines(
        bench.answers("m"),
        {"choices": [{"index": 0, "turns": [{"content": "no id"}]}]},
        generation_1("no turns"),
        {"question_id": "no choices", "choices": []},
        {"question_id": "text", "choices": "text"},
        {"uid": "plain", "messages": "text"},
        generation_1("first turn failed", None, "fine"),
        {"question_id": None, "uid": None},
    )
    loaded = load_answers(path)
    assert loaded.items == {}
    assert [problem.line for problem in loaded.problems] == [1, 2, 3, 4, 5, 6, 7]


def test_leading_spaces_belong_to_the_answer(bench, write_lines):
    path = write_lines(bench.answers("m"), generation_1("q", " Begins with a space\n"))
    assert load_answers(path).items["q"].turns == (" Begins with a space\n",)


def test_token_lengths_alone_are_those_of_the_answers(bench, write_lines):
    path = write_lines(
        bench.answers("m"),
        generation_1("a", "x", token_len=1),
        generation_1("a", "x", token_len=2),
        generation_1("b", "$ERROR$", token_len=3),
        generation_2("c", "x"),
    )
    lengths = Bench(bench.root).token_lengths("m")
    assert lengths.items == {"a": 2, "c": None}
    assert lengths.problems == load_answers(path).problems


text = st.text(max_size=60).filter(lambda text: text.strip() not in ("", "$ERROR$"))
ids = st.text(min_size=1, max_size=6)
records_1 = st.builds(
    lambda question_id, texts: (question_id, tuple(texts), generation_1(question_id, *texts)),
    ids,
    st.lists(text, min_size=1, max_size=3),
)
records_2 = st.builds(lambda uid, answer: (uid, (answer,), generation_2(uid, answer)), ids, text)


@settings(deadline=None)  # files
@given(st.lists(records_1 | records_2, max_size=8), st.booleans())
def test_any_texts_of_either_generation_come_through_unchanged(tmp_path_factory, records, ascii_only):
    path = tmp_path_factory.mktemp("answers") / "m.jsonl"
    lines = (json.dumps(record, ensure_ascii=ascii_only).encode() + b"\n" for _, _, record in records)
    path.write_bytes(b"".join(lines))
    loaded = load_answers(path)
    assert loaded.problems == ()
    assert {key: answer.turns for key, answer in loaded.items.items()} == {key: turns for key, turns, _ in records}


@settings(deadline=None)  # files
@given(ids, st.lists(text, min_size=1, max_size=3), st.none() | st.integers(0, 10_000))
def test_what_the_program_writes_reads_back(tmp_path_factory, question_id, texts, tokens):
    turns = tuple(Turn(text, tokens) for text in texts)
    record = AnswerRecord(question_id, "a", "m", (Choice(0, turns),), settings="s", finish_reason="stop")
    path = tmp_path_factory.mktemp("answers") / "m.jsonl"
    path.write_bytes(encode_line(record))
    total = None if tokens is None else tokens * len(texts)
    counter = None if tokens is None else "cl100k_base"
    expected = StoredAnswer(question_id, tuple(texts), total, "s", "stop", token_counter=counter)
    assert load_answers(path).items == {question_id: expected}
    assert msgspec.json.decode(path.read_bytes(), type=AnswerRecord) == record


def test_half_a_surrogate_pair_can_be_written_and_reads_back_as_a_replacement(bench):
    record = AnswerRecord("q", "a", "m", (Choice(0, (Turn("x\ud800y \U0001f600", 1),)),))
    bench.answers_dir.mkdir()
    bench.answers("m").write_bytes(encode_line(record))
    assert load_answers(bench.answers("m")).items["q"].turns == ("x\ufffdy \U0001f600",)
