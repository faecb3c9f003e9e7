"""Probing an endpoint: each fault has a message of its own, with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from model_servers import Connected, Handler, read_request

from engine.models.discover import LARGEST_LIST, LONGEST_NAME, MAX_MODELS, ServedModel, probe
from engine.models.endpoint import Endpoint

Serve = Callable[[Handler], Awaitable[str]]
ServeRaw = Callable[[Connected], Awaitable[str]]
KEY = "sk-planted-0123456789"


def server(
    *names: str, key: str | None = None, models: Any = None, lists: bool = True, chats: bool = True, vllm: bool = True
) -> Handler:
    """A handler that serves `names` as vLLM does; `models` replaces its whole list."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/version" and vllm:
            return web.json_response({"version": "0.32.0"})
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        if request.path == "/v1/models" and lists:
            cards = [{"id": name, "root": f"/models/{name}", "max_model_len": 8192} for name in names]
            return web.json_response({"object": "list", "data": cards} if models is None else models)
        if request.path == "/v1/chat/completions" and chats:
            body = await request.json()
            if body.get("model", names) not in names and names:
                return web.json_response({"error": {"message": "The model does not exist."}}, status=404)
            return web.json_response({"error": {"message": "messages: field required"}}, status=400)
        return web.json_response({"detail": "Not Found"}, status=404)

    return handler


async def test_a_server_that_serves_the_model_passes_with_its_facts(serve: Serve, session: aiohttp.ClientSession):
    base_url = await serve(server("tiny", "other", key=KEY))
    report = await probe(session, Endpoint(base_url, KEY), "other")
    assert (report.ok, report.url, report.version, report.max_model_len) == (True, base_url, "0.32.0", 8192)
    assert report.models[1] == ServedModel("other", "/models/other", 8192)
    assert 0 < report.seconds < 10


async def test_a_server_of_another_make_has_no_version(serve: Serve, session: aiohttp.ClientSession):
    report = await probe(session, Endpoint(await serve(server("tiny", vllm=False))), "tiny")
    assert (report.ok, report.version) == (True, None)


async def test_without_a_name_whatever_it_serves_is_right(serve: Serve, session: aiohttp.ClientSession):
    assert (await probe(session, Endpoint(await serve(server("tiny"))))).ok


async def test_the_untagged_name_of_a_model_of_ollama_is_right(serve: Serve, session: aiohttp.ClientSession):
    assert (await probe(session, Endpoint(await serve(server("llama3:latest"))), "llama3")).ok


@pytest.mark.parametrize(
    ("served", "available", "hint"),
    [
        (["tiny"], "tiny", "the same model under another name"),
        (["something else", "llama-3-8b"], "something else, llama-3-8b", "did you mean 'llama-3-8b'"),
        (["a1", "b2", "c3", "d4", "e5", "f6", "g7"], "a1, b2, c3, d4, e5 and 2 more", "one of these"),
    ],
)
async def test_a_model_that_is_not_served_is_reported_with_those_that_are(
    serve: Serve, session: aiohttp.ClientSession, served: list[str], available: str, hint: str
):
    report = await probe(session, Endpoint(await serve(server(*served))), "llama-3-8B")
    assert (report.ok, report.error) == (
        False,
        f"model 'llama-3-8B' not served here (available: {available})",
    )
    assert hint in report.hint


async def test_a_closed_port_is_reported_as_refused(session: aiohttp.ClientSession, unused_tcp_port: int):
    report = await probe(session, Endpoint(f"http://127.0.0.1:{unused_tcp_port}/v1"), "tiny")
    assert (report.ok, report.error) == (False, "connection refused")
    assert "start the server" in report.hint


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_missing_or_wrong_key_is_reported_as_such(
    serve: Serve, session: aiohttp.ClientSession, key: str | None
):
    report = await probe(session, Endpoint(await serve(server("tiny", key=KEY)), key), "tiny")
    assert (report.ok, report.error) == (False, "HTTP 401: Unauthorized")
    assert "api_key" in report.hint


async def test_a_wrong_path_is_reported_as_such(serve: Serve, session: aiohttp.ClientSession):
    base_url = (await serve(server("tiny"))).removesuffix("/v1")
    report = await probe(session, Endpoint(base_url), "tiny")
    assert (report.ok, report.error) == (False, "HTTP 404: Not Found")
    assert "/v1" in report.hint


async def test_a_gateway_without_a_list_of_models_is_good_when_it_takes_chat_calls(
    serve: Serve, session: aiohttp.ClientSession
):
    report = await probe(session, Endpoint(await serve(server(lists=False))), "tiny")
    assert (report.ok, report.models) == (True, ())


async def test_a_gateway_without_a_list_of_models_still_wants_its_key(serve: Serve, session: aiohttp.ClientSession):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=403 if request.path.endswith("completions") else 404)

    report = await probe(session, Endpoint(await serve(handler)), "tiny")
    assert (report.ok, report.error) == (False, "HTTP 403")


async def test_neither_models_nor_chat_is_no_such_server(serve: Serve, session: aiohttp.ClientSession):
    report = await probe(session, Endpoint(await serve(server(lists=False, chats=False))), "tiny")
    assert (report.ok, report.error) == (False, "HTTP 404: Not Found")


@pytest.mark.parametrize("models", [[], {}, "hello", {"data": "none"}, {"data": None}, 7])
async def test_another_kind_of_server_is_reported_as_such(serve: Serve, session: aiohttp.ClientSession, models: Any):
    report = await probe(session, Endpoint(await serve(server(models=models))), "tiny")
    assert (report.ok, report.error) == (
        False,
        "not an OpenAI-compatible server: its /models is not a list of models",
    )


async def test_odd_entries_of_the_list_are_passed_over(serve: Serve, session: aiohttp.ClientSession):
    entries = [7, {}, {"id": None}, {"id": "tiny", "root": 3, "max_model_len": "long"}]
    report = await probe(session, Endpoint(await serve(server(models={"data": entries}))), "tiny")
    assert report.models == (ServedModel("tiny"),)


async def test_an_empty_list_is_no_fault(serve: Serve, session: aiohttp.ClientSession):
    assert (await probe(session, Endpoint(await serve(server(models={"data": []}))), "tiny")).ok


async def test_a_silent_server_is_reported_as_such(serve_raw: ServeRaw, session: aiohttp.ClientSession):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    report = await probe(session, Endpoint(await serve_raw(connected)), "tiny", 0.1)
    assert not report.ok
    assert report.error.startswith("no complete reply within")


async def test_a_report_never_holds_the_key(serve: Serve, session: aiohttp.ClientSession):
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"error": f"{request.headers['Authorization']} is wrong"}, status=401)

    base_url = await serve(handler)
    report = await probe(session, Endpoint(base_url.replace("://", f"://me:{KEY}@"), KEY), "tiny")
    assert report.error == "HTTP 401: Bearer [key] is wrong"
    assert report.url == base_url
    assert KEY not in repr((report, Endpoint(base_url, KEY)))


def chatting(models: Any, list_status: int = 200, chat: Any = None, chat_status: int = 200) -> Handler:
    """A handler with any list of models, and one reply to every chat call."""

    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("/models"):
            return web.json_response(models, status=list_status)
        if request.path.endswith("/chat/completions"):
            body = await request.json()
            assert body["max_tokens"] == 1
            return web.json_response(chat or {"choices": []}, status=chat_status)
        return web.json_response({}, status=404)

    return handler


@pytest.mark.parametrize(
    ("models", "status"),
    [
        ({"data": [{"id": "*"}]}, 200),
        ({"data": [{"id": "openai/*"}]}, 200),
        ({"data": [{"id": "org/base", "max_model_len": 4096}]}, 200),
        ({"object": "list", "data": None}, 200),
        ({"error": {"message": "Missing scopes: api.model.read"}}, 403),
        ({"error": {"message": "not allowed to list models"}}, 401),
        ({"error": {"message": "anthropic-version: header is required"}}, 400),
        ({"detail": "list models: upstream error"}, 500),
    ],
)
async def test_a_trial_call_decides_where_the_list_leaves_a_doubt(
    serve: Serve, session: aiohttp.ClientSession, models: Any, status: int
):
    report = await probe(session, Endpoint(await serve(chatting(models, status))), "my-lora")
    assert (report.ok, report.max_model_len) == (True, None)
    assert "takes calls" in report.warning


@pytest.mark.parametrize(
    "models",
    [
        [{"id": "m"}],
        ["m"],
        {"models": [{"name": "m"}]},
        {"data": [{"id": "models/m"}]},
        {"items": [{"id": "m"}]},
        {"value": [{"name": "m"}]},
        {"result": {"data": [{"id": "m"}]}},
        {"data": {"m": {"context": 8192}}},
        {"modelSummaries": [{"modelId": "m"}]},
    ],
)
async def test_lists_of_other_shapes_are_read(serve: Serve, session: aiohttp.ClientSession, models: Any):
    refusing = chatting(models, chat={"error": "no calls"}, chat_status=400)
    report = await probe(session, Endpoint(await serve(refusing)), "m")
    assert (report.ok, report.warning) == (True, "")


async def test_an_adapter_has_the_context_of_its_base_model(serve: Serve, session: aiohttp.ClientSession):
    models = [{"id": "base", "max_model_len": 4096}, {"id": "lora", "parent": "base", "max_model_len": None}]
    assert (await probe(session, Endpoint(await serve(chatting({"data": models}))), "lora")).max_model_len == 4096


async def test_a_busy_server_is_used_in_spite_of_the_doubt(serve: Serve, session: aiohttp.ClientSession):
    busy = chatting({"data": [{"id": "*"}]}, chat={"error": "slow down"}, chat_status=429)
    report = await probe(session, Endpoint(await serve(busy)), "m")
    assert report.ok
    assert "gave no answer" in report.warning


@pytest.mark.parametrize("status", [400, 404])
async def test_a_model_that_the_trial_call_rejects_is_not_served(
    serve: Serve, session: aiohttp.ClientSession, status: int
):
    error = {"error": {"message": "The model `m` does not exist."}}
    report = await probe(session, Endpoint(await serve(chatting({"data": []}, chat=error, chat_status=status))), "m")
    assert not report.ok
    assert "does not exist" in report.error


REFUSED_TOKENS = {"error": {"message": "max_tokens must be at least 16"}}
NO_MODEL = {"error": {"message": "The model `m` does not exist."}}


@pytest.mark.parametrize("models", [({"data": [{"id": "n"}]}, 200), ({"error": "no"}, 403), ({}, 500)])
async def test_a_trial_call_that_is_rejected_for_its_own_sake_says_nothing_about_the_model(
    serve: Serve, session: aiohttp.ClientSession, models: tuple[Any, int]
):
    refusing = chatting(*models, chat=REFUSED_TOKENS, chat_status=400)
    report = await probe(session, Endpoint(await serve(refusing)), "m")
    assert report.ok
    assert "a trial call was rejected (HTTP 400: max_tokens must be at least 16); it is used anyway" in report.warning


@pytest.mark.parametrize(
    ("chat", "status", "error"),
    [
        ({"error": {"code": 404, **NO_MODEL["error"]}}, 200, "model 'm' not served here (available: n)"),
        ({"error": {"code": 401, "message": "Invalid key"}}, 200, "HTTP 401: Invalid key"),
        ({"error": {"message": "Insufficient credits"}}, 402, "HTTP 402: Insufficient credits"),
        ("a page", 200, "the reply is no chat completion"),
    ],
)
async def test_an_error_in_reply_to_the_trial_call_counts_as_one_whatever_its_status(
    serve: Serve, session: aiohttp.ClientSession, chat: Any, status: int, error: str
):
    listing = chatting({"data": [{"id": "n"}]}, chat=chat, chat_status=status)
    report = await probe(session, Endpoint(await serve(listing)), "m")
    assert not report.ok
    assert report.error.startswith(error)


async def test_a_pattern_of_the_list_is_never_proposed(serve: Serve, session: aiohttp.ClientSession):
    listing = chatting({"data": [{"id": "*"}, {"id": "openai/*"}]}, chat=NO_MODEL, chat_status=404)
    report = await probe(session, Endpoint(await serve(listing)), "m")
    assert (report.ok, report.error) == (False, "model 'm' not served here (available: none by name)")
    assert "*" not in report.hint


async def test_a_list_that_is_too_long_or_never_ends_leaves_it_to_the_trial_call(
    serve: Serve, session: aiohttp.ClientSession
):
    async def dripping(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/models"):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"data": [')
            await ended.wait()
            return response
        return await chatting({})(request)

    ended = asyncio.Event()
    report = await probe(session, Endpoint(await serve(dripping)), "m", 0.5)
    ended.set()
    assert report.ok
    assert "the list of models cannot be read (no complete reply within" in report.warning
    long = chatting({"data": [{"id": "x" * LARGEST_LIST}]})
    report = await probe(session, Endpoint(await serve(long)), "m")
    assert report.ok
    assert "the reply is longer than 4 MiB" in report.warning


async def test_a_list_of_any_length_is_read_up_to_a_bound(serve: Serve, session: aiohttp.ClientSession):
    names = ["tiny", "x" * (LONGEST_NAME + 1), *(f"model-{number}" for number in range(2 * MAX_MODELS))]
    report = await probe(session, Endpoint(await serve(server(*names))), "tiny")
    assert report.ok
    assert len(report.models) == MAX_MODELS - 1
