"""Verdicts from a real vLLM server: what it is told to allow, what it says of probabilities, what it has no room for.

The model has random weights: without a constraint it never writes a label, so that every label is the server's doing.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from vllm_bench import games_of, judged, post, workspace

from engine.events import VllmMetrics
from engine.judging.prompts import FORMS
from engine.judging.verdicts import NUMBERS
from engine.labels import LABELS
from engine.models.connection import open_session
from engine.models.endpoint import Endpoint
from engine.models.metrics import fetch_metrics

pytestmark = pytest.mark.vllm

QUESTIONS = 50  # two games each: a hundred verdicts


async def numbers_of(url: str) -> VllmMetrics:
    async with open_session() as session:
        told = await fetch_metrics(session, Endpoint(f"{url}/v1"))
    assert told is not None
    return told


async def test_of_a_hundred_constrained_verdicts_every_one_is_a_label(vllm_url: str, tmp_path: Path) -> None:
    bench = workspace(tmp_path, QUESTIONS)
    run = await judged(vllm_url, bench, verdict="constrained", prompt="full", temperature=1.0)
    games = games_of(bench)
    assert run.state.phase == "done"
    assert len(games) == 100
    assert [game["judgment"] for game in games if game["judgment"] not in FORMS] == []
    assert {game["score"] for game in games} <= set(LABELS)
    assert len({game["score"] for game in games}) > 1, "drawn at temperature 1 from random weights"
    assert run.state.calls == 100


async def test_soft_verdicts_are_the_servers_own_probabilities_and_sum_to_1(vllm_url: str, tmp_path: Path) -> None:
    bench = workspace(tmp_path, 10)
    run = await judged(vllm_url, bench, verdict="soft")
    games = games_of(bench)
    assert run.state.calls == len(games) == 20
    for game in games:
        told = game["probabilities"]
        assert list(told) == list(LABELS)
        assert math.fsum(told.values()) == pytest.approx(1, abs=1e-9)
        assert min(told.values()) > 0, "random weights rule nothing out"
        assert game["score"] == max(told, key=told.get)
        assert game["usage"]["completion_tokens"] == 1
        assert game["finish_reason"] == "stop"
    assert len({round(game["probabilities"]["A=B"], 6) for game in games}) > 1, "each game has its own"
    assert games[0]["probabilities"] == pytest.approx(asked_directly(vllm_url, games[0]["user_prompt"]), abs=1e-4)


def asked_directly(url: str, prompt: str) -> dict[str, float]:
    """The probabilities of the labels, from the tokens of the numbers without any constraint, renormalised here."""
    from engine.judging.prompts import SIMPLE
    from engine.judging.verdicts import opening_prompt
    from engine.records import VerdictMode

    system = opening_prompt(SIMPLE, VerdictMode("soft")).system
    ids = {number: post(url, "/tokenize", {"model": "judge", "prompt": number, "add_special_tokens": False})["tokens"]
           for number in NUMBERS}  # fmt: skip
    assert all(len(tokens) == 1 for tokens in ids.values()), "every number is a single token"
    body = {
        "model": "judge",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
        "temperature": 1.0,
        "max_tokens": 1,
        "logprobs": True,
        "logprob_token_ids": [tokens[0] for tokens in ids.values()],
    }
    (first,) = post(url, "/v1/chat/completions", body)["choices"][0]["logprobs"]["content"]
    weights = {each["token"].strip(): math.exp(each["logprob"]) for each in first["top_logprobs"]}
    total = sum(weights[number] for number in NUMBERS)
    return {label: weights[number] / total for label, number in zip(LABELS, NUMBERS, strict=True)}


@pytest.mark.parametrize("verdict", ["constrained", "soft"])
async def test_a_judge_may_write_first_and_is_then_asked_for_its_verdict(
    vllm_url: str, tmp_path: Path, verdict: str
) -> None:
    bench = workspace(tmp_path, 5)
    run = await judged(vllm_url, bench, verdict=verdict, thinking="first", prompt="full")
    for game in games_of(bench):
        assert game["asks"] == 2
        assert game["judgment"].endswith(f"\n[[{game['score']}]]")
        assert len(game["judgment"]) > 20
        assert ("probabilities" in game) == (verdict == "soft")
    assert run.state.calls == 20


async def test_a_text_without_a_label_is_followed_by_a_constrained_call(vllm_url: str, tmp_path: Path) -> None:
    bench = workspace(tmp_path, 5)
    await judged(vllm_url, bench, reask="constrained")
    assert all(game["asks"] == 2 and game["score"] in LABELS for game in games_of(bench))


async def test_the_second_game_of_a_question_finds_its_beginning_in_the_prefix_cache_and_the_run_sees_it(
    vllm_url: str, tmp_path: Path
) -> None:
    before = await numbers_of(vllm_url)
    run = await judged(vllm_url, workspace(tmp_path, 20), verdict="constrained")
    after = await numbers_of(vllm_url)
    assert after.prefix_hits > before.prefix_hits
    assert after.finished["stop"] - before.finished["stop"] == run.state.calls == 40
    ((_, seen),) = run.state.server_numbers.items()
    assert seen.now.kv_cache_tokens == before.kv_cache_tokens
    assert before.prompt_tokens <= seen.first.prompt_tokens <= seen.now.prompt_tokens <= after.prompt_tokens
    assert seen.now.prompt_tokens > 0


async def test_a_prompt_that_leaves_no_room_is_one_clear_failure_and_is_not_sent(vllm_url: str, tmp_path: Path) -> None:
    bench = workspace(tmp_path, 1, answer="word " * 6000 + "{}")
    run = await judged(vllm_url, bench, max_tokens=500)
    assert run.state.phase == "failed"
    assert run.state.calls == 0
    failures = bench.failures().items
    assert {failure.game for failure in failures} == {1, 2}
    for failure in failures:
        assert failure.message.startswith("prompt ")
        assert "+ max_tokens 500 > 8192" in failure.message
        assert failure.hint is not None
        assert "--max-model-len" in failure.hint
