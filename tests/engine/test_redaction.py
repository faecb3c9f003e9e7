"""What counts as a secret, and that it is in no text, field or argument, however it is encoded."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.models.endpoint import Endpoint
from engine.redaction import (
    Redactor,
    argument_secrets,
    can_be_secret,
    masked,
    names_secret,
    secret_values,
    without_secrets,
)

KEY = 'sk-live/0123+="&\\456'
PLACEHOLDERS = [
    "anything", "ollama", "unused", "lm-studio", "EMPTY", "none", "dummy", "not-needed", "no-key", "sk-no-key-required",
    "token-abc123", "sk-1234", "your-api-key", "<your key>", "xxxxxxxx", "sk-xxxxxxxx", "123456",
    "00000000", "--------", "vllm", "local", "test", "placeholder", "fake-key", "llama.cpp", "key",
]  # fmt: skip


@pytest.mark.parametrize("word", PLACEHOLDERS)
def test_keys_that_manuals_prescribe_for_servers_without_authentication_are_no_secrets(word: str):
    assert not can_be_secret(word)
    assert Redactor([word])(f"it can do {word}!") == f"it can do {word}!"
    assert not Redactor([word]).finds(f"it can do {word}!")


@pytest.mark.parametrize(
    "key", [KEY, "hunter2x", "s3cr3t", "correct-horse-battery", "7f3a9c", "a1b2c3d4e5f6", "my-secret-key", "пароль42"]
)
def test_everything_else_may_be_one(key: str):
    assert can_be_secret(key)
    assert Redactor([key])(f"no such key: {key}.") == "no such key: [key]."


@pytest.mark.parametrize(
    "encode",
    [
        str,
        lambda key: json.dumps(key)[1:-1],
        lambda key: json.dumps(json.dumps(key)),
        lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
        lambda key: "".join(f"\\\\u{ord(letter):04X}" for letter in key),
        lambda key: quote(key, safe=""),
        lambda key: quote(quote(key, safe=""), safe=""),
        html.escape,
        lambda key: "".join(f"&#{ord(letter)};" for letter in key),
        lambda key: key.replace("/", r"\/"),
    ],
)
def test_a_secret_is_found_in_every_encoding(encode):
    shown = Redactor([KEY])(f"<{encode(KEY)}>")
    assert "[key]" in shown
    assert "0123" not in shown


@given(st.text(st.characters(codec="utf-8"), min_size=6, max_size=40))
def test_a_reply_in_json_never_gives_a_secret_away(key: str):
    if not can_be_secret(key):
        return
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(key.encode("utf-16-le", "surrogatepass")).cast("H"))
    body = f'{{"error": {{"message": "bad key {escaped}", "{escaped}": 1}}}}'.encode()
    assert key not in repr(json.loads(Redactor([key]).body(body)))


def test_a_reply_that_is_no_json_is_cleared_as_text():
    assert Redactor([KEY]).body(b"\xff<p>" + KEY.encode()) == b"\xff<p>[key]"


@pytest.mark.parametrize("url", ["http://me:hunter2@proxy:3128", "https://user@host/", "socks5://a:b@[::1]:1"])
def test_a_login_in_an_address_is_shown_nowhere(url: str):
    shown = Redactor(())(f"cannot connect to {url}!")
    assert "@" in shown
    assert shown.count("[key]") == 1
    assert "hunter2" not in shown
    assert "user" not in shown


def test_only_what_cannot_be_chance_is_reported_in_results():
    assert Redactor(["banana"]).finds("I like a banana") is False
    assert Redactor([KEY]).finds(None, f"sent {KEY}") is True


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY", "Authorization", "X-Api-Key", "password", "x-goog-api-key",
     "Ocp-Apim-Subscription-Key", "session_token", "Cookie", "token", "client_secret"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str):
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "stop_token_ids", "eos_token", "skip_special_tokens", "prompt_cache_key", "hf_tokenizer_path",
     "think_token", "HF_HOME", "max_key", "tokenizer", "keyboard"],
)  # fmt: skip
def test_names_of_other_fields_are_not_taken_for_secrets(name: str):
    assert not names_secret(name)


def test_fields_keep_all_but_their_secrets():
    fields = {
        "extra_headers": {"X-Team": "blue-team-7", "Authorization": f"Bearer {KEY}"},
        "tools": [{"server_url": "https://x", "api_key": KEY, "note": "Bearer abcdef123"}],
        "guided": {"token": "ollama", "max_tokens": 7, "eos_token": "<|im_end|>"},
        "proxy_key": "sk-0123456789abcdef",
    }
    assert without_secrets(fields) == {
        "extra_headers": {"X-Team": "[key]", "Authorization": "[key]"},
        "tools": [{"server_url": "https://x", "api_key": "[key]", "note": "[key]"}],
        "guided": {"token": "ollama", "max_tokens": 7, "eos_token": "<|im_end|>"},
        "proxy_key": "[key]",
    }
    assert f"Bearer {KEY}" in set(secret_values(fields))
    assert fields["proxy_key"] == "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("arguments", "shown", "secrets"),
    [
        (["--hf-token", "abc", "--port", "1"], ["--hf-token", "***", "--port", "1"], ["abc"]),
        (["--hf-token=abc=d"], ["--hf-token=***"], ["abc=d"]),
        (["--hf_token", "-abc"], ["--hf_token", "***"], ["-abc"]),
        (["--api-key", "--port", "1"], ["--api-key", "--port", "1"], []),
        (["--max-num-batched-tokens", "8192"], ["--max-num-batched-tokens", "8192"], []),
        (["docker", "-e", "HF_TOKEN=abc", "-e", "A=b"], ["docker", "-e", "HF_TOKEN=***", "-e", "A=b"], ["abc"]),
        (
            ["--model-loader-extra-config", '{"aws_secret_access_key": "abcdef9", "n": 1}'],
            ["--model-loader-extra-config", '{"aws_secret_access_key": "[key]", "n": 1}'],
            ["abcdef9"],
        ),
        (["--x.aws_secret_access_key", "abc"], ["--x.aws_secret_access_key", "***"], ["abc"]),
        (["--otlp-traces-endpoint=http://u:pw77@h/p"], ["--otlp-traces-endpoint=http://***@h/p"], ["pw77"]),
        (["--hf-overrides", '{"a": 1}'], ["--hf-overrides", '{"a": 1}'], []),
    ],
)  # fmt: skip
def test_secrets_among_the_arguments_are_masked_and_known(arguments: list[str], shown: list[str], secrets: list[str]):
    assert masked(arguments) == shown
    assert list(argument_secrets(arguments)) == secrets


def test_the_header_of_a_login_is_as_secret_as_the_login():
    endpoint = Endpoint("http://me:hunter2x@host/v1")
    header = base64.b64encode(b"me:hunter2x").decode()
    assert endpoint.headers()["Authorization"] == f"Basic {header}"
    assert endpoint.redact(f"got Basic {header}") == "got Basic [key]"


@pytest.mark.parametrize("run", ["\\", "%25", "&#0", "s", "://a", "sk-live"])
def test_long_runs_in_a_hostile_reply_take_no_time(run: str):
    redactor = Redactor([KEY, "\\\\\\\\\\\\abc1"])
    started = time.process_time()
    redactor.body(json.dumps({"error": run * (1 << 17)}).encode())
    assert time.process_time() - started < 5  # quadratic time takes minutes
