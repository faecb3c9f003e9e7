"""The simulated server as a client of vLLM sees it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from engine.simulator import SimulatedModel, SimulatorConfig, demo_cast, running_simulator

HELLO = "Explain how tides work, with an example."


def plain(**settings: Any) -> SimulatorConfig:
    return SimulatorConfig(models=[SimulatedModel(name="m")], **settings)


async def test_it_says_who_it_is_and_what_it_serves(serve):
    served = await serve(demo_cast())
    assert await served.get("/health") == (200, "")
    assert json.loads((await served.get("/version"))[1]) == {"version": "simulated"}
    models = json.loads((await served.get("/v1/models"))[1])["data"]
    assert [model["id"] for model in models] == demo_cast().names
    assert all(model["root"] == f"simulated/{model['id']}" and model["max_model_len"] == 32768 for model in models)
    assert await served.get("/nowhere") == (404, '{"detail":"Not Found"}')
    assert (await served.get("/v1/chat/completions"))[0] == 405


async def test_a_reply_has_the_shape_of_vllms_and_counts_its_tokens(serve):
    served = await serve(plain())
    reply = await served.chat("m", HELLO)
    choice = reply["choices"][0]
    assert (choice["finish_reason"], choice["message"]["role"], choice["message"]["reasoning"]) == (
        "stop",
        "assistant",
        None,
    )
    assert reply["model"] == "m"
    _, counted = await served.post(
        {"model": "m", "messages": [{"role": "user", "content": HELLO}], "return_token_strs": True}, "/tokenize"
    )
    assert counted["count"] == len(counted["tokens"]) == reply["usage"]["prompt_tokens"]
    assert "".join(counted["token_strs"]) == HELLO
    _, counted = await served.post({"model": "m", "prompt": choice["message"]["content"]}, "/tokenize")
    assert counted["count"] == reply["usage"]["completion_tokens"]


async def test_max_tokens_cuts_a_reply_and_says_so(serve):
    served = await serve(plain())
    whole = await served.says("m", HELLO)
    for field in ("max_tokens", "max_completion_tokens"):
        reply = await served.chat("m", HELLO, **{field: 7})
        assert reply["choices"][0]["finish_reason"] == "length"
        assert reply["usage"]["completion_tokens"] == 7
        assert whole.startswith(reply["choices"][0]["message"]["content"])


async def test_what_does_not_fit_into_the_context_is_cut_in_silence(serve):
    served = await serve(plain(max_model_len=60))
    usage = (await served.chat("m", "x" * 180, max_tokens=50))["usage"]
    assert usage["total_tokens"] == 60


BAD_REQUESTS = {
    "too long": (
        {"messages": [{"role": "user", "content": "x" * 400}]},
        "input_tokens",
        "maximum context length is 80",
    ),
    "too many tokens": ({"max_tokens": 81}, "max_tokens", "cannot be greater than max_model_len=80"),
    "no tokens": ({"max_tokens": 0}, "max_tokens", "at least 1"),
    "too hot": ({"temperature": 2.5}, "temperature", "[0, 2]"),
    "too many logprobs": ({"top_logprobs": 21}, "top_logprobs", "20"),
    "no choice": ({"n": 0}, "n", "[1, 128]"),
    "no message": ({"messages": []}, "messages", "empty conversation"),
    "a wrong type": ({"max_tokens": "many"}, "body.max_tokens", "Expected `int"),
    "two constraints": ({"structured_outputs": {"choice": ["a"], "regex": "a"}}, None, "exactly one kind"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
async def test_a_bad_request_is_refused_with_the_parameter_at_fault(serve, case):
    fields, param, says = BAD_REQUESTS[case]
    served = await serve(plain(max_model_len=80))
    status, body = await served.post({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields})
    assert status == body["error"]["code"] == 400
    assert body["error"]["param"] == param
    assert says in body["error"]["message"]


async def test_broken_json_a_missing_field_and_an_unknown_model_are_distinguished(serve):
    served = await serve(plain())
    status, body = await served.post(b'{"model": "m", "messages": [')
    assert (status, body["error"]["type"], body["error"]["param"]) == (400, "Bad Request", "body")
    status, body = await served.post({"model": "m"})
    assert (status, body["error"]["type"]) == (400, "Bad Request")
    assert "messages" in body["error"]["message"]
    status, body = await served.post({"model": "nope", "messages": [{"role": "user", "content": "hi"}]})
    assert (status, body["error"]["type"]) == (404, "NotFoundError")
    assert body["error"]["message"] == "The model `nope` does not exist. Valid aliases: m."


async def test_unknown_fields_are_ignored_and_the_model_may_be_left_out(serve):
    served = await serve(plain())
    status, reply = await served.post({"messages": [{"role": "user", "content": "hi"}], "no_such_field": 1})
    assert (status, reply["model"]) == (200, "m")


async def test_content_in_parts_is_the_same_as_in_one_piece(serve):
    served = await serve(plain())
    parts = [{"type": "text", "text": HELLO[:5]}, {"type": "text", "text": HELLO[5:]}]
    _, reply = await served.post({"temperature": 0, "messages": [{"role": "user", "content": parts}]})
    assert reply["choices"][0]["message"]["content"] == await served.says("m", HELLO)


async def test_a_key_guards_what_is_below_v1_and_nothing_else(serve):
    served = await serve(plain(api_key="right"))
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ключ"}):
        assert await served.post(asked, **headers) == (401, {"error": "Unauthorized"})
    assert (await served.post(asked, Authorization="Bearer right"))[0] == 200
    assert (await served.get("/v1/models"))[0] == 401
    assert (await served.get("/metrics"))[0] == (await served.get("/health"))[0] == 200


async def test_a_stream_has_the_same_text_piece_by_piece(serve):
    served = await serve(plain(tokens_per_second=1000))
    asked = {"messages": [{"role": "user", "content": HELLO}], "temperature": 0, "stream": True}
    asked["stream_options"] = {"include_usage": True}
    async with served.session.post(served.url + "/v1/chat/completions", json=asked) as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert len(deltas) > 4
    whole = await served.chat("m", HELLO)
    assert "".join(delta.get("content", "") for delta in deltas) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


async def test_thoughts_go_where_a_server_of_that_kind_puts_them(serve):
    kinds = ("none", "field", "tags", "orphan")
    served = await serve(SimulatorConfig(models=[SimulatedModel(name=kind, reasoning=kind) for kind in kinds]))
    replies = {kind: await served.chat(kind, HELLO) for kind in kinds}
    said = {kind: reply["choices"][0]["message"] for kind, reply in replies.items()}
    assert said["none"]["reasoning"] is None
    assert said["field"]["reasoning"]
    assert said["field"]["content"].count("think>") == 0
    assert said["tags"]["content"].startswith(f"<think>\n{said['field']['reasoning']}\n</think>\n\n")
    assert said["orphan"]["content"].startswith(f"{said['field']['reasoning']}\n</think>\n\n")
    assert replies["field"]["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    quiet = await served.chat("tags", HELLO, chat_template_kwargs={"enable_thinking": False})
    assert "think>" not in quiet["choices"][0]["message"]["content"]
    hidden = await served.chat("field", HELLO, include_reasoning=False)
    assert hidden["choices"][0]["message"]["reasoning"] is None


async def test_thinking_that_uses_up_all_tokens_leaves_no_content(serve):
    served = await serve(SimulatorConfig(models=[SimulatedModel(name="m", reasoning="field")]))
    choice = (await served.chat("m", HELLO, max_tokens=5))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] is None
    assert choice["message"]["reasoning"]


async def test_a_reply_takes_its_latency_and_its_tokens_their_time(serve):
    served = await serve(plain(latency=0.04, jitter=0.25, tokens_per_second=1000))
    began = time.perf_counter()
    await served.chat("m", HELLO, max_tokens=60)
    assert 0.03 + 0.06 <= time.perf_counter() - began < 60


async def test_metrics_tell_what_was_done(serve):
    served = await serve(plain())
    replies = [await served.chat("m", f"{HELLO} {number}", max_tokens=limit) for number, limit in ((1, 5), (2, None))]
    await served.post({"messages": []})
    for field, metric in (("prompt_tokens", "prompt"), ("completion_tokens", "generation")):
        assert await served.number(f"vllm:{metric}_tokens_total") == sum(reply["usage"][field] for reply in replies)
    assert await served.number('finished_reason="length"') == 1
    assert await served.number('finished_reason="stop"') == 1
    assert await served.number("vllm:e2e_request_latency_seconds_count") == 2
    assert await served.number('simulator:requests_total{status="200"}') == 2
    assert await served.number('simulator:requests_total{status="400"}') == 1
    assert await served.number("simulator:requests_held ") == 0
    _, text = await served.get("/metrics")
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families)) > 10


async def test_shared_beginnings_hit_the_prefix_cache(serve):
    served = await serve(plain(kv_cache_tokens=128 * 3))
    shared = "a long shared beginning " * 50  # 1200 characters: two whole blocks
    await served.chat("m", shared + "one")
    assert await served.number("vllm:prefix_cache_hits_total") == 0
    await served.chat("m", shared + "two")
    assert await served.number("vllm:prefix_cache_hits_total") == 256
    await served.chat("m", "something else entirely " * 100)  # pushes the first ones out
    await served.chat("m", shared + "three")
    assert await served.number("vllm:prefix_cache_hits_total") == 256


async def until(check) -> None:
    """Comes back when `check` says so; the test fails if it does not within five seconds."""
    async with asyncio.timeout(5):
        while not await check():
            pass


async def test_requests_beyond_the_places_wait_and_beyond_the_queue_are_refused(serve):
    served = await serve(plain(latency=60, max_running=1, max_queued=1))
    first = asyncio.create_task(served.chat("m", "one"))
    await until(lambda: _is(served, "num_requests_running", 1))
    second = asyncio.create_task(served.chat("m", "two"))
    await until(lambda: _is(served, "num_requests_waiting", 1))
    status, body = await served.post({"messages": [{"role": "user", "content": "three"}]})
    assert (status, body["error"]["type"]) == (503, "Service Unavailable")
    assert await served.number("vllm:admission_rejections_total") == 1
    assert await served.number("simulator:requests_held_max") == 3
    first.cancel()
    await until(lambda: _is(served, "num_requests_waiting", 0))  # the second has its turn
    assert await _is(served, "num_requests_running", 1)
    second.cancel()


async def test_a_client_that_leaves_aborts_its_request(serve):
    served = await serve(plain(latency=60))
    call = asyncio.create_task(served.chat("m", HELLO))
    await until(lambda: _is(served, "num_requests_running", 1))
    call.cancel()
    await until(lambda: _is(served, "num_requests_running", 0))
    assert await served.number("vllm:request_success_total") == 0


async def _is(served, metric: str, value: float) -> bool:
    return await served.number(metric) == value


async def test_many_at_once_are_all_answered_and_all_alike_whatever_their_order(serve):
    served = await serve(plain(latency=0.002, jitter=1.0))
    asked = [f"{HELLO} ({number})" for number in range(150)]
    one = await asyncio.gather(*(served.says("m", text) for text in asked))
    other = await asyncio.gather(*(served.says("m", text) for text in reversed(asked)))
    assert list(one) == list(reversed(other))
    assert len(set(one)) > 100


async def test_a_port_that_is_taken_is_an_os_error():
    async with running_simulator(plain()) as url:
        with pytest.raises(OSError, match="address already in use"):
            async with running_simulator(plain(), port=int(url.rpartition(":")[2])):
                pass
