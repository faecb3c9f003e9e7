"""The two games of a question, and asking again."""

import pytest

from engine.judging.prompts import REASK, SIMPLE, custom_prompt, game_messages, reask_messages
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
