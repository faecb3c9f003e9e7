"""Reasoning is separated from visible text."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.judging.reasoning import special_tokens, split_reasoning


@pytest.mark.parametrize(
    ("reply", "visible", "reasoning", "cut_off"),
    [
        (" Hello\n", " Hello\n", None, False),
        ("", "", None, False),
        ("<think>Let me see.</think>\n\nHello", "Hello", "Let me see.", False),
        ("<thinking>\nHm\n</thinking>Hello", "Hello", "Hm", False),
        ("<THINK>Hm</THINK> Hello", "Hello", "Hm", False),
        ("<think>\n\n</think>\n\nHello", "Hello", None, False),
        ("The template opened it.</think>\nHello", "Hello", "The template opened it.", False),
        ("<think>one</think><think>two</think> Said.", "Said.", "one\n\ntwo", False),
        ("<think>one</think>First. <think>two</think>", "First. <think>two</think>", "one", False),
        ("<think>never ends", "", "never ends", True),
        ("Hello <thinking>never ends", "Hello <thinking>never ends", None, False),
        ("<think>", "", None, True),
        ("<think>a tag <think> in a thought</think>Hello", "Hello", "a tag <think> in a thought", False),
        ("<think>a</think>b</think>Hello", "b</think>Hello", "a", False),
        ("  <think>Hm</think>    indented", "indented", "Hm", False),
        ("The template\nopened it\n</think>\n\nHello", "Hello", "The template\nopened it", False),
        ("[THINK]Hm[/THINK]Hello", "Hello", "Hm", False),
        ("<thought>Hm</thought>\nHello", "Hello", "Hm", False),
        ("<seed:think>Hm</seed:think>Hello", "Hello", "Hm", False),
        ("<reasoning>Hm</reasoning>Hello", "Hello", "Hm", False),
        ("◁think▷Hm◁/think▷Hello", "Hello", "Hm", False),
        ("<|channel>thought\nHm<channel|>Hello", "Hello", "Hm", False),
        ("<|START_THINKING|>Hm<|END_THINKING|><|START_RESPONSE|>Hi<|END_RESPONSE|>", "Hi", "Hm", False),
        ("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Hi", "Hi", "Hm", False),
        ("<|channel|>analysis<|message|>Hm and so", "", "Hm and so", True),
        ("analysisWe need to greet.assistantfinalHello", "Hello", "We need to greet.", False),
        ("<thoughts>Hm</thoughts>Hello", "Hello", "Hm", False),
        ("<longcat_think>Hm</longcat_think>Hello", "Hello", "Hm", False),
        ("<think>\nHm\n</think>\n<answer>\nHello\n</answer>", "Hello", "Hm", False),
        ("<think>Hm</think>\n\n<response>\nHello\n</response>\n", "Hello", "Hm", False),
        ("<think>Hm</think>\n<answer>42</answer>", "<answer>42</answer>", "Hm", False),
        ("Here is my thought process: Hm\n\nHere is my response: Hello", "Hello", "Hm", False),
        (
            "Here are my reasoning steps:\nHm\n[BEGIN FINAL RESPONSE]\nHello\n[END FINAL RESPONSE]\n<|end|>",
            "Hello",
            "Hm",
            False,
        ),
        ("Here is my response: Hello", "Here is my response: Hello", None, False),
    ],
)
def test_a_reply_is_split(reply, visible, reasoning, cut_off):
    assert split_reasoning(reply) == (visible, reasoning, cut_off)


@pytest.mark.parametrize(
    "reply",
    [
        "Models wrap it in `<think>` and `</think>` tags.",
        'clean = re.sub(r"<think>.*?</think>", "", text)',
        "Split at '</think>' and take the rest.",
        "Use this:\n\n```\n<think>\nnotes\n</think>\nthe reply\n```\n\nThat is all.",
        "R1 opens with a <think> block and closes it with </think> before the reply.",
        "Everything before the tag </think> is hidden by most front ends.",
        "Like so:\n```\n</think>\n```\nDone.",
        "<prompt>\n  <thinking>plan</thinking>\n  <reply>text</reply>\n</prompt>",
        "The reply must start with <think> and a line break, then your notes.",
        "analysis of the problem: it is easy",
    ],
)
def test_text_about_the_tags_stays(reply):
    assert split_reasoning(reply) == (reply, None, False)


def test_an_answer_may_begin_with_a_quote():
    assert split_reasoning('Which line?\n</think>"Call me Ishmael."') == ('"Call me Ishmael."', "Which line?", False)


@settings(deadline=None)
@given(st.text())
def test_a_reply_without_tags_comes_back_as_it_is(reply):
    if not {"think", "reason", "thought", "channel", "analysis"} & set(re.findall("[a-z]+", reply.lower())):
        assert split_reasoning(reply) == (reply, None, False)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<think>", "</think>", "</thinking>", "\n", " ", "abc", "`", "'"])).map("".join))
def test_nothing_that_was_said_or_thought_is_lost(reply):
    visible, reasoning, _ = split_reasoning(reply)
    assert (visible + (reasoning or "")).count("abc") == reply.count("abc")


@settings(deadline=None)
@given(st.text(alphabet="abc .\n"), st.text(alphabet="abc ."))
def test_no_thought_is_ever_visible(thought, said):
    assert split_reasoning(f"<think>SECRET{thought}</think>{said}")[0] == said.lstrip()
    assert split_reasoning(f"SECRET{thought}\n</think>{said}")[0] == said.lstrip()


@pytest.mark.parametrize("unit", ["<think>", "</think>", "<", "'</think>'", "</think> "])
def test_hostile_text_takes_linear_time(unit):
    began = time.process_time()
    split_reasoning(unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 15  # about 0.2 s; quadratic time would be minutes


def test_special_tokens_are_found_outside_code():
    assert special_tokens("Hi<|im_end|>\n<end_of_turn>") == {"<|im_end|>", "<end_of_turn>"}
    assert special_tokens("End with `<|im_end|>`, or\n```\n[INST]\n```\n; a < b, x[INSTANCE]") == set()
