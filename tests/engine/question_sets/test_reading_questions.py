"""Which question a row holds, in the layouts that prompts come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.lines import ProblemLog
from engine.errors import UsageProblem
from engine.formats.row_files import FileRow
from engine.question_sets.reading import LONGEST_PROMPT, ColumnMap, FoundQuestion, read_questions


def read(*rows: dict[str, object], columns: tuple[tuple[str, str], ...] = ()) -> tuple[list[FoundQuestion], list[str]]:
    log = ProblemLog(Path("f"))
    found = read_questions([FileRow(at, row) for at, row in enumerate(rows, start=1)], ColumnMap(columns), log)
    return found, [str(problem) for problem in log.result()]


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
ANSWERED = [*CHAT, {"role": "assistant", "content": "Because."}]


@pytest.mark.parametrize(
    ("row", "context", "turns"),
    [
        ({"prompt": "Why?"}, 0, ("Why?",)),
        ({"prompt": CHAT}, 1, ("Why?",)),
        ({"messages": ANSWERED}, 1, ("Why?",)),
        ({"prompt": CHAT, "chosen": [{"role": "assistant", "content": "a"}], "rejected": []}, 1, ("Why?",)),
        ({"chosen": ANSWERED, "rejected": [*CHAT, {"role": "assistant", "content": "No."}]}, 1, ("Why?",)),
        ({"prompt": "Why?", "completion": "Because."}, 0, ("Why?",)),
        ({"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]}, 0, ("Why?",)),
        (
            {"conversations": [{"from": f, "value": v} for f, v in (("human", "a"), ("gpt", "b"), ("human", "c"))]},
            2,
            ("c",),
        ),
        ({"question_id": 81, "category": "writing", "turns": ["one", "two"]}, 0, ("one", "two")),
        ({"instruction": "Sum up.", "input": "Text.", "output": "T."}, 0, ("Sum up.\n\nText.",)),
        ({"uid": "u", "prompt": "Why?", "category": "hard_prompt", "subcategory": "coding"}, 0, ("Why?",)),
    ],
    ids=["prompt", "chat", "answered chat", "TRL", "TRL implicit", "TRL completion", "ShareGPT", "ShareGPT turns",
         "MT-bench", "Alpaca", "generation 2"],
)  # fmt: skip
def test_the_question_of_a_row_is_what_was_asked(row, context, turns):
    found, problems = read(row)
    assert problems == []
    assert found[0].question.turns == turns
    assert len(found[0].question.context) == context


def test_columns_are_mapped_also_from_inside_of_others():
    row = {"data": {"ru": "Что?"}, "prompt": "not this", "kind": "math", "key": 7}
    mapping = (("data.ru", "prompt"), ("kind", "category"), ("key", "id"))
    question = read(row, columns=mapping)[0][0].question
    assert (question.id, question.turns, question.category) == ("7", ("Что?",), "math")


def test_a_mapping_of_an_unknown_field_or_column_is_named():
    with pytest.raises(UsageProblem, match="no field 'answer'"):
        ColumnMap((("a", "answer"),))
    assert read({"prompt": "x"}, columns=(("q", "prompt"),))[1] == ["f:1: no column 'q', only `prompt`"]


def test_ids_follow_from_the_text_where_there_are_none():
    found, _ = read({"prompt": "a"}, {"prompt": "b"}, {"prompt": "a", "id": ""})
    assert found[0].question.id == found[2].question.id != found[1].question.id


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "  "}, "empty: no text to ask"),
        ({"prompt": None}, "empty: no text to ask"),
        ({"messages": [{"role": "assistant", "content": "Hello"}]}, "empty: no text to ask"),
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, "1,000,001 characters, at most 1,000,000 can be asked"),
        ({"answer": "x"}, "no question in it, only `answer`, `question_id`"),
        ({"prompt": [{"role": "tool", "content": "x"}]}, "`prompt` 1 has the role 'tool'"),
    ],
)
def test_a_row_without_a_question_is_a_problem_with_its_line(row, says):
    found, problems = read({"prompt": "fine"}, row)
    assert len(found) == 1
    assert problems[0].startswith("f:2: ")
    assert says in problems[0]


def test_one_id_with_two_texts_is_a_problem():
    found, problems = read({"id": 1, "prompt": "a"}, {"id": 1, "prompt": "a"}, {"id": "1", "prompt": "b"})
    assert len(found) == 2
    assert problems == ["f:3: the id 1 stands in line 1 already, with another text"]
