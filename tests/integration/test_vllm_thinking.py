"""A judge that thinks, on a real vLLM server with a reasoning parser: told not to, or asked for its verdict afterwards.

The model has random weights and would think for ever; where it is to stop, `logit_bias` makes it close the thought.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from vllm_bench import games_of, judged, post, workspace

from engine.judging.prompts import FORMS

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def thinking_url(
    vllm_command: Path, serving: Callable[..., AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that takes all before `</think>` for a thought, and constrains only what comes after."""
    model = tmp_path_factory.mktemp("thinking-model")
    script = Path(__file__).with_name("tiny_model.py")
    make = [vllm_command.with_name("python"), script, model, "--thinks"]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    scratch = tmp_path_factory.mktemp("thinking-vllm")
    with serving(model, scratch, "--reasoning-parser", "qwen3") as url:
        yield url


async def test_a_judge_that_would_think_is_told_not_to_and_gives_its_verdict_at_once(
    thinking_url: str, tmp_path: Path
) -> None:
    bench = workspace(tmp_path, 5)
    await judged(thinking_url, bench, verdict="constrained", prompt="full")
    for game in games_of(bench):
        assert game["judgment"] in FORMS
        assert "reasoning" not in game
        assert game["usage"]["completion_tokens"] < 20


async def test_its_probabilities_are_those_of_the_verdict_and_not_of_the_beginning_of_a_thought(
    thinking_url: str, tmp_path: Path
) -> None:
    bench = workspace(tmp_path, 5)
    await judged(thinking_url, bench, verdict="soft")
    for game in games_of(bench):
        assert math.fsum(game["probabilities"].values()) == pytest.approx(1, abs=1e-9)
        assert min(game["probabilities"].values()) > 0


async def test_it_may_think_within_the_call_and_is_bound_to_a_label_after_its_thought(
    thinking_url: str, tmp_path: Path
) -> None:
    (closes,) = post(thinking_url, "/tokenize", {"model": "judge", "prompt": "</think>"})["tokens"]
    bench = workspace(tmp_path, 3)
    await judged(
        thinking_url,
        bench,
        verdict="constrained",
        max_tokens=400,
        chat_template_kwargs={"enable_thinking": True},
        extra_body={"logit_bias": {str(closes): 100}},
    )
    assert {game["judgment"] for game in games_of(bench)} <= set(FORMS)


async def test_a_thought_that_leaves_no_room_for_the_verdict_is_told_and_no_verdict_is_made_up(
    thinking_url: str, tmp_path: Path
) -> None:
    bench = workspace(tmp_path, 1)
    run = await judged(
        thinking_url, bench, verdict="constrained", max_tokens=40, chat_template_kwargs={"enable_thinking": True}
    )
    assert run.state.phase == "failed"
    assert {failure.kind for failure in bench.failures().items} == {"truncated"}
