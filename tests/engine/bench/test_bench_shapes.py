"""Records in the shapes that tools of the field write: each is read right, or refused by the name of its shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.decoding import answer_lines, judgment_lines, question_lines
from engine.bench.shapes import kind_of
from engine.bench.stored import load_answers, load_judgments, load_questions, whole_judgment
from engine.records import ContextMessage

PARTS = [{"type": "text", "text": "one"}, {"type": "input_text", "text": "two"}]
PIRATE = ContextMessage("system", "Be a pirate.")


@pytest.mark.parametrize(
    ("record", "turns", "context"),
    [
        ({"question_id": "q", "turns": ["First?", "Second?"]}, ("First?", "Second?"), ()),
        ({"question_id": "q", "turns": [{"content": PARTS}]}, ("one\ntwo",), ()),
        ({"question_id": "q", "turns": [[{"role": "user", "content": "Nested?"}]]}, ("Nested?",), ()),
        ({"question_id": "q", "turns": [{"role": "human", "text": "Hi?"}]}, ("Hi?",), ()),
        ({"uid": "q", "prompt": ["First?", "Second?"]}, ("First?", "Second?"), ()),
        ({"uid": "q", "prompt": [{"role": "user", "content": "Hi?"}]}, ("Hi?",), ()),
        ({"uid": "q", "prompt": PARTS}, ("one\ntwo",), ()),
        ({"uid": "q", "prompt": json.dumps([{"role": "user", "content": "Hi?"}])}, ("Hi?",), ()),
        ({"uid": "q", "prompt": '["First?", "Second?"]'}, ("First?", "Second?"), ()),
        ({"uid": "q", "prompt": "[1, 2, 3] sorted?"}, ("[1, 2, 3] sorted?",), ()),
        ({"uid": "q", "prompt": "[1, 2, 3]"}, ("[1, 2, 3]",), ()),
        ({"uid": "q", "prompt": {"messages": [{"role": "user", "content": "Hi?"}]}}, ("Hi?",), ()),
        ({"id": "q", "messages": [{"role": "user", "content": "Hi?"}]}, ("Hi?",), ()),
        ({"id": "q", "conversations": [{"from": "human", "value": "Hi?"}]}, ("Hi?",), ()),
        ({"id": "q", "conversation": [{"role": "user", "parts": [{"text": "Hi?"}]}]}, ("Hi?",), ()),
        ({"id": "q", "instruction": "Add", "input": "2 and 2"}, ("Add\n\n2 and 2",), ()),
        ({"id": "q", "instruction": "Add", "input": "", "output": "4"}, ("Add",), ()),
        ({"id": "q", "instruction": "Add", "context": "2 and 2"}, ("Add\n\n2 and 2",), ()),
        ({"qid": "q", "question": "Hi?"}, ("Hi?",), ()),
        ({"qid": "q", "question": "Which?", "context": "A text."}, ("Which?\n\nA text.",), ()),
        ({"question_id": "q", "turns": "Hi?"}, ("Hi?",), ()),
        ({"uid": "q", "prompt": '{"messages": [{"role": "user", "content": "Hi?"}]}'}, ("Hi?",), ()),
        ({"uid": "q", "prompt": '{"sum": [1, 2]} as YAML?'}, ('{"sum": [1, 2]} as YAML?',), ()),
        ({"uid": "q", "prompt": '{"sum": [1, 2]}'}, ('{"sum": [1, 2]}',), ()),
        ({"uid": "q", "prompt": str([{"role": "user", "content": "Don't?"}])}, ("Don't?",), ()),
        (
            {
                "id": "q",
                "messages": [{"type": "system", "content": PIRATE.content}, {"type": "human", "content": "Hi?"}],
            },
            ("Hi?",),
            (PIRATE,),
        ),
        (
            {
                "id": "q",
                "conversation": [
                    {"speaker": "user", "text": "2+2?"},
                    {"speaker": "AI", "text": "5"},
                    {"speaker": "user", "text": "Sure?"},
                ],
            },
            ("Sure?",),
            (ContextMessage("user", "2+2?"), ContextMessage("assistant", "5")),
        ),
        (
            {
                "id": "q",
                "messages": [{"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hi?"]}}],
            },
            ("Hi?",),
            (),
        ),
        (
            {
                "id": "q",
                "system": [{"type": "text", "text": PIRATE.content}],
                "messages": [{"role": "user", "content": "Hi?"}],
            },
            ("Hi?",),
            (PIRATE,),
        ),
        ({"question_id": "q", "text": "Hi?", "category": "generic"}, ("Hi?",), ()),
        ({"uid": "q", "prompt": "Hi?", "system_prompt": "Be a pirate."}, ("Hi?",), (PIRATE,)),
        (
            {"id": "q", "system": "Be a pirate.", "conversations": [{"from": "human", "value": "Hi?"}]},
            ("Hi?",),
            (PIRATE,),
        ),
        (
            {
                "question_id": "q",
                "turns": [{"role": "developer", "content": "Be a pirate."}, {"role": "user", "content": "Hi?"}],
            },
            ("Hi?",),
            (PIRATE,),
        ),
        (
            {
                "question_id": "q",
                "turns": [
                    {"role": "user", "content": "2+2?"},
                    {"role": "assistant", "content": "5"},
                    {"role": "user", "content": "Sure?"},
                    {"role": "user", "content": "Really?"},
                ],
            },
            ("Sure?", "Really?"),
            (ContextMessage("user", "2+2?"), ContextMessage("assistant", "5")),
        ),
    ],
)
def test_questions(bench, write_lines, record, turns, context):
    write_lines(bench.questions, record)
    loaded = load_questions(bench.questions)
    assert loaded.problems == ()
    (question,) = loaded.items
    assert (question.id, question.turns, question.context) == ("q", turns, context)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"turns": [{"role": "tool", "content": "42"}]}, "`turns` 1 has the role 'tool'"),
        (
            {"turns": [{"content": [{"type": "image_url", "image_url": {}}]}]},
            "`turns` 1 holds a part of type 'image_url'",
        ),
        ({"turns": ["one", ["two"], 3, True]}, "`turns` 4 is true or false, not a text"),
        ({"prompt": {"img": "x"}}, "`prompt` holds an object of `img`"),
        ({"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]}, "the last turn must be"),
        ({"messages": [{"role": "user", "content": ""}]}, "has no text"),
        ({"messages": [{"role": "system", "content": "s"}]}, "ends with a turn of the system"),
        ({"turns": ["?", {"role": "assistant", "tool_calls": []}, "!"]}, "`turns` 2 has no text"),
        ({"messages": ["Hi", "Hello!", "Who?"]}, "`messages` 1 has no role: is it the user's or the assistant's?"),
        ({"conversation": [{"content": "Hi"}, {"content": "Hello!"}]}, "`conversation` 1 has no role"),
        (
            {"conversations": [[{"role": "user", "content": "1?"}], [{"role": "user", "content": "2?"}]]},
            "is a list of 2 conv",
        ),
        (
            {"prompt": "[{'role': 'user', 'content': 'Hi?'}\n {'role': 'user', 'content': 'So?'}]"},
            "as Python or numpy print",
        ),
        ({"question": "Which?", "choices": ["one", "two"], "answer": 1}, "a question with a list of options"),
        ({"question": "Which?", "options": {"A": "one", "B": "two"}}, "a question with a list of options"),
        ({"question": "Which?", "context": {"title": ["x"]}}, "`context` is an object, not a text"),
        ({"task": "x", "level": 3}, "no question in it, only `question_id`, `task`, `level`"),
    ],
)
def test_questions_that_cannot_be_sent_are_refused_by_their_shape(bench, write_lines, record, why):
    write_lines(bench.questions, {"question_id": "q", **record})
    loaded = load_questions(bench.questions)
    assert loaded.items == []
    assert why.replace("the last turn must be", "its last turn must be the user's") in loaded.problems[0].message
    assert "q" in loaded.problems[0].message


CHAT = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "Yes"}]
COMPLETION = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"message": {"content": "Yes"}}]}


@pytest.mark.parametrize(
    "record",
    [
        {"question_id": "q", "choices": [{"turns": ["Yes"]}]},
        {"question_id": "q", "choices": [{"turns": [{"content": [{"type": "text", "text": "Yes"}]}]}]},
        {"question_id": "q", "choices": [{"turns": CHAT}]},
        {"question_id": "q", "choices": [{"message": {"role": "assistant", "content": "Yes"}}]},
        {"question_id": "q", "choices": [{"text": "Yes"}]},
        {"question_id": "q", "choices": ["Yes"]},
        {"question_id": "q", "choices": {"turns": [{"content": "Yes"}]}},
        {"uid": "q", "messages": CHAT},
        {"uid": "q", "messages": [CHAT[0], {"role": "assistant", "content": {"answer": "Yes"}}]},
        {"uid": "q", "messages": [*CHAT[:1], {"role": "assistant", "content": "no"}, *CHAT[:1],
                                  {"role": "assistant", "content": {"answer": "Yes"}}]},
        {"id": "q", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "Yes"}]},
        {"id": "q", "messages": [{"type": "human", "content": "?"}, {"type": "ai", "content": "Yes"}]},
        {"id": "q", "conversation": [{"speaker": "user", "text": "?"}, {"speaker": "assistant", "text": "Yes"}]},
        {"id": "q", "messages": [{"role": "model", "parts": [{"text": "Hm", "thought": True}, {"text": "Yes"}]}]},
        {"id": "q", "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Yes"}]}}]}},
        {"custom_id": "q", "result": {"type": "succeeded", "message": {"content": [{"type": "text", "text": "Yes"}]}}},
        {"id": "q", "instruction": "?", "output": "Yes"},
        {"id": "q", "prompt": "?", "response": "Yes"},
        {"id": "q", "prompt": "?", "response": ["Yes"]},
        {"id": "q", "response": COMPLETION},
        {**COMPLETION, "question_id": "q"},
        {"id": "batch_req_1", "custom_id": "q", "response": {"status_code": 200, "body": COMPLETION}},
        {"id": "q", "output": [{"type": "reasoning", "summary": []},
                               {"role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}]},
        {"id": "q", "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Yes"}]},
        {"question_id": "q", "text": "Yes", "model_id": "m"},
        {"question_id": "q", "answer": {"text": "Yes"}},
        {"question_id": "q", "generated_text": "Yes"},
    ],
)  # fmt: skip
def test_answers(bench, write_lines, record):
    path = write_lines(bench.answers("m"), record)
    loaded = load_answers(path)
    assert loaded.problems == ()
    assert loaded.items["q"].turns == ("Yes",)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"choices": [{"turns": [{"content": [{"type": "image_url"}]}]}]}, "a part of type 'image_url'"),
        ({"output": ["one", "two"]}, "a list of 2 texts"),
        ({"result": "Yes"}, "no answer in it, only `question_id`, `result`"),
        ({"choices": [{"turns": [{"content": None}]}]}, "no text in the answer to q; it counts as missing"),
        ({"question_id": None, **COMPLETION}, "without the id of its question"),
    ],
)
def test_answers_that_cannot_be_read_are_refused_by_their_shape(bench, write_lines, record, why):
    path = write_lines(bench.answers("m"), {"question_id": "q", **record})
    loaded = load_answers(path)
    assert loaded.items == {}
    assert why in loaded.problems[0].message


def test_lengths_in_tokens_come_along_with_other_shapes(bench, write_lines):
    turns = [{"content": [{"type": "text", "text": "Yes"}], "token_len": 3}]
    path = write_lines(
        bench.answers("m"),
        {"question_id": "q", "choices": [{"turns": turns}]},
        {"uid": "r", "messages": [*CHAT, *CHAT], "metadata": {"token_len": 7}},
    )
    assert {key: answer.token_len for key, answer in load_answers(path).items.items()} == {"q": 3, "r": 7}


@pytest.mark.parametrize(
    "game",
    [
        {"judgment": [{"type": "text", "text": "A wins"}], "user_prompt": "shown"},
        {"judgment": {"content": "A wins"}, "user_prompt": [{"type": "text", "text": "shown"}]},
        {
            "judgment": {"answer": "A wins"},
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "shown"}]}],
        },
        {"judgment": {"role": "assistant", "content": "A wins"}, "prompt": "shown"},
        {"judgment": "A wins", "user_prompt": [{"role": "user", "content": "shown"}]},
    ],
)
def test_judgments(bench, write_lines, game):
    record = {"question_id": "q", "games": [{**game, "score": "A>B"}, None]}
    path = write_lines(bench.judgments("j", "m"), record)
    loaded = load_judgments(path)
    assert loaded.problems == ()
    assert loaded.items["q"].labels == ("A>B", None)
    whole = whole_judgment(json.dumps(record).encode(), "q").games[0]
    assert whole is not None
    assert (whole.judgment, [message.content for message in whole.messages]) == ("A wins", ["shown"])


def test_a_score_counts_whatever_the_shape_of_the_texts_beside_it(bench, write_lines):
    games = [{"judgment": {"odd": 1}, "user_prompt": [[{"image": 1}]], "score": "A>B"}]
    path = write_lines(bench.judgments("j", "m"), {"question_id": "q", "games": games})
    assert load_judgments(path).items["q"].labels == ("A>B",)


def test_judgments_of_mt_bench_are_refused_by_name(bench, write_lines):
    path = write_lines(bench.judgments("j", "m"), {"question_id": 81, "g1_winner": "model_1", "g2_winner": "tie"})
    assert "a pair judgment of MT-bench" in load_judgments(path).problems[0].message


def test_games_that_are_texts_are_refused_as_such(bench, write_lines):
    path = write_lines(bench.judgments("j", "m"), {"question_id": "q", "games": ["[[A>B]]", "[[B>A]]"]})
    loaded = load_judgments(path)
    assert loaded.items == {}
    assert "`games` is a list with a text in it" in loaded.problems[0].message


def test_the_index_reads_them_as_the_loaders_do(bench, write_lines):
    from engine.bench import Bench

    write_lines(bench.questions, {"id": 7, "prompt": [{"role": "system", "content": "s"}, *CHAT[:1]]})
    write_lines(bench.answers("m"), {"id": 7, "messages": CHAT})
    found = Bench(bench.root)
    answer = found.answer("m", "7")
    assert answer is not None
    assert answer.turns == ("Yes",)
    assert found.index.questions().frame["key"].to_list() == ["7"]


def test_an_array_in_place_of_lines_is_named(bench):
    bench.questions.write_text('[\n{"id": 1, "prompt": "?"},\n{"id": 2, "prompt": "?"}\n]\n', "utf-8")
    assert "the file is a JSON array" in load_questions(bench.questions).problems[0].message


KEYS = ["question_id", "id", "turns", "prompt", "messages", "conversations", "role", "from", "content", "value", "type"]
KEYS += [
    "text",
    "choices",
    "message",
    "response",
    "body",
    "output",
    "answer",
    "games",
    "score",
    "judgment",
    "user_prompt",
]
KEYS += ["parts", "object", "metadata", "token_len", "instruction", "input", "system"]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "user", "text", "gpt"])
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=6))
def test_no_shape_ends_a_program(record):
    line = json.dumps(record).encode()
    question = question_lines.decode(line)[0]
    if question is not None:
        question.read({}, 1)
    answer = answer_lines.decode(line)[0]
    if answer is not None:
        assert answer.usable() or answer.complaint()
        answer.tokens()
    judgment = judgment_lines.decode(line)[0]
    if judgment is not None:
        list(judgment.complaints())
    kind_of(record)
