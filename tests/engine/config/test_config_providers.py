"""Providers: where a hosted model is called, with which key, and what is refused before any call."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config.load import parse_config
from engine.config.providers import PROVIDERS, provider_at
from engine.errors import ConfigError
from engine.serving.listing import endpoints_of

KEY = "sk-planted-0123456789"


def config_of(judge: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **entry: Any) -> Any:
    tables = {"judge": {"model": "j", "baseline": "b", **(judge or {})}, "models": {"j": entry, "b": {}}}
    return parse_config({"bench": "x", "answers": {"models": []}, **tables}, environ=environ or {})


@pytest.mark.parametrize("name", [name for name, provider in PROVIDERS.items() if provider.base_url])
def test_a_hosted_model_needs_its_provider_and_nothing_else(name):
    provider = PROVIDERS[name]
    config = config_of(environ={provider.key_variable: KEY}, provider=name)
    (endpoint,) = endpoints_of(config, "j")
    assert endpoint.address == provider.base_url
    assert endpoint.headers()["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(config) + repr(endpoint)


def test_a_key_that_is_not_set_is_told_by_the_name_of_its_variable():
    with pytest.raises(ConfigError, match="environment variable ANTHROPIC_API_KEY is not set"):
        config_of(provider="anthropic")


def test_azure_has_a_header_of_its_own_and_where_it_must_be_a_version():
    url = "https://mine.openai.azure.com/openai/deployments/judge"
    config = config_of(environ={"AZURE_OPENAI_API_KEY": KEY}, endpoints=[{"base_url": url}], api_version="2024-10-21")
    (endpoint,) = endpoints_of(config, "j")
    assert config.provider_name("j") == "azure", "known by its address"
    assert str(endpoint.url("chat/completions")) == f"{url}/chat/completions?api-version=2024-10-21"
    assert endpoint.headers()["api-key"] == KEY
    assert "Authorization" not in endpoint.headers()
    assert "2024" not in endpoint.address
    assert KEY not in str(endpoint.url("chat/completions"))


def test_a_key_that_the_config_names_is_taken_and_a_local_server_needs_none():
    own = {"base_url": "https://api.openai.com/v1", "api_key": "${MINE}"}
    assert endpoints_of(config_of(environ={"MINE": KEY}, endpoints=[own]), "j")[0].api_key == KEY
    local = {"base_url": "http://127.0.0.1:9/v1"}
    assert endpoints_of(config_of(endpoints=[local], provider="openai"), "j")[0].api_key is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("http://localhost:8000/v1", "vllm"),
        ("http://[broken/v1", "vllm"),
        ("", "vllm"),
    ],
)
def test_a_provider_is_known_by_its_address(url, name):
    assert provider_at(url) == name


@pytest.mark.parametrize(
    ("provider", "verdict", "able"),
    [
        ("anthropic", "constrained", '"text"'),
        ("anthropic", "soft", '"text"'),
        ("gemini", "soft", '"text" or "constrained"'),
        ("deepseek", "constrained", '"text" or "soft"'),
    ],
)
def test_a_verdict_that_a_provider_cannot_give_is_told_with_what_it_can(provider, verdict, able):
    environ = {PROVIDERS[provider].key_variable: KEY}
    with pytest.raises(ConfigError) as raised:
        config_of({"verdict": verdict}, environ, provider=provider)
    (problem,) = raised.value.problems
    assert problem.key == "judge.verdict"
    assert f'"{verdict}" is not possible with j' in problem.message
    assert problem.hint == f"use {able}"
    assert config_of({}, environ, provider=provider).judge.verdict == "text"


def test_a_constrained_reask_needs_a_provider_that_constrains():
    with pytest.raises(ConfigError, match=r"judge\.reask"):
        config_of({"reask": "constrained"}, {"ANTHROPIC_API_KEY": KEY}, provider="anthropic")


@pytest.mark.parametrize(
    ("judge", "key"),
    [({"thinking": "first"}, "judge.thinking"), ({"verdict": "soft", "reask": "constrained"}, "judge.reask")],
)
def test_a_setting_that_would_do_nothing_is_refused(judge, key):
    with pytest.raises(ConfigError) as raised:
        config_of(judge)
    assert [problem.key for problem in raised.value.problems] == [key]


def test_every_server_of_ones_own_can_do_every_verdict():
    for name in ("vllm", "sglang", "llama.cpp", "openai", "azure"):
        assert all(PROVIDERS[name].can(verdict) for verdict in ("text", "constrained", "soft"))


def test_sampling_that_a_model_sets_for_itself_and_its_server_does_not_take_is_refused():
    with pytest.raises(ConfigError) as raised:
        config_of(environ={"OPENAI_API_KEY": KEY}, provider="openai-reasoning", temperature=0.0, api_version="1")
    told = {problem.key: problem.message for problem in raised.value.problems}
    assert "not supported by" in told["models.j.temperature"]
    assert "Azure" in told["models.j.api_version"]


def test_a_field_that_one_model_refuses_is_no_field_of_it():
    config = config_of(environ={"OPENAI_API_KEY": KEY}, provider="openai", refuses=["temperature", "top_p"])
    assert config.sampling_taken("j") == PROVIDERS["openai"].takes - {"temperature", "top_p"}


def test_an_unknown_provider_is_guessed_at():
    with pytest.raises(ConfigError, match=r'provider: must be .*did you mean "mistral"'):
        config_of(provider="mistrall")
