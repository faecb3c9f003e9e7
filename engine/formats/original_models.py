"""Converts arena-hard-auto's `api_config.yaml` into `[models.*]`: where each model is served, without its keys.

A key in the YAML is replaced by `${NAME}`; entries with the same key get the same name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.config.providers import PROVIDERS, Provider, ProviderName, provider_at

_PROVIDERS: Mapping[str, ProviderName] = {
    "openai": "openai",
    "openai_thinking": "openai-reasoning",
    "azure": "azure",
    "anthropic": "anthropic",
    "anthropic_thinking": "anthropic",
    "mistral": "mistral",
    "gemini": "gemini",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "deepseek_reasoner": "deepseek",
    "xai": "xai",
}
_FIXED_MODELS = {"deepseek": "deepseek-chat", "deepseek_reasoner": "deepseek-reasoner"}
_LOCAL_VARIABLE = "VLLM_API_KEY"
_NO_KEY = {"", "-", "empty", "none"}
_KEPT = ("parallel", "temperature", "max_tokens", "system_prompt")
_READ = {*_KEPT, "model", "model_name", "endpoints", "api_type", "local_engine", "reasoning_effort", "end_think_token"}
_DROPPED = {
    "tokenizer": "`max_tokens` is no longer cut by the length of the prompt",
    "budget_tokens": "set the reasoning budget in `extra_body`, in the server's own field",
    "api_version": "the endpoint must speak OpenAI's API without a version",
    "project_id": "the endpoint must speak OpenAI's API",
    "regions": "the endpoint must speak OpenAI's API",
    "model_id": "the endpoint must speak OpenAI's API",
}


class Notes:
    """Collects what could not be carried over, as one note for all models concerned."""

    def __init__(self) -> None:
        self._about: dict[str, list[str]] = {}

    def add(self, note: str, model: str = "") -> None:
        names = self._about.setdefault(note, [])
        if model and model not in names:
            names.append(model)

    def lines(self) -> list[str]:
        notes = [note + (f" ({', '.join(names)})" if names else "") for note, names in self._about.items()]
        return ["".join(character for character in note if character.isprintable()) for note in notes]


class KeyNames:
    """Names of environment variables for the keys that were found. The keys themselves are dropped.

    A name follows from the host that gets the key. A variable that the YAML names is not taken over: a file from
    elsewhere could name any secret of the environment and any host.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._models: dict[str, list[str]] = {}
        self._renamed: dict[str, str] = {}

    def reference(self, key: str, wanted: str, model: str) -> str:
        """Return `${NAME}` for a key, a placeholder of one, or a variable that the YAML names."""
        named = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", key)
        is_placeholder = named is not None or re.fullmatch(r"<.*>", key) is not None
        name = wanted if is_placeholder else self._name_for(key, wanted)
        if named is not None and named[1] != wanted:
            self._renamed[wanted] = named[1]
        models = self._models.setdefault(name, [])
        if model not in models:
            models.append(model)
        return f"${{{name}}}"

    def _name_for(self, key: str, wanted: str) -> str:
        if key not in self._names:
            number, taken = 1, self._models.keys() | set(self._names.values())
            while (name := wanted if number == 1 else f"{wanted}_{number}") in taken:
                number += 1
            self._names[key] = name
        return self._names[key]

    def variables(self) -> list[str]:
        return list(self._models)

    def lines(self) -> list[str]:
        """Return one note per variable: which models need it."""
        notes = [
            f"set the environment variable {name} to the key of {', '.join(of)}" for name, of in self._models.items()
        ]
        renamed = [
            f"the file names the variable {old} for this key: set {new} to it only if you trust that server with it"
            for new, old in self._renamed.items()
        ]
        return notes + renamed


def models_table(original: Mapping[Any, Any], notes: Notes, keys: KeyNames) -> dict[str, dict[str, Any]]:
    """Return the `[models.*]` tables of an `api_config.yaml`; they may hold values that a config refuses."""
    tables = {}
    for entry, settings in original.items():
        name = text_of(entry)
        if isinstance(settings, Mapping):
            tables[name] = _model(name, settings, notes, keys)
        else:
            notes.add("not a table; left out", name)
    return tables


def _model(name: str, settings: Mapping[Any, Any], notes: Notes, keys: KeyNames) -> dict[str, Any]:
    api_type = text_of(settings.get("api_type")) or "openai"
    served = text_of(settings.get("model_name", settings.get("model"))) or _FIXED_MODELS.get(api_type, name)
    table: dict[str, Any] = {} if served == name else {"model": _literal(served)}
    endpoints = _endpoints(name, settings, api_type, notes, keys)
    if endpoints:
        table |= _named_provider(api_type, endpoints)
        table["endpoints"] = endpoints
    table |= {key: value for key in _KEPT if is_single(value := settings.get(key)) and value != ""}
    if api_type == "openai_thinking":
        table["extra_body"] = {"reasoning_effort": text_of(settings.get("reasoning_effort")) or "medium"}
    if settings.get("local_engine"):
        table["serve"] = {"args": []}
        notes.add(f"started by vLLM (`serve`), no longer by {api_type}", name)
    for key in settings:
        if key in _DROPPED or key not in _READ:
            notes.add(f"`{key}` was not carried over: {_DROPPED.get(key, 'not known here')}", name)
    return table


def _endpoints(
    name: str, settings: Mapping[Any, Any], api_type: str, notes: Notes, keys: KeyNames
) -> list[dict[str, Any]]:
    kind = _PROVIDERS.get(api_type)
    provider = PROVIDERS[kind] if kind else None
    given = settings.get("endpoints")
    if given is None and not (provider and provider.base_url):
        if not settings.get("local_engine"):
            notes.add(f"has no endpoint: api_type `{api_type}` has no address here; add `endpoints`", name)
        return []
    if kind is not None and not kind.startswith("openai"):
        notes.add(f"called through the OpenAI-compatible API of `{api_type}`", name)
    endpoints: dict[str, dict[str, Any]] = {}
    for endpoint in given if isinstance(given, list) else [given or {}]:
        if not isinstance(endpoint, Mapping):
            notes.add("an endpoint that is not a table was left out", name)
            continue
        address = _address(endpoint, api_type, provider)
        url = _without_secrets(address)
        if url != address:
            notes.add("a password or query in an address was left out", name)
        if url in endpoints:
            notes.add("an address listed twice was kept once: raise `parallel` instead", name)
            continue
        # Without endpoints in the YAML, the provider's own library reads the variable.
        key = text_of(endpoint.get("api_key")).strip() if given else "<key>"
        table = {"base_url": url}
        if key.casefold() not in _NO_KEY:
            table["api_key"] = keys.reference(key, _variable(url, provider), name)
        endpoints[url] = table
    return list(endpoints.values())


def _named_provider(api_type: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `provider` where the address does not imply it: every OpenAI-compatible server has api_type `openai`."""
    kind, known = _PROVIDERS.get(api_type), provider_at(endpoints[0]["base_url"])
    if kind is None or kind in ("openai", known) or (kind == "openai-reasoning" and known != "openai"):
        return {}
    return {"provider": kind}


def _address(endpoint: Mapping[Any, Any], api_type: str, provider: Provider | None) -> str:
    address = _literal(text_of(endpoint.get("api_base", endpoint.get("base_url"))))
    address = address or (provider.base_url if provider else "")
    if api_type == "azure" and address and "/openai" not in address:
        address = address.rstrip("/") + "/openai/v1"
    return address


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _variable(url: str, provider: Provider | None) -> str:
    """Return the variable for the key of an address: the provider's own, or one named after the host."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if provider and urlsplit(provider.base_url).hostname == host:
        return provider.key_variable
    if _is_local(host):
        return _LOCAL_VARIABLE
    words = re.sub(r"[^A-Z0-9]+", "_", host.upper()).strip("_")
    name = f"{words or 'HOST'}_API_KEY"
    is_taken = name in {_LOCAL_VARIABLE, *(known.key_variable for known in PROVIDERS.values())}
    return f"HOST_{name}" if is_taken or not name[0].isalpha() else name


def _is_local(host: str) -> bool:
    """Return whether a host is this machine or in its network."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host in ("", "localhost")


def is_single(value: object) -> bool:
    """Return whether a value is one text, number or boolean. Lists and tables of YAML may hold themselves."""
    return isinstance(value, str | int | float)


def text_of(value: object) -> str:
    """Return a single value as text, "" for anything else."""
    return str(value) if is_single(value) else ""


def _literal(text: str) -> str:
    """Escape `${`, which means nothing in the YAML."""
    return text.replace("${", "$${")
