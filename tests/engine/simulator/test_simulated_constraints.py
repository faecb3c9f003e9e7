"""Verdicts under structured outputs, and their probabilities."""

from __future__ import annotations

import math

import pytest

from engine.labels import LABELS
from engine.simulator import SimulatedJudge, SimulatorConfig

STRONG = "Check it: for example 2 and 3 give 5, because the result is a sum. Therefore it holds."
WEAK = "Perhaps. It depends, and in general I am not sure."
BRACKETED = [f"[[{label}]]" for label in LABELS]


@pytest.fixture
async def judge(serve):
    return await serve(SimulatorConfig(judges=[SimulatedJudge(name="j", style="full", unparsed_rate=1.0)]))


@pytest.fixture
def prompts(judge_prompt):
    return [judge_prompt(f"Question {n}?", *pair) for n, pair in enumerate([(STRONG, WEAK), (WEAK, STRONG)] * 5)]


async def test_a_choice_is_always_kept_even_by_a_judge_that_never_gives_a_verdict(judge, prompts):
    said = [await judge.says("j", prompt, structured_outputs={"choice": BRACKETED}) for prompt in prompts]
    assert set(said) <= set(BRACKETED)
    assert said[0].startswith("[[A>")
    assert said[1].startswith("[[B>")


async def test_single_token_names_stand_for_the_labels_in_their_order_with_probabilities_that_add_up_to_1(
    judge, prompts
):
    for prompt, bracketed in [(prompt, BRACKETED) for prompt in prompts]:
        label = await judge.says("j", prompt, structured_outputs={"choice": bracketed})
        reply = await judge.chat(
            "j", prompt, structured_outputs={"choice": list("ABCDE")}, max_tokens=1, logprobs=True, top_logprobs=5
        )
        choice = reply["choices"][0]
        assert choice["message"]["content"] == "ABCDE"[BRACKETED.index(label)]
        (entry,) = choice["logprobs"]["content"]
        assert entry["top_logprobs"][0]["token"] == entry["token"] == choice["message"]["content"]
        assert {likely["token"] for likely in entry["top_logprobs"]} == set("ABCDE")
        assert sum(math.exp(likely["logprob"]) for likely in entry["top_logprobs"]) == pytest.approx(1)
        assert max(entry["top_logprobs"], key=lambda likely: likely["logprob"])["token"] == entry["token"]


async def test_three_choices_are_a_tie_between_two_sides(judge, prompts):
    said = [await judge.says("j", prompt, structured_outputs={"choice": ["1", "0", "2"]}) for prompt in prompts[:2]]
    assert said == ["1", "2"]


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        (r"\[\[(A>>B|A>B|A=B|B>A|B>>A)\]\]", "[[A>>B]]"),
        (r"A>>B|A>B|A=B|B>A|B>>A", "A>>B"),
        (r"My final verdict is: \[\[.+\]\]", "My final verdict is: [[A>>B]]"),
    ],
)
async def test_a_regex_is_met_by_a_verdict_in_a_frame_that_it_allows(judge, prompts, regex, says):
    assert await judge.says("j", prompts[0], structured_outputs={"regex": regex}) == says


@pytest.mark.parametrize("regex", ["[0-9]+", "("])
async def test_a_regex_that_no_verdict_can_meet_is_refused(judge, prompts, regex):
    body = {"messages": [{"role": "user", "content": prompts[0]}], "structured_outputs": {"regex": regex}}
    status, reply = await judge.post(body)
    assert (status, reply["error"]["param"]) == (400, "structured_outputs")


async def test_max_tokens_still_cuts_a_constrained_verdict(judge, prompts):
    said = await judge.says("j", prompts[0], structured_outputs={"choice": BRACKETED}, max_tokens=1)
    assert said == "[[A>"


async def test_a_choice_that_fills_its_max_tokens_ends_by_length_as_in_vllm(judge, prompts):
    ends = {}
    for room in (1, 2):
        reply = await judge.chat("j", prompts[0], structured_outputs={"choice": list("12345")}, max_tokens=room)
        ends[room] = reply["choices"][0]["finish_reason"]
    assert ends == {1: "length", 2: "stop"}


async def test_a_choice_without_anything_to_judge_is_one_of_them(judge):
    assert await judge.says("j", "Pick one.", structured_outputs={"choice": ["red", "blue"]}) in ("red", "blue")


async def test_the_logprobs_of_free_text_are_reported_token_by_token(judge):
    reply = await judge.chat("j", "How do tides work?", logprobs=True, top_logprobs=2, max_tokens=20)
    content = reply["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == reply["choices"][0]["message"]["content"]
    assert len(content) == 20
    assert (await judge.chat("j", "How do tides work?"))["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("reasoning", ["field", "tags", "orphan"])
async def test_a_choice_after_reasoning_has_log_probabilities_too(serve, prompts, reasoning):
    served = await serve(SimulatorConfig(judges=[SimulatedJudge(name="j", reasoning=reasoning)]))
    asked = {"structured_outputs": {"choice": list("12345")}, "logprobs": True, "top_logprobs": 5}
    choice = (await served.chat("j", prompts[0], **asked))["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert len(entries[0]["top_logprobs"]) == (5 if reasoning == "field" else 1)
