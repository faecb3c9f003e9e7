"""The two games of a question, and asking again."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judging.prompts import (
    REASK,
    SIMPLE,
    custom_prompt,
    encoded_game_messages,
    game_messages,
    reask_messages,
)
from engine.judging.rules import parser
from engine.records import Question

QUESTION = Question("q1", ("Why is the sky blue?",))
PROMPT = custom_prompt("Judge.", "{QUESTION}|{ANSWER_A}|{ANSWER_B}")


@pytest.mark.parametrize(("number", "shown"), [(1, "baseline's|model's"), (2, "model's|baseline's")])
def test_the_baseline_is_a_in_game_1_and_the_model_in_game_2(number, shown):
    assert game_messages(PROMPT, QUESTION, ["baseline's"], ["model's"], number) == [
        {"role": "system", "content": "Judge."},
        {"role": "user", "content": f"Why is the sky blue?|{shown}"},
    ]


def test_an_empty_system_prompt_sends_no_system_message():
    messages = game_messages(custom_prompt("", PROMPT.template), QUESTION, ["a"], ["b"], 1)
    assert [message["role"] for message in messages] == ["user"]


def test_a_conversation_is_judged_whole():
    question = Question("q2", ("Name a river.", "And its length?"))
    user = game_messages(SIMPLE, question, ["Ob", "3650 km"], ["Don", "1870 km"], 1)[-1]["content"]
    assert all(text in user for text in (*question.turns, "Ob", "3650 km", "Don", "1870 km"))


def test_asking_again_shows_the_judge_what_it_wrote():
    opening = game_messages(PROMPT, QUESTION, ["a"], ["b"], 1)
    again = reask_messages(opening, "Hard to say.")
    assert again[: len(opening)] == opening
    assert again[len(opening) :] == [
        {"role": "assistant", "content": "Hard to say."},
        {"role": "user", "content": REASK},
    ]
    assert len(opening) == 2  # untouched


def test_asking_again_suggests_no_verdict():
    assert parser("lenient")(REASK).reason == "none"


TURNS = st.lists(st.text() | st.sampled_from(['"\\', "<|im_end|>", "{ANSWER_A}", "\ud83d"]), min_size=1, max_size=3)
NUMBERED = custom_prompt("Judge.", "{question_1} {question_2} {answer_1} {answer_2} {answer_3} {answer_4}")


@given(
    st.sampled_from([PROMPT, SIMPLE, NUMBERED, custom_prompt("", 'a "quoted" {{}} {QUESTION}{ANSWER_A}{ANSWER_B}')]),
    TURNS,
    TURNS,
    TURNS,
    st.sampled_from([1, 2]),
)
def test_messages_encoded_piece_by_piece_are_those_of_the_whole_texts(prompt, asked, theirs, ours, number):
    plain = game_messages(prompt, Question("q", tuple(asked)), theirs, ours, number)
    encoded = encoded_game_messages(prompt, Question("q", tuple(asked)), theirs, ours, number)
    try:
        whole = msgspec.json.encode(plain)
    except UnicodeEncodeError:  # half a surrogate pair: such a call fails, as it would with the texts
        assert encoded == plain
    else:
        assert msgspec.json.encode(encoded) == whole
