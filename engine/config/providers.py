"""Providers: address, names of fields, and what of OpenAI's chat API each takes. Pure data.

Servers that speak "OpenAI's API" differ in small things that end a call: a field they do not know is refused by some
and ignored by others, and few can bind a reply to a choice of texts. From the documentation of each as of late 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

SamplingField: TypeAlias = Literal[
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed"
]
SAMPLING_FIELDS: tuple[SamplingField, ...] = get_args(SamplingField)

ProviderName: TypeAlias = Literal[
    "vllm", "sglang", "llama.cpp", "openai", "openai-reasoning", "azure", "anthropic", "gemini", "mistral", "cohere",
    "bedrock", "deepseek", "xai", "openrouter", "generic",
]  # fmt: skip

_NEUTRAL: Mapping[SamplingField, float] = {
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
_OPENAI_NEUTRAL: Mapping[SamplingField, float] = {"top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_ALL = frozenset(SAMPLING_FIELDS)
_OPENAI: frozenset[SamplingField] = frozenset(
    ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed"),
)


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server.

    `takes` are the sampling fields that may be sent; `neutral` are always sent, with a value that changes nothing, so
    that no default of the server or of generation_config.json applies. `constraint` is
    how a reply is bound to a choice of texts ("" if it cannot be), `top_logprobs` the most alternatives returned per
    token (0: none), `masked` whether they exclude tokens that the constraint rules out.
    """

    base_url: str = ""  # "" if each user has their own
    key_variable: str = ""
    key_header: Literal["Authorization", "api-key"] = "Authorization"
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes: frozenset[SamplingField] = _OPENAI
    neutral: Mapping[SamplingField, float] = {}
    renamed: Mapping[str, str] = {}  # field -> what it is called there
    takes_template_arguments: bool = False
    constraint: Literal["", "choice", "regex", "grammar", "json_schema"] = ""
    top_logprobs: int = 0
    masked: bool = False
    soft_fields: Mapping[str, bool] = {}  # sent where probabilities are asked for
    counts_tokens: bool = False  # its usage counts exactly what max_tokens bounds, and it may cut a reply before that
    reports_queue: bool = False  # in vLLM's `/metrics`

    def can(self, verdict: str) -> bool:
        """Return whether verdicts of this kind ("text", "constrained", "soft") are possible."""
        if verdict == "constrained":
            return self.constraint != ""
        return verdict == "text" or self.top_logprobs >= 5


_OWN_SERVER = Provider(takes=_ALL, neutral=_NEUTRAL, takes_template_arguments=True, counts_tokens=True, top_logprobs=20)

PROVIDERS: Mapping[ProviderName, Provider] = {
    "vllm": replace(_OWN_SERVER, constraint="choice", masked=True, reports_queue=True),
    "sglang": replace(_OWN_SERVER, constraint="regex", masked=True),
    "llama.cpp": replace(
        _OWN_SERVER,
        constraint="grammar",
        renamed={"repetition_penalty": "repeat_penalty"},
        soft_fields={"post_sampling_probs": True},  # else its probabilities are those before the grammar
    ),
    "openai": Provider(
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        max_tokens="max_completion_tokens",
        neutral=_OPENAI_NEUTRAL,
        constraint="json_schema",
        top_logprobs=20,
    ),
    "openai-reasoning": Provider(
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        max_tokens="max_completion_tokens",
        takes=frozenset(("seed",)),
        constraint="json_schema",
    ),
    "azure": Provider(
        key_variable="AZURE_OPENAI_API_KEY",
        key_header="api-key",
        max_tokens="max_completion_tokens",
        neutral=_OPENAI_NEUTRAL,
        constraint="json_schema",
        top_logprobs=20,
    ),
    "anthropic": Provider(  # newer models refuse top_p beside temperature
        base_url="https://api.anthropic.com/v1",
        key_variable="ANTHROPIC_API_KEY",
        takes=frozenset(("temperature", "top_p")),
    ),
    "gemini": Provider(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variable="GEMINI_API_KEY",
        takes=frozenset(("temperature", "top_p")),
        neutral={"top_p": 1.0},
        constraint="json_schema",
    ),
    "mistral": Provider(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        neutral=_OPENAI_NEUTRAL,
        renamed={"seed": "random_seed"},
        constraint="json_schema",
    ),
    "cohere": Provider(
        base_url="https://api.cohere.ai/compatibility/v1",
        key_variable="COHERE_API_KEY",
        neutral={"top_p": 0.99, "presence_penalty": 0.0, "frequency_penalty": 0.0},  # takes no 1.0; its default is 0.75
        constraint="json_schema",
    ),
    "bedrock": Provider(
        key_variable="AWS_BEARER_TOKEN_BEDROCK",
        takes=frozenset(("temperature", "top_p")),
        neutral={"top_p": 1.0},
    ),
    "deepseek": Provider(
        base_url="https://api.deepseek.com/v1",
        key_variable="DEEPSEEK_API_KEY",
        takes=_OPENAI - {"seed"},
        neutral=_OPENAI_NEUTRAL,
        top_logprobs=20,
    ),
    "xai": Provider(
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
        takes=frozenset(("temperature", "top_p", "seed")),
        neutral={"top_p": 1.0},
        constraint="json_schema",
    ),
    "openrouter": Provider(
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        takes=_ALL,
        neutral={name: value for name, value in _NEUTRAL.items() if name != "top_k"},
        constraint="json_schema",
        top_logprobs=20,
    ),
    "generic": Provider(constraint="json_schema", top_logprobs=5),
}
"""By name. "generic" is a server of which nothing is known: it is sent what OpenAI defines and a config asks for."""

_DEFAULT: ProviderName = "vllm"
_HOSTS: dict[str, ProviderName] = {
    host: name
    for name, provider in PROVIDERS.items()
    if (host := urlsplit(provider.base_url).hostname) and name != "openai-reasoning"
}
_DOMAINS: dict[str, ProviderName] = {".openai.azure.com": "azure", ".services.ai.azure.com": "azure"}


def provider_at(url: str) -> ProviderName:
    """Who serves at an address, where the config does not say: known by the host, else vLLM."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return _DEFAULT
    if host in _HOSTS:
        return _HOSTS[host]
    return next((name for domain, name in _DOMAINS.items() if host.endswith(domain)), _DEFAULT)
