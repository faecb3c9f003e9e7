"""What is made of a server's reply: an answer, or the reason why there is none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_servers import encoded, reply

from engine.errors import CallFailed, FailureKind
from engine.models.reply import read_reply
from engine.records import Completion, Usage


def outcome(status: int, body: bytes) -> Completion | CallFailed:
    try:
        return read_reply(status, body)
    except CallFailed as result:
        return result


def failure(status: int, body: bytes) -> CallFailed:
    result = outcome(status, body)
    assert isinstance(result, CallFailed)
    return result


def test_a_plain_reply_is_its_text_with_usage_and_time():
    assert read_reply(200, encoded(" Hi\n"), seconds=1.5) == Completion(
        content=" Hi\n", finish_reason="stop", usage=Usage(prompt_tokens=12, completion_tokens=8), seconds=1.5
    )


def test_a_reply_cut_by_the_token_limit_says_so():
    assert read_reply(200, encoded("half a", "length")).finish_reason == "length"


def test_a_server_that_names_no_finish_reason_finished():
    assert read_reply(200, encoded("done", None)).finish_reason == "stop"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", "the reply has no body"),
        (b"\n<html><h1>502 Bad Gateway</h1>nginx</html>", "the reply is a web page, not JSON: 502 Bad Gateway nginx"),
        (b"upstream connect error", "the reply is not JSON, but begins: upstream connect error"),
        (encoded("Hi")[:-9], "the reply is not JSON: Input data was truncated"),
    ],
)
def test_a_reply_that_is_not_json_is_described(body: bytes, result: str):
    assert failure(200, body).title == result


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_kept_apart_under_either_name(field: str):
    completion = read_reply(200, encoded("Four.", **{field: "2 + 2"}))
    assert (completion.content, completion.reasoning) == ("Four.", "2 + 2")


def test_thinking_written_into_the_content_is_taken_out_of_it():
    completion = read_reply(200, encoded("<think>2 + 2</think>\n\nFour."))
    assert completion.content.strip() == "Four."
    assert completion.reasoning is not None
    assert completion.reasoning.strip() == "2 + 2"


def test_where_the_server_sends_reasoning_apart_the_text_stays_whole():
    completion = read_reply(200, encoded("<think>second</think>Four.", reasoning="first"))
    assert (completion.content, completion.reasoning) == ("<think>second</think>Four.", "first")


def test_all_that_the_model_wrote_is_kept_where_reasoning_was_split_off():
    assert read_reply(200, encoded("<think>Hm</think>Hi")).raw == "<think>Hm</think>Hi"
    assert read_reply(200, encoded("Hi")).raw is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (encoded("<think>and then, and then", "length"), FailureKind.TRUNCATED),
        (encoded(None, "length", reasoning="and then"), FailureKind.TRUNCATED),
        (encoded("", "length"), FailureKind.TRUNCATED),
        (encoded(None), FailureKind.EMPTY),
        (encoded(""), FailureKind.EMPTY),
        (encoded(" \n\t"), FailureKind.EMPTY),
        (encoded("<think>hm</think>"), FailureKind.EMPTY),
        (encoded("cut off in the", "abort"), FailureKind.ABORTED),
        (encoded("cut off in the", "error"), FailureKind.ABORTED),
        (encoded("a a a a a a", "repetition"), FailureKind.ABORTED),
        (encoded(None, "tool_calls", tool_calls=[{"id": "1"}]), FailureKind.EMPTY),
        (encoded("text", 7), FailureKind.MALFORMED),
        (encoded("", "content_filter"), FailureKind.REJECTED),
        (encoded(None, refusal="I cannot"), FailureKind.REJECTED),
        (encoded({"text": "an object"}), FailureKind.MALFORMED),
        (b'{"choices": []}', FailureKind.MALFORMED),
        (b'{"choices": null}', FailureKind.MALFORMED),
        (b'{"choices": [{"index": 0}]}', FailureKind.MALFORMED),
        (b'{"choices": [null]}', FailureKind.MALFORMED),
        (b'{"choices": {"message": "x"}}', FailureKind.MALFORMED),
        (b"{}", FailureKind.MALFORMED),
        (b"[]", FailureKind.MALFORMED),
        (b"null", FailureKind.MALFORMED),
        (b"", FailureKind.MALFORMED),
        (encoded()[:-20], FailureKind.MALFORMED),
        (encoded().replace(b"Hi", b"H\xff"), FailureKind.MALFORMED),
        (b"<html><body>It works!</body></html>", FailureKind.MALFORMED),
        (b"[" * 100_000, FailureKind.MALFORMED),
    ],
)
def test_what_is_no_answer_is_never_taken_for_one(body: bytes, kind: FailureKind):
    assert failure(200, body).kind is kind


def test_a_truncated_reply_hints_at_max_tokens():
    assert "max_tokens" in failure(200, encoded(None, "length", reasoning="hm")).hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FailureKind.REJECTED),
        (401, FailureKind.UNAUTHORIZED),
        (403, FailureKind.UNAUTHORIZED),
        (404, FailureKind.REJECTED),
        (408, FailureKind.SERVER),
        (413, FailureKind.REJECTED),
        (422, FailureKind.REJECTED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER),
        (501, FailureKind.REJECTED),
        (502, FailureKind.SERVER),
        (503, FailureKind.SERVER),
        (204, FailureKind.MALFORMED),
        (307, FailureKind.REJECTED),
    ],
)
def test_a_status_decides_the_kind_of_failure(status: int, kind: FailureKind):
    result = failure(status, b"")
    assert (result.kind, result.status, result.title) == (kind, status, f"HTTP {status}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "no such thing", "type": "x", "code": 404}}',
        b'{"error": "no such thing"}',
        b'{"detail": "no such thing"}',
        b'{"message": "no such thing"}',
        b'[{"error": {"message": "no such thing"}}]',
        b'{"detail": [{"loc": ["body"], "msg": "no such thing"}]}',
        b"<html><h1>no such\n thing</h1></html>",
    ],
)
def test_the_servers_words_are_found_in_any_usual_shape(body: bytes):
    assert failure(400, body).title == "HTTP 400: no such thing"


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (400, "Unrecognized request argument supplied: top_k", "provider"),
        (422, "Extra inputs are not permitted: min_p", "refuses"),
        (400, "This model's maximum context length is 8192 tokens. However, your prompt", "--max-model-len"),
        (400, "default chat template is no longer allowed", "--chat-template"),
        (404, "The model `nope` does not exist.", "set `model`"),
        (404, "Not Found", "/v1"),
        (401, "Unauthorized", "api_key"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, message: str, hint: str):
    assert hint in failure(status, json.dumps({"error": {"message": message}}).encode()).hint


def test_hostile_error_text_is_one_short_readable_line():
    title = failure(500, json.dumps({"error": "\x1b[2J\x00a\n\u202eb" + "x" * 100_000}).encode()).title
    assert title.startswith("HTTP 500: [2J a bxxx")
    assert title.isprintable()
    assert len(title) < 1100


def test_an_error_object_with_status_200_counts_as_the_status_that_it_names():
    body = json.dumps({"error": {"message": "slow down", "code": 429}}).encode()
    result = failure(200, body)
    assert (result.kind, result.title) == (FailureKind.RATE_LIMITED, "HTTP 429: slow down")


def test_an_error_object_without_a_status_is_malformed():
    assert failure(200, b'{"error": {"message": "oops"}}').kind is FailureKind.MALFORMED
    assert failure(200, b'{"error": "oops"}').title.endswith("oops")


def test_half_a_character_becomes_a_replacement_character():
    body = encoded("PLACE").replace(b"PLACE", rb"cut \ud83d here \ud83d\ude00 and \udc00")
    assert read_reply(200, body).content == "cut \ufffd here 😀 and \ufffd"


def test_content_in_parts_is_joined():
    parts = [{"type": "thinking", "text": "no"}, {"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, 7]
    assert read_reply(200, encoded(parts)).content == "Hello"


def test_counts_of_every_kind_are_read():
    body = reply()
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 5}
    body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 3}
    assert read_reply(200, json.dumps(body).encode()).usage == Usage(12, 8, 3, 5)


@pytest.mark.parametrize(
    "usage",
    [None, 7, [], {"prompt_tokens": "12", "completion_tokens": -1}, {"prompt_tokens": None}, {"prompt_tokens": True}],
)
def test_odd_usage_costs_no_answer(usage: Any):
    assert read_reply(200, json.dumps({**reply(), "usage": usage}).encode()).usage == Usage()


@pytest.mark.parametrize(
    "name",
    [
        "eos",
        "eos_token",
        "end",
        "END_TURN",
        "STOP",
        "stop_sequence",
        "COMPLETE",
        "tool_calls",
        "done",
        "null",
        "eot",
        "stop_token",
        "<|im_end|>",
        "</s>",
        "FinishReason.STOP",
        {"type": "stop"},
    ],
)
def test_a_whole_reply_may_end_by_any_name_for_a_stop(name: str):
    assert read_reply(200, encoded("whole", name)).finish_reason == "stop"


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "model_context_window_exceeded",
     "FinishReason.MAX_TOKENS", "truncated", {"type": "length"}],
)  # fmt: skip
def test_a_reply_cut_by_the_token_limit_says_so_by_any_name(name: str):
    assert read_reply(200, encoded("half a", name)).finish_reason == "length"


@pytest.mark.parametrize("name", [{"odd": True}, "x" * 10_000])
def test_a_finish_reason_of_any_other_kind_costs_no_answer(name: Any):
    completion = read_reply(200, encoded("whole", name))
    assert completion.content == "whole"
    assert "is not known" in completion.warnings[0]
    assert len(completion.finish_reason) <= 80


def test_an_unknown_finish_reason_keeps_the_text_with_a_warning():
    completion = read_reply(200, encoded("whole", "because\x1b[2J"))
    assert (completion.content, completion.finish_reason) == ("whole", "because [2J")
    assert "'because [2J' is not known" in completion.warnings[0]


@pytest.mark.parametrize("place", ["top", "choice", "message"])
@pytest.mark.parametrize("finish_reason", ["stop", None, "error"])
def test_an_error_beside_a_text_refuses_the_text_and_is_shown(place: str, finish_reason: str | None):
    body = reply("half an answ", finish_reason)
    holder = {"top": body, "choice": body["choices"][0], "message": body["choices"][0]["message"]}[place]
    holder["error"] = {"code": 502, "message": "upstream went away"}
    result = failure(200, json.dumps(body).encode())
    assert result.kind is (FailureKind.SERVER if place == "top" else FailureKind.ABORTED)
    assert "upstream went away" in result.title


def test_a_status_message_in_the_reply_is_an_error():
    body = {"base_resp": {"status_code": 1004, "status_msg": "not enough balance"}, "choices": None}
    assert "not enough balance" in failure(200, json.dumps(body).encode()).title


def test_reasoning_in_parts_is_kept_apart():
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm, "}, {"type": "text", "text": "so"}]},
        {"type": "text", "text": "Hi"},
    ]
    completion = read_reply(200, encoded(content))
    assert (completion.content, completion.reasoning) == ("Hi", "hm, so")


def test_a_redirect_names_the_new_address():
    with pytest.raises(CallFailed, match=r"redirect to https://new\.example/v1"):
        read_reply(308, b"", location="https://new.example/v1")


@pytest.mark.parametrize(
    "body",
    [
        {**reply(), "usage": {"prompt_tokens": 10**400, "completion_tokens": 1e300}},
        {**reply(), "error": {"code": 10**400, "message": {"message": [[[[10**400]]]]}}},
        {**reply(), "error": json.loads("[" * 900 + "1" + "]" * 900)},
        {**reply(), "system_fingerprint": [10**400]},
    ],
)
def test_no_number_and_no_depth_does_more_than_fail_its_call(body: dict[str, Any]):
    result = outcome(200, json.dumps(body).encode())
    assert isinstance(result, Completion | CallFailed)


@pytest.mark.parametrize("logprob", [-(10**401), "-0.5", None, True])
def test_a_log_probability_that_is_no_number_is_skipped(logprob: Any):
    body = reply("1")
    tokens = [{"token": "1", "logprob": -0.1}, {"token": "2", "logprob": logprob}]
    body["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    assert read_reply(200, json.dumps(body).encode()).first_token == (("1", -0.1),)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), st.integers(100, 599))
def test_any_bytes_are_an_answer_or_a_failure(body: bytes, status: int):
    result = outcome(status, body)
    assert isinstance(result, Completion) or result.title.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries({}, optional={"content": json_values, "reasoning": json_values, "refusal": json_values}),
    json_values | st.sampled_from(["stop", "length"]),
    json_values,
    json_values,
)
def test_any_json_in_any_place_is_an_answer_with_text_or_a_failure(
    message: dict[str, Any], finish_reason: Any, usage: Any, error: Any
):
    body = {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage, "error": error}
    result = outcome(200, json.dumps(body).encode())
    if isinstance(result, CallFailed):
        assert result.title
    else:
        assert result.content.strip()
        known = result.finish_reason in ("stop", "length")
        assert known or result.warnings


@given(st.text(min_size=1).filter(lambda text: text.strip() and "<" not in text))
def test_text_without_reasoning_comes_through_untouched(text: str):
    assert read_reply(200, encoded(text)).content == text


def test_probabilities_after_sampling_are_read_as_llama_cpp_sends_them():
    body = reply("1")
    shares = [{"id": 16, "token": "1", "bytes": [49], "prob": 0.75}, {"token": "2", "prob": 0.25}]
    odd = [{"token": "3", "prob": 0.0}, {"token": "4", "prob": 7.0}, {"token": "5", "prob": "1"}, 5]
    body["choices"][0]["logprobs"] = {"content": [{"token": "1", "prob": 0.75, "top_probs": [*shares, *odd]}]}
    found = read_reply(200, json.dumps(body).encode()).first_token
    assert [(token, round(math.exp(logprob), 9)) for token, logprob in found] == [("1", 0.75), ("2", 0.25)]
