"""Prompts that leave no room for a reply, and replies that a server cut before their time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from model_servers import Handler, reply

from engine.errors import CallFailed, FailureKind
from engine.events import Notice
from engine.models.client import Endpoint, ModelClient
from engine.models.context import SAMPLES
from engine.simulator import SimulatedModel, SimulatorConfig, running_simulator

CONTEXT = 600
WORDS_OF_300_TOKENS = "word " * 240  # 1200 bytes: more than the context has tokens, so they must be counted


def body(text: str, max_tokens: int = 100) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, "temperature": 0}


class Server:
    """A vLLM with a small context that counts who asks it what; it cuts a reply in silence, as vLLM does."""

    def __init__(self, *, counts: bool = True, cap: int | None = None, finish: str | None = None) -> None:
        self.chats = self.tokenized = 0
        self._counts, self._cap, self._finish = counts, cap, finish

    async def handle(self, request: web.Request) -> web.Response:
        asked = await request.json()
        prompt = 4 + sum((len(message["content"]) + 3) // 4 for message in asked["messages"])
        if request.path == "/tokenize":
            self.tokenized += 1
            if not self._counts:
                return web.json_response({"detail": "Not Found"}, status=404)
            return web.json_response({"count": prompt, "max_model_len": CONTEXT, "tokens": [0] * prompt})
        self.chats += 1
        written = min(asked["max_tokens"], CONTEXT - prompt, self._cap or CONTEXT)
        answer = reply("An answer that goes on", self._finish or "length")
        answer["usage"] = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
        return web.json_response(answer)


Serve = Callable[[Handler], Any]


@pytest.fixture
def client(session: aiohttp.ClientSession) -> Callable[..., ModelClient]:
    def make(base_url: str, context: int | None = CONTEXT, **more: Any) -> ModelClient:
        settings = {"parallel": 4, "attempts": 2, "counts_tokens": True} | more
        return ModelClient("m", [Endpoint(base_url, context=context)], session=session, emit=lambda _: None, **settings)

    return make


async def failure_of(client: ModelClient, asked: dict[str, Any]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await client.complete(asked)
    return caught.value


async def test_a_prompt_that_leaves_no_room_is_reported_with_its_numbers_and_never_sent(serve: Serve, client):
    server = Server()
    failure = await failure_of(client(await serve(server.handle)), body("x" * 2100, 100))
    assert failure.kind is FailureKind.REJECTED
    assert failure.title.startswith("prompt 529 + max_tokens 100 > 600")
    assert "--max-model-len" in failure.hint
    assert "lower max_tokens" in failure.hint
    assert (server.chats, server.tokenized) == (0, 1)


async def test_what_just_fits_is_sent(serve: Serve, client):
    server = Server()
    assert (await client(await serve(server.handle)).complete(body("x" * 1984, 100))).finish_reason == "length"
    assert (server.chats, server.tokenized) == (1, 1)


async def test_a_prompt_of_fewer_bytes_than_there_are_tokens_is_not_counted(serve: Serve, client):
    server = Server()
    await client(await serve(server.handle)).complete(body("short", 100))
    assert server.tokenized == 0


async def test_after_some_replies_their_counts_bound_what_is_not_near_the_context(serve: Serve, client):
    server = Server()
    calls = client(await serve(server.handle))
    for _ in range(SAMPLES):
        await calls.complete(body(WORDS_OF_300_TOKENS))
    assert server.tokenized == SAMPLES
    await calls.complete(body(WORDS_OF_300_TOKENS))
    assert server.tokenized == SAMPLES
    await failure_of(calls, body("x" * 2100))
    assert server.tokenized == SAMPLES + 1


async def test_a_reply_that_the_context_cut_is_refused_where_the_prompt_could_not_be_counted(serve: Serve, client):
    server = Server(counts=False)
    calls = client(await serve(server.handle))
    for _ in range(2):
        assert (await failure_of(calls, body("x" * 2100))).title.startswith("prompt 529 + max_tokens 100 > 600")
    assert server.tokenized == 1, "a server that does not count is not asked again"
    assert server.chats == 2, "and the same request is not sent twice"


async def test_a_reply_that_ended_by_itself_is_whole_even_if_a_longer_one_had_not_fitted(serve: Serve, client):
    server = Server(counts=False, finish="stop")
    assert (await client(await serve(server.handle)).complete(body("x" * 2100))).finish_reason == "stop"


async def test_a_reply_that_the_models_own_limit_cut_is_refused(serve: Serve, client):
    failure = await failure_of(client(await serve(Server(cap=20).handle), context=None), body("Hi", 100))
    assert failure.title == "the server cut the reply after 20 of max_tokens 100"
    assert "generation_config" in failure.hint


async def test_a_reply_that_filled_its_max_tokens_is_an_answer_that_was_cut_as_asked(serve: Serve, client):
    completion = await client(await serve(Server().handle)).complete(body("Hi", 100))
    assert (completion.finish_reason, completion.usage.completion_tokens) == ("length", 100)


async def test_a_server_whose_counts_mean_something_else_is_not_held_to_them(serve: Serve, client):
    """Some leave thinking out of `completion_tokens`."""
    calls = client(await serve(Server(cap=20).handle), context=None, counts_tokens=False)
    assert (await calls.complete(body("Hi", 100))).finish_reason == "length"


@pytest.fixture
async def simulated() -> AsyncIterator[Callable[..., Any]]:
    @asynccontextmanager
    async def running() -> AsyncIterator[str]:
        config = SimulatorConfig(models=[SimulatedModel(name="m")], max_model_len=CONTEXT)
        async with running_simulator(config) as url:
            yield f"{url}/v1"

    return running


async def test_the_simulated_server_cuts_in_silence_too_so_that_what_it_would_cut_is_found(simulated, client):
    async with simulated() as url:
        failure = await failure_of(client(url), body("word " * 460, 200))
        assert "max_tokens 200 > 600" in failure.title
        unseen = client(url, context=None, counts_tokens=False)
        assert (await unseen.complete(body("word " * 460, 200))).usage.completion_tokens < 200


class CuttingServer:
    """A server that cuts prompts to so many tokens, and counts what is left, as Ollama does."""

    def __init__(self, context: int, letters_per_token: float = 4.0) -> None:
        self._context, self._letters = context, letters_per_token

    async def handle(self, request: web.Request) -> web.Response:
        letters = sum(len(message["content"]) for message in (await request.json())["messages"])
        answer = reply("An answer")
        answer["usage"] = {"prompt_tokens": min(int(letters / self._letters), self._context), "completion_tokens": 5}
        return web.json_response(answer)


@pytest.fixture
def heard(session: aiohttp.ClientSession) -> tuple[Callable[[str], ModelClient], list[str]]:
    notices: list[str] = []

    def keep(event: object) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)

    def make(base_url: str) -> ModelClient:
        return ModelClient("m", [Endpoint(base_url)], session=session, emit=keep, parallel=4, attempts=3)

    return make, notices


@pytest.mark.parametrize("text", ["other words " * 6000, "其他的话也在这里" * 4000, "long_identifiers/" * 4000])
async def test_an_answer_to_a_prompt_that_was_cut_is_refused(serve: Serve, heard, text: str):
    make, _ = heard
    failure = await failure_of(make(await serve(CuttingServer(2050).handle)), body(text))
    assert (failure.kind, failure.attempts) == (FailureKind.REJECTED, 1)
    assert "the server cut the prompt to its context: 2050 prompt tokens counted for" in failure.title
    assert "num_ctx" in failure.hint


@pytest.mark.parametrize(
    ("text", "letters_per_token"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 800, 4.5),
        ("हिन्दी में लिखा हुआ एक वाक्य। " * 800, 4.0),
        ("Наивысшая производительность. " * 800, 6.0),
        ("中文文本没有空格。" * 800, 1.5),
        ("x = " + " " * 40 + "1\n" + "=" * 60 + "\n", 12.0),
        (("    " * 20 + "return None\n" + "-" * 120 + "\n") * 300, 25.0),
        ("Hello " * 4000, 400.0),  # a count that is made up
    ],
)
async def test_a_whole_prompt_is_not_doubted(serve: Serve, heard, text: str, letters_per_token: float):
    make, notices = heard
    await make(await serve(CuttingServer(10**6, letters_per_token).handle)).complete(body(text))
    assert notices == []


async def test_far_fewer_tokens_than_words_are_warned_of(serve: Serve, heard):
    make, notices = heard
    client = make(await serve(CuttingServer(2050).handle))
    for _ in range(3):
        await client.complete(body("word " * 3500))
    (text,) = notices
    assert "2050 prompt tokens are counted for 3500 words: are prompts cut?" in text


async def test_the_same_count_for_prompts_of_different_lengths_is_warned_of(serve: Serve, heard):
    make, notices = heard
    client = make(await serve(CuttingServer(2050).handle))
    for count in (100, 400, 1700, 2000, 2400, 2000, 1700):
        await client.complete(body("word " * count))
    (text,) = notices
    assert "2050 prompt tokens are counted for prompts of different lengths" in text
