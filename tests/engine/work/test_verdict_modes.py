"""Runs in every mode of verdicts: on the simulated server, and on servers that take less or other fields than vLLM."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from engine.bench import Bench
from engine.config.load import parse_config
from engine.config.providers import PROVIDERS
from engine.config.requests import CHOICE_FIELD
from engine.judging.prompts import FORMS
from engine.judging.verdicts import NUMBERS
from engine.labels import LABELS
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator
from engine.work.plan import Scope, make_plan

QUESTIONS = 50  # two games each: a hundred verdicts


def write_bench(folder: Path, questions: int) -> Bench:
    """Questions, and answers of a baseline and of a model; nothing is judged."""
    bench = folder / "small"
    (bench / "model_answer").mkdir(parents=True)
    ids = [f"q{number}" for number in range(questions)]
    records = [{"question_id": name, "turns": [{"content": f"What is {name}?"}]} for name in ids]
    (bench / "question.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for model, text in (("base", "Perhaps it is so."), ("good", "It is 4, because 2 and 2 give 4. Check: 4 - 2 = 2.")):
        answers = [
            {
                "question_id": name,
                "answer_id": name,
                "model_id": model,
                "choices": [{"index": 0, "turns": [{"content": f"{name}: {text}"}]}],
            }
            for name in ids
        ]
        (bench / "model_answer" / f"{model}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers))
    return Bench.open(folder, "small")


def config_for(url: str, folder: Path, judge: dict[str, Any], **entry: Any) -> Any:
    """A config in which `judge` judges and no model answers."""
    document = {
        "bench": "small",
        "data": str(folder),
        "answers": {"models": []},
        "judge": {"model": "judge", "baseline": "base"} | judge,
        "models": {"judge": {"endpoints": [{"base_url": f"{url}/v1"}], "attempts": 1, **entry}},
    }
    return parse_config(document, None, {})


async def carry_out(config: Any) -> Run:
    run = Run(config)
    async with asyncio.timeout(60):
        await run.execute()
    return run


def games_of(bench: Bench) -> list[dict[str, Any]]:
    lines = bench.paths.judgments("judge", "good").read_bytes().split(b"\n")[:-1]
    return [game for line in lines for game in json.loads(line)["games"]]


@pytest.fixture
def at_judge(tmp_path: Path) -> Callable[..., Any]:
    """`async with at_judge(reasoning="field") as url`: a server with one judge that never gives a verdict freely."""

    @asynccontextmanager
    async def serving(**judge: Any) -> Any:
        kept = {"style": "full", "unparsed_rate": 1.0} | judge
        cast = SimulatorConfig(
            models=[SimulatedModel(name="x")], judges=[SimulatedJudge(name="judge", **kept)], max_model_len=4000
        )
        async with running_simulator(cast) as url:
            yield url

    return serving


@pytest.mark.parametrize("thinking", ["none", "field", "tags"])
async def test_of_a_hundred_constrained_verdicts_every_one_is_a_label(at_judge, tmp_path, thinking):
    bench = write_bench(tmp_path, QUESTIONS)
    async with at_judge(reasoning=thinking) as url:
        run = await carry_out(config_for(url, tmp_path, {"verdict": "constrained", "prompt": "full"}))
    games = games_of(bench)
    assert run.state.phase == "done"
    assert len(games) == 100
    assert {game["judgment"] for game in games} <= set(FORMS)
    assert all(game["score"] in LABELS and game["asks"] == 1 for game in games if "asks" in game)
    assert {game["score"] for game in games} >= {"A>>B", "B>>A"} or len({game["score"] for game in games}) > 1
    assert not any(game.get("reasoning") for game in games), "thinking is off"


async def test_soft_verdicts_sum_to_1_and_the_likeliest_is_the_label(at_judge, tmp_path):
    bench = write_bench(tmp_path, 10)
    async with at_judge(sharpness=0.1, reasoning="field") as url:
        await carry_out(config_for(url, tmp_path, {"verdict": "soft"}))
        spread = [game["probabilities"] for game in games_of(bench)]
        bench.paths.judgments("judge", "good").unlink()
        run = await carry_out(config_for(url, tmp_path, {"verdict": "soft", "temperature": 1.5, "max_tokens": 3}))
    assert sum(task.truncated for task in run.state.tasks.values()) == 0, "one token was asked for"
    for game in games_of(bench):
        odds = game["probabilities"]
        assert list(odds) == list(LABELS)
        assert math.fsum(odds.values()) == pytest.approx(1, abs=1e-9)
        assert game["score"] == max(odds, key=odds.get)
        assert game["judgment"] == f"[[{game['score']}]]"
        assert game.get("asks", 1) == 1
        assert game["label_mass"] == pytest.approx(1, abs=1e-3)
        assert game["usage"]["completion_tokens"] == 1
    assert [game["probabilities"] for game in games_of(bench)] == spread, "how tokens are drawn does not matter"
    assert min(max(odds.values()) for odds in spread) < 0.9, "a judge that is less sharp is less sure"
    loaded = bench.judgments("judge", "good").items.values()
    assert [odds for judgment in loaded for odds in judgment.probabilities] == spread


@pytest.mark.parametrize("verdict", ["constrained", "soft"])
async def test_a_judge_that_thinks_first_is_asked_twice_and_both_are_kept(at_judge, tmp_path, verdict):
    bench = write_bench(tmp_path, 3)
    mode = {"verdict": verdict, "thinking": "first", "prompt": "full", "retries": 1}
    config = config_for("http://nowhere.invalid", tmp_path, mode)
    assert make_plan(config, bench, Scope()).calls == 12
    async with at_judge(reasoning="field") as url:
        run = await carry_out(config_for(url, tmp_path, mode))
    for game in games_of(bench):
        assert game["asks"] == 2
        assert game["score"] in LABELS
        assert game["reasoning"]
        written, _, label = game["judgment"].rpartition("\n")
        assert len(written) > 20
        assert label == f"[[{game['score']}]]"
        assert ("probabilities" in game) == (verdict == "soft")
    assert run.state.calls == 12


async def test_a_judge_that_was_stopped_between_reasoning_and_label_resumes_there(at_judge, tmp_path):
    bench = write_bench(tmp_path, 3)
    async with at_judge() as url:
        config = config_for(url, tmp_path, {"verdict": "soft", "thinking": "first", "labels": "v2"}, parallel=1)
        run = Run(config)

        def stop_after_two_calls(event: object) -> None:
            if run.state.calls == 2:
                run.stop()

        run.listen(stop_after_two_calls)
        async with asyncio.timeout(60):
            await run.execute()
        assert bench.paths.journal.exists()
        rest = await carry_out(config)
    assert run.state.calls + rest.state.calls == 12
    assert all(game["score"] in LABELS and game["asks"] == 2 for game in games_of(bench))


async def test_a_text_without_a_label_is_followed_by_a_constrained_call(at_judge, tmp_path):
    bench = write_bench(tmp_path, 5)
    async with at_judge() as url:
        await carry_out(config_for(url, tmp_path, {"reask": "constrained", "prompt": "full", "labels": "v0.1"}))
    assert all(game["asks"] == 2 and game["score"] in LABELS for game in games_of(bench))


async def test_a_change_of_mode_makes_judgments_stale_and_no_other_does(at_judge, tmp_path):
    bench = write_bench(tmp_path, 3)
    async with at_judge(unparsed_rate=0.0) as url:
        await carry_out(config_for(url, tmp_path, {"verdict": "constrained"}))
        again = await carry_out(config_for(url, tmp_path, {"verdict": "constrained"}))
        assert again.state.calls == 0
        soft = config_for(url, tmp_path, {"verdict": "soft"})
        (task,) = make_plan(soft, bench, Scope()).judgments
        assert (task.cached, task.stale) == (3, 3)


class Hosted:
    """A server that is as strict as its provider: a field that it does not take is a 400."""

    def __init__(
        self,
        provider: str,
        first_token: list[tuple[str, float]] | None = None,
        *,
        text: str = "I like both. [[B>A]]",
        finish_reason: str = "stop",
    ) -> None:
        self._text, self._finish_reason = text, finish_reason
        self.provider = PROVIDERS[provider]  # type: ignore[index]
        self.bodies: list[dict[str, Any]] = []
        self._first_token = first_token

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The bodies of the run's own calls, without the trial call that checks the endpoint."""
        return [body for body in self.bodies if body.get("messages", [{}])[0].get("content") not in (None, "Hi")]

    async def chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        own = {self.provider.renamed.get(name, name) for name in self.provider.takes}
        known = {"model", "messages", self.provider.max_tokens, "response_format", "logprobs", "top_logprobs", *own}
        if unknown := set(body) - known:
            return web.json_response({"error": {"message": f"Unrecognized request argument: {unknown}"}}, status=400)
        content, logprobs = self._text, None
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
            content = json.dumps({CHOICE_FIELD: schema["properties"][CHOICE_FIELD]["enum"][3]})
        elif body.get("logprobs") and self._first_token is not None:
            content = self._first_token[0][0]
            candidates = [{"token": token, "logprob": math.log(share)} for token, share in self._first_token]
            logprobs = {"content": [{**candidates[0], "top_logprobs": candidates}]}
        choice = {"message": {"content": content}, "finish_reason": self._finish_reason, "logprobs": logprobs}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})

    @asynccontextmanager
    async def served(self) -> Any:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in ("vllm", "sglang", "llama.cpp")])
async def test_a_text_verdict_is_had_from_every_provider(tmp_path, provider):
    bench = write_bench(tmp_path, 2)
    async with Hosted(provider).served() as url:
        run = await carry_out(config_for(url, tmp_path, {}, provider=provider))
    assert run.state.phase == "done", run.state.notices
    assert {game["score"] for game in games_of(bench)} == {"B>A"}


@pytest.mark.parametrize("provider", ["openai", "openai-reasoning", "azure", "gemini", "mistral", "cohere", "xai"])
async def test_a_constrained_verdict_is_read_from_json(tmp_path, provider):
    bench = write_bench(tmp_path, 2)
    async with Hosted(provider).served() as url:
        await carry_out(config_for(url, tmp_path, {"verdict": "constrained", "prompt": "full"}, provider=provider))
    assert {game["score"] for game in games_of(bench)} == {"B>A"}
    assert all("asks" not in game or game["asks"] == 1 for game in games_of(bench))


@pytest.mark.parametrize("provider", ["openai", "deepseek"])
async def test_where_a_reply_is_not_bound_the_mass_of_the_labels_is_recorded(tmp_path, provider):
    bench = write_bench(tmp_path, 2)
    tokens = [("2", 0.5), ("4", 0.25), ("Both", 0.125)]
    async with Hosted(provider, tokens).served() as url:
        await carry_out(config_for(url, tmp_path, {"verdict": "soft"}, provider=provider))
    for game in games_of(bench):
        assert game["label_mass"] == pytest.approx(0.75)
        assert game["probabilities"]["A>B"] == pytest.approx(2 / 3)
        assert game["score"] == "A>B"
    assert NUMBERS[1] == "2"


async def test_a_server_without_probabilities_is_one_clear_failure_a_game(tmp_path):
    bench = write_bench(tmp_path, 2)
    server = Hosted("openai")
    async with server.served() as url:
        run = await carry_out(config_for(url, tmp_path, {"verdict": "soft"}, provider="openai"))
    assert run.state.phase == "failed"
    failures = bench.failures().items
    assert {failure.kind for failure in failures} == {"rejected"}
    assert all("no log-probabilities" in failure.message for failure in failures)
    assert len(server.calls) == 4, "it would say the same again"
    assert not bench.paths.judgments("judge", "good").exists()


async def test_general_settings_that_a_provider_does_not_take_are_reported_before_the_run(tmp_path):
    write_bench(tmp_path, 2)
    async with Hosted("openai-reasoning").served() as url:
        config = config_for(url, tmp_path, {"temperature": 0.0}, provider="openai-reasoning")
        run = await carry_out(config)
    assert any("temperature of [judge] is not sent" in notice.text for notice in run.state.notices)


async def test_what_was_sent_beside_the_messages_is_written_down_with_the_run(at_judge, tmp_path):
    bench = write_bench(tmp_path, 2)
    async with at_judge() as url:
        await carry_out(config_for(url, tmp_path, {"verdict": "soft", "thinking": "first", "prompt": "full"}))
    (file,) = (bench.paths.root / "runs").glob("*.json")
    sent = json.loads(file.read_text("utf-8"))["sent"]["judge"]
    assert sent["provider"] == "vllm"
    assert (sent["judgments"]["text"]["top_k"], sent["judgments"]["text"]["repetition_penalty"]) == (-1, 1.0)
    assert (sent["judgments"]["verdict"]["max_tokens"], sent["judgments"]["verdict"]["top_logprobs"]) == (1, 5)


async def test_the_bodies_that_are_sent_hold_all_that_is_written_down(tmp_path):
    bench, server = write_bench(tmp_path, 2), Hosted("openai")
    async with server.served() as url:
        await carry_out(config_for(url, tmp_path, {"seed": 5}, provider="openai"))
    (file,) = (bench.paths.root / "runs").glob("*.json")
    sent = json.loads(file.read_text("utf-8"))["sent"]["judge"]["judgments"]
    calls = server.calls
    assert list(sent) == ["text"]
    assert sent["text"]["seed"] == 5
    assert all({key: value for key, value in body.items() if key != "messages"} == sent["text"] for body in calls)


@pytest.mark.parametrize(("finish_reason", "label"), [("stop", "A>>B"), ("length", None)])
async def test_a_text_that_was_cut_off_gives_no_label_from_its_middle(tmp_path, finish_reason, label):
    bench = write_bench(tmp_path, 2)
    text = "Criterion 1, verdict: [[A>>B]]\nBut criterion 2 is another"
    async with Hosted("generic", text=text, finish_reason=finish_reason).served() as url:
        await carry_out(config_for(url, tmp_path, {"retries": 1}, provider="generic"))
    assert {game["score"] for game in games_of(bench)} == {label}


async def test_numbers_with_little_of_the_probability_are_no_verdict_and_are_reported(tmp_path):
    bench = write_bench(tmp_path, 2)
    async with Hosted("openai", [("Both", 0.9), ("2", 0.05)]).served() as url:
        run = await carry_out(config_for(url, tmp_path, {"verdict": "soft", "retries": 1}, provider="openai"))
    for game in games_of(bench):
        assert game["score"] is None
        assert game["label_mass"] == pytest.approx(0.05)
    assert any("too little of the probability" in each.text for each in run.state.notices)
