"""An endpoint's addresses, and what of it may be shown."""

from __future__ import annotations

import pytest

from engine.models.endpoint import Endpoint

KEY = "sk-planted-0123456789"


@pytest.mark.parametrize("base_url", ["http://host:8000/v1", "http://host:8000/v1/", "https://gateway/openai/v1"])
def test_a_plain_address_is_shown_as_it_was_written(base_url: str):
    assert Endpoint(base_url, KEY).address == base_url


def test_what_may_be_secret_in_an_address_is_not_shown():
    endpoint = Endpoint(f"https://me:{KEY}@host/v1?key={KEY}#{KEY}", KEY)
    assert endpoint.address == "https://host/v1"
    assert repr(endpoint) == "Endpoint('https://host/v1')"


@pytest.mark.parametrize(
    ("base_url", "chat", "metrics"),
    [
        ("http://host:8000/v1", "http://host:8000/v1/chat/completions", "http://host:8000/metrics"),
        ("http://host:8000/v1/", "http://host:8000/v1/chat/completions", "http://host:8000/metrics"),
        ("http://host:8000", "http://host:8000/chat/completions", "http://host:8000/metrics"),
        ("https://g/a/v1?v=7", "https://g/a/v1/chat/completions?v=7", "https://g/a/metrics"),
        ("https://me:pw@g/v1", "https://g/v1/chat/completions", "https://g/metrics"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/metrics"),
    ],
)
def test_calls_go_under_the_address_and_metrics_beside_it(base_url: str, chat: str, metrics: str):
    endpoint = Endpoint(base_url)
    assert str(endpoint.url("chat/completions")) == chat
    assert str(endpoint.server_url("metrics")) == metrics


def test_without_a_key_there_is_no_authorization():
    assert "Authorization" not in Endpoint("http://host/v1").headers()
    assert "Authorization" not in Endpoint("http://host/v1", " ").headers()


@pytest.mark.parametrize("secret", [KEY, "pass word/+", "pass%20word%2F%2B", "api-secret"])
def test_a_servers_text_is_cleared_of_every_secret(secret: str):
    endpoint = Endpoint("http://me:pass%20word%2F%2B@host/v1?k=api-secret", f"{KEY}\n")
    assert endpoint.redact(f"no such key: {secret}!") == "no such key: [key]!"


def test_a_dummy_key_takes_no_letters_out_of_other_words():
    assert Endpoint("http://host/v1", "EMPTY").redact("the reply is EMPTY") == "the reply is EMPTY"
