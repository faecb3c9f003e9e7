"""Streamed replies over real HTTP: requested where a server demands them, and read wherever one sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from model_servers import BODY, Caller, Connected, Handler, encoded, failure_of, read_request

from engine.errors import CallFailed, FailureKind
from engine.events import CallRetried
from engine.models.discover import probe
from engine.models.endpoint import Endpoint
from engine.models.reply import read_reply
from engine.models.stream import ReplyForm, form_after
from engine.records import Completion, Usage

Serve = Callable[..., Awaitable[str]]
ServeRaw = Callable[[Connected], Awaitable[str]]

USAGE = {"prompt_tokens": 12, "completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 3}}
DONE = b"data: [DONE]\n\n"
CUT = "the reply broke off: the stream ended without finish_reason"


def chunk(finish_reason: str | None = None, usage: Any = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk as vLLM writes it."""
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice], "usage": usage}


def events(*chunks: Any, end: bytes = DONE) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(each) + b"\n\n" for each in chunks) + end


WHOLE = events(
    chunk(role="assistant", content=""),
    chunk(reasoning_content="Thi"),
    chunk(reasoning_content="nk."),
    chunk(content="Hi "),
    chunk(content="there."),
    chunk("stop", content=""),
    {"object": "chat.completion.chunk", "choices": [], "usage": USAGE},
)


def failure(body: bytes) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        read_reply(200, body)
    return caught.value


def streaming(body: bytes, content_type: str = "text/event-stream") -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for start in range(0, len(body), 37):  # pieces that are no events
            await response.write(body[start : start + 37])
        return response

    return handler


def stream_only(message: str, seen: list[Any], *, takes_options: bool = True) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen.append((body.get("stream"), body.get("stream_options")))
        if not body.get("stream"):
            return web.json_response({"error": {"message": message}}, status=400)
        if "stream_options" in body and not takes_options:
            return web.json_response({"detail": "stream_options: extra fields not permitted"}, status=422)
        return web.Response(body=WHOLE, content_type="text/event-stream")

    return handler


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/plain"])
async def test_a_stream_that_was_not_asked_for_is_read(serve: Serve, caller: Caller, content_type: str):
    completion = await caller(await serve(streaming(WHOLE, content_type))).complete(BODY)
    assert (completion.content, completion.reasoning, completion.finish_reason) == ("Hi there.", "Think.", "stop")
    assert completion.usage == Usage(12, 8, 3)


@pytest.mark.parametrize(
    "message",
    [
        "This model only support stream mode, please enable the stream parameter to access the model. ",
        "parameter.enable_thinking must be set to false for non-streaming calls",
        "Requests with max_tokens > 4096 must have stream=true",
        "Streaming is required for operations that may take longer than 10 minutes.",
        "Stream must be set to true",
        "'stream' must be true",
        "Non-streaming requests are not supported for this model",
        "non-stream mode is unsupported",
        "This is a streaming-only endpoint",
        "this model does not support non-streaming output",
        'please set "stream": true',
        "The model requires streaming",
        "stream=false is not supported",
    ],
)
async def test_what_a_server_demands_is_done_from_then_on(serve: Serve, caller: Caller, message: str):
    seen: list[Any] = []
    client = caller(await serve(stream_only(message, seen)))
    for _ in range(2):
        assert (await client.complete(BODY)).content == "Hi there."
    assert seen == [(None, None), (True, {"include_usage": True}), (True, {"include_usage": True})]
    assert not any(isinstance(event, CallRetried) for event in caller.events)


async def test_calls_refused_together_are_all_sent_again(serve: Serve, caller: Caller):
    seen: list[Any] = []
    client = caller(await serve(stream_only("only streaming is supported", seen)), attempts=1)
    completions = await asyncio.gather(*(client.complete(BODY) for _ in range(8)))
    assert {each.content for each in completions} == {"Hi there."}


async def test_a_server_that_knows_no_stream_options_gets_none(serve: Serve, caller: Caller):
    seen: list[Any] = []
    client = caller(await serve(stream_only("only streaming", seen, takes_options=False)), stream=True)
    await client.complete(BODY)
    await client.complete(BODY)
    assert seen == [(True, {"include_usage": True}), (True, None), (True, None)]


async def test_a_model_that_must_not_stream_fails_with_what_to_do(serve: Serve, caller: Caller):
    seen: list[Any] = []
    result = await failure_of(caller(await serve(stream_only("only streaming", seen)), stream=False).complete(BODY))
    assert (result.kind, result.status, len(seen)) == (FailureKind.REJECTED, 400, 1)
    assert "`stream = false`" in result.hint


@pytest.mark.parametrize("status", [400, 500, 501, 200])
async def test_the_demand_may_come_with_any_status(serve: Serve, caller: Caller, status: int):
    async def handler(request: web.Request) -> web.Response:
        if (await request.json()).get("stream"):
            return web.Response(body=WHOLE, content_type="text/event-stream")
        return web.json_response({"error": {"message": "only streaming is supported"}}, status=status)

    assert (await caller(await serve(handler), attempts=1).complete(BODY)).content == "Hi there."


async def test_an_unlisted_model_that_only_streams_is_served(serve: Serve, session: aiohttp.ClientSession):
    refuse = stream_only("This model only support stream mode", [])

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": []}) if request.method == "GET" else await refuse(request)

    report = await probe(session, Endpoint(await serve(handler)), "tiny")
    assert (report.ok, report.warning) == (
        True,
        "model 'tiny' is not in the list of models, but takes calls; it is used",
    )


@pytest.mark.parametrize(
    "title",
    [
        "HTTP 400: This model's maximum context length is 4096 tokens",
        "HTTP 400: top_k is not supported",
        "HTTP 400: upstream error",
        "HTTP 404: no such model",
    ],
)
def test_other_refusals_change_nothing(title: str):
    assert form_after(ReplyForm.WHOLE, CallFailed(FailureKind.REJECTED, title)) is None


async def test_a_reply_ends_with_its_last_event_though_the_connection_stays_open(serve_raw: ServeRaw, caller: Caller):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + WHOLE)
        await reader.read()  # until the client closes the connection

    completion = await caller(await serve_raw(connected), idle_timeout=30.0, attempts=1).complete(BODY)
    assert completion.content == "Hi there."


async def test_a_server_that_streams_is_not_silent_whatever_its_metrics_report(serve: Serve, caller: Caller):
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.Response(text="vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(30):
            await response.write(events(chunk(content="a"), end=b""))
            await asyncio.sleep(0.1)
        await response.write(events(chunk("stop")))
        return response

    completion = await caller(await serve(handler), idle_timeout=1.0, attempts=1).complete(BODY)
    assert completion.content == "a" * 30


async def test_a_stream_without_end_is_cut_at_the_bound_of_what_was_asked_for(serve: Serve, caller: Caller):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(events(chunk(content="word " * 1000), end=b""))

    result = await failure_of(caller(await serve(handler), attempts=1).complete(BODY | {"max_tokens": 16}))
    assert (result.kind, result.title) == (FailureKind.MALFORMED, "the reply is longer than 2 MiB")


async def test_a_stream_of_short_tokens_may_be_longer_than_its_text(serve: Serve, caller: Caller):
    body = events(*(chunk(content="a", padding="x" * 900) for _ in range(1000)), chunk("length"))
    base_url = await serve(streaming(body, "text/plain"))
    completion = await caller(base_url).complete(BODY | {"max_tokens": 1000})
    assert completion.content == "a" * 1000


async def test_a_connection_that_breaks_inside_a_stream_is_a_failure(serve: Serve, caller: Caller):
    body = events(chunk(content="Hi"), end=b"")
    result = await failure_of(caller(await serve(streaming(body)), attempts=1).complete(BODY))
    assert (result.kind, result.title) == (FailureKind.ABORTED, CUT)


@pytest.mark.parametrize("end", [b"", DONE, b'data: {"choices": [], "usage": {"completion_tokens": 3}}\n\n'])
def test_a_stream_without_finish_reason_is_cut_off(end: bytes):
    result = failure(events(chunk(content="half"), chunk(content=" a"), end=end))
    assert (result.kind, result.title) == (FailureKind.ABORTED, CUT)


ERRORS = [
    b'data: {"error": {"message": "out of memory"}}\n\n',
    b'event: error\ndata: {"type": "error", "error": {"type": "x", "message": "out of memory"}}\n\n',
    b'event: error\ndata: {"message": "out of memory"}\n\n',
    b"event: error\ndata: out of memory\n\n",
    b'error: {"message": "out of memory"}\n\n',
    b'data: {"object": "error", "message": "out of memory"}\n\n',
    b'data: {"code": "x", "message": "out of memory"}\n\n',
    b'{"error": "out of memory"}\n',
    b'data: {"choices": [{"index": 0, "delta": {}, "error": {"message": "out of memory"}}]}\n\n',
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("end", [b"", DONE, events(chunk("stop"))])
def test_an_error_inside_a_stream_refuses_the_reply(error: bytes, end: bytes):
    result = failure(events(chunk(content="half a text"), end=error + end))
    assert (result.kind, result.title) == (FailureKind.ABORTED, "the reply broke off: out of memory")


@pytest.mark.parametrize("error", ERRORS[:7])
def test_an_error_in_place_of_a_stream_is_shown(error: bytes):
    assert failure(error + DONE).title == "an error came with status 200: out of memory"


def test_an_error_with_a_status_is_the_failure_of_that_status():
    result = failure(b'data: {"error": {"code": 429, "message": "slow down"}}\n\n')
    assert (result.kind, result.title) == (FailureKind.RATE_LIMITED, "HTTP 429: slow down")


def contents(body: bytes) -> tuple[str, str | None]:
    completion = read_reply(200, body)
    return completion.content, completion.reasoning


def test_the_shapes_of_other_servers_are_read():
    stop = chunk("stop")
    whole = {"choices": [{"index": 0, "message": {"content": "Hi there."}, "finish_reason": "stop"}]}
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    assert contents(events(whole)) == ("Hi there.", None)
    assert contents(events(chunk(content="Hi "), chunk(content="there."), whole)) == ("Hi there.", None)
    assert contents(events(chunk(content=thinking), chunk(content="Hi"), stop)) == ("Hi", "Hm.")
    assert contents(events(chunk(reasoning="Hm."), chunk(content="Hi"), stop)) == ("Hi", "Hm.")
    assert contents(events(chunk(content="<think>Hm."), chunk(content="</think>Hi"), stop)) == ("Hi", "Hm.")
    assert contents(b": keep-alive\r\n\r\n" + events(chunk(content="Hi"), stop).replace(b"\n", b"\r\n")) == ("Hi", None)
    assert contents(b"\xef\xbb\xbf\nid: 1\n" + events(chunk(content="Hi"), stop).replace(b"\n\n", b"\n")) == (
        "Hi",
        None,
    )
    assert contents(events(chunk(content="Hi"), stop).replace(b"data: ", b"data:")) == ("Hi", None)
    two_lines = b'data: {"choices": [{"delta": {"content": "Hi"},\ndata: "finish_reason": "stop"}]}\n\n'
    assert contents(two_lines) == ("Hi", None)


def test_halves_of_a_character_in_two_events_are_joined():
    halves = (
        rb'data: {"choices": [{"delta": {"content": "\ud83d"}}]}',
        rb'data: {"choices": [{"delta": {"content": "\ude00"}}]}',
    )
    assert contents(b"\n\n".join(halves) + b"\n\n" + events(chunk("stop"))) == ("\U0001f600", None)
    assert contents(halves[0] + b"\n\n" + events(chunk("length"))) == ("�", None)


def test_the_probabilities_of_the_first_token_are_kept():
    def logprobs(token: str) -> Any:
        return {"content": [{"token": token, "logprob": -0.5, "top_logprobs": [{"token": token, "logprob": -0.5}]}]}

    begun = chunk(role="assistant", content="", logprobs={"content": []})  # as some servers begin
    body = events(
        begun, chunk(content="A", logprobs=logprobs("A")), chunk(content="B", logprobs=logprobs("B")), chunk("stop")
    )
    assert read_reply(200, body).first_token == (("A", -0.5),)


def test_a_stream_of_other_choices_keeps_the_first():
    other = {"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}]}
    assert contents(events(chunk(content="Hi"), other, chunk("stop"))) == ("Hi", None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"data: {broken\n\n", FailureKind.MALFORMED),
        (b"data: [1]\n\n", FailureKind.MALFORMED),
        (DONE, FailureKind.MALFORMED),
        (b": nothing\n\n", FailureKind.MALFORMED),
        (events(chunk("stop")), FailureKind.EMPTY),
        (events(chunk("length", reasoning="Hm")), FailureKind.TRUNCATED),
        (events(chunk("content_filter", content="Hi")), FailureKind.REJECTED),
        (events(chunk("error", content="Hi")), FailureKind.ABORTED),
        (events(chunk("stop", content={"a": 1})), FailureKind.EMPTY),
        (events(chunk("stop", tool_calls=[{"index": 0}])), FailureKind.EMPTY),
    ],
)
def test_a_stream_without_a_text_is_described(body: bytes, kind: FailureKind):
    assert failure(body).kind is kind


def test_many_broken_lines_are_read_in_linear_time():
    assert failure(b'data: {"a":"' + b"\ndata: xxxx" * 500_000).kind is FailureKind.MALFORMED


@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(0, len(WHOLE)))
def test_odd_streams_fail_their_own_call_only(pieces: list[bytes], cut: int):
    for body in (b"data:" + b"\n".join(pieces), WHOLE[:cut] + b"".join(pieces) + WHOLE[cut:]):
        with suppress(CallFailed):
            assert isinstance(read_reply(200, body), Completion)


def test_a_whole_reply_is_no_stream():
    assert read_reply(200, encoded("data: {} and so on")).content == "data: {} and so on"
