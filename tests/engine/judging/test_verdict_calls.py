"""What a judge is sent when only its verdict is requested, and how numbers and labels are read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judging.prompts import FORMS, FULL, SIMPLE, JudgePrompt, custom_prompt, render
from engine.judging.rules import parser
from engine.judging.verdicts import (
    NUMBERS,
    asked_for_verdict,
    choices,
    opening_prompt,
    read_first_token,
    read_form,
    wording_of,
)
from engine.labels import LABELS
from engine.records import VerdictMode

TEXT, CONSTRAINED, SOFT = VerdictMode(), VerdictMode("constrained"), VerdictMode("soft")
OWN = custom_prompt("Judge.", "{{literal}} {QUESTION} {ANSWER_A} {ANSWER_B}")


@pytest.mark.parametrize("prompt", [SIMPLE, FULL, OWN])
def test_a_text_and_what_is_thought_before_a_verdict_are_asked_for_as_ever(prompt):
    for mode in (TEXT, VerdictMode("soft", thinks_first=True), VerdictMode(constrains_reasks=True)):
        assert opening_prompt(prompt, mode) is prompt


@pytest.mark.parametrize("prompt", [FULL, OWN])
@pytest.mark.parametrize("mode", [CONSTRAINED, SOFT])
def test_the_end_of_a_prompt_asks_for_the_verdict_and_the_rest_stays(prompt: JudgePrompt, mode):
    opened = opening_prompt(prompt, mode)
    before, after = (render(each, ("q",), ("a",), ("b",))[1] for each in (prompt, opened))
    assert opened.system == prompt.system
    assert after.startswith(before)
    assert "nothing else" in after[len(before) :] or "all else" in after[len(before) :]
    assert all(choice in after[len(before) :] for choice in choices(mode))


def test_the_simple_prompt_asks_for_nothing_else_by_itself():
    assert opening_prompt(SIMPLE, CONSTRAINED) is SIMPLE
    soft = opening_prompt(SIMPLE, SOFT)
    assert "[[" not in soft.system + soft.template, "a label that may not be written is not shown"
    assert "label" not in soft.system + soft.template
    assert all(f"{number}  " in soft.system for number in NUMBERS)
    assert soft.template.startswith(SIMPLE.template[:200])


def test_every_number_is_listed_with_its_meaning():
    lines = asked_for_verdict(SOFT).splitlines()
    assert lines[-5] == "1  A is much better"
    assert lines[-1] == "5  B is much better"
    assert tuple(f"[[{label}]]" for label in LABELS) == FORMS


def test_the_wording_of_a_second_call_counts_where_there_may_be_one():
    assert wording_of(SIMPLE, TEXT) == {"system": SIMPLE.system, "template": SIMPLE.template}
    assert "verdict" in wording_of(SIMPLE, VerdictMode(constrains_reasks=True))


@pytest.mark.parametrize("label", LABELS)
def test_a_form_is_its_label_whatever_the_rule(label):
    assert read_form(f"[[{label}]]", parser("v2")).label == label


def test_a_server_that_ignores_the_constraint_has_its_text_parsed():
    assert read_form("My final verdict is: [[A>B]].", parser("lenient")).label == "A>B"
    assert read_form("I cannot say.", parser("lenient")).label is None


@given(st.lists(st.floats(0.001, 1), min_size=5, max_size=5))
def test_numbers_become_the_probabilities_of_the_labels_in_their_order(weights):
    total = sum(weights) / 0.8  # a fifth of the mass is on other tokens
    tokens = [
        ("I", math.log(0.2)),
        *((number, math.log(w / total)) for number, w in zip(NUMBERS, weights, strict=True)),
    ]
    verdict, probabilities, mass = read_first_token(tokens)
    assert mass == pytest.approx(0.8)
    assert list(probabilities.values()) == pytest.approx([weight / sum(weights) for weight in weights])
    assert probabilities[verdict.label] == max(probabilities.values())


def test_a_number_with_a_space_is_the_same_number_and_one_listed_twice_counts_once():
    tokens = [("1", math.log(0.2)), ("1", math.log(0.2)), (" 1", math.log(0.3)), ("5", math.log(0.5)), ("3", -9999.0)]
    verdict, probabilities, mass = read_first_token(tokens)
    assert mass == pytest.approx(1)
    assert probabilities == pytest.approx(dict.fromkeys(LABELS, 0.0) | {"A>>B": 0.5, "B>>A": 0.5})
    assert verdict.label in ("A>>B", "B>>A")


def test_no_number_among_the_tokens_is_no_verdict():
    assert read_first_token([("Well", -0.1), ("A", -2.0)]) == (read_form("", parser("lenient")), None, 0.0)
