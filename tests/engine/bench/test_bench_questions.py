"""Question sets of both generations."""

from __future__ import annotations

from engine.bench.stored import load_questions
from engine.records import Question


def test_generation_1_questions_keep_their_order_turns_and_topic(bench, write_lines):
    write_lines(
        bench.questions,
        {"question_id": "b", "category": "c1", "cluster": "topic", "turns": [{"content": "First?"}]},
        {"question_id": "a", "turns": [{"content": "One?"}, {"content": "And two?"}]},
    )
    loaded = load_questions(bench.questions)
    assert loaded.items == [Question("b", ("First?",), "c1", "topic"), Question("a", ("One?", "And two?"))]
    assert loaded.problems == ()


def test_generation_2_questions_have_their_subcategory_as_topic(bench, write_lines):
    write_lines(
        bench.questions,
        {"uid": "u1", "category": "hard_prompt", "subcategory": "coding", "prompt": "Write a parser."},
        {"uid": "u2", "category": "arena-hard-v0.1", "cluster": "Regex", "prompt": "Explain \\d+."},
    )
    assert load_questions(bench.questions).items == [
        Question("u1", ("Write a parser.",), "hard_prompt", "coding"),
        Question("u2", ("Explain \\d+.",), "arena-hard-v0.1", "Regex"),
    ]


def test_integer_ids_and_topics_are_their_decimal_string(bench, write_lines):
    write_lines(bench.questions, {"question_id": 81, "cluster": 3, "turns": [{"content": "?"}]})
    assert load_questions(bench.questions).items == [Question("81", ("?",), "", "3")]


def test_of_two_questions_with_one_id_the_first_is_kept_and_the_other_told(bench, write_lines):
    write_lines(
        bench.questions,
        {"question_id": "q", "turns": [{"content": "first"}]},
        {"question_id": "q", "turns": [{"content": "second"}]},
    )
    loaded = load_questions(bench.questions)
    assert [question.turns for question in loaded.items] == [("first",)]
    assert str(loaded.problems[0]).startswith(f"{bench.questions}:2: question q stands in line 1 already")


def test_what_is_no_question_is_told_with_its_line(bench, write_lines):
    write_lines(
        bench.questions,
        {"turns": [{"content": "no id"}]},
        {"question_id": "empty", "turns": [{"content": "  "}]},
        {"question_id": "none", "turns": []},
        {"question_id": "number", "turns": 5},
        b"{torn",
        {"uid": "null", "prompt": None},
        {"question_id": "good", "turns": [{"content": "?"}]},
    )
    loaded = load_questions(bench.questions)
    assert [question.id for question in loaded.items] == ["good"]
    assert [problem.line for problem in loaded.problems] == [1, 2, 3, 4, 5, 6]
