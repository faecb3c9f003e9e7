"""Checks across tables: names of entries, hosted providers (address, key), what a provider cannot do.

They read the document rather than the validated config, so that their findings are reported with the validator's. The
key of a hosted provider is read from the variable of the provider's own library unless the config names another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.config.model import Config
from engine.config.problems import LocatedProblem, problem
from engine.config.providers import PROVIDERS, SAMPLING_FIELDS, Provider, provider_at
from engine.config.wording import KeyPath, did_you_mean, listed, quoted, quoted_key, shortened


def unknown_models(document: Mapping[str, Any]) -> list[LocatedProblem]:
    """Return answering models and judges without an entry.

    The baseline and the judged models need none: their answers may be on disk.
    """
    entries = _table(document, "models")
    return [
        problem(
            place,
            f"unknown model {quoted(shortened(name))}",
            did_you_mean(name, list(entries)) or f"add a table [models.{quoted_key(shortened(name))}]",
        )
        for place, name in (*_named(document, "answers", "models"), *_named(document, "judge", "model"))
        if name not in entries
    ]


def models_in_use(document: Mapping[str, Any]) -> set[str]:
    """Return the entries that a run calls: answering models and judges, and the bases of adapters among them."""
    judges = {name for _, name in _named(document, "judge", "model")}
    answering = {name for _, name in _named(document, "answers", "models")}
    if "models" not in _table(document, "answers"):
        answering = set(_table(document, "models"))
    called = judges | answering
    entries = (_table(document, "models").get(name) for name in called)
    return called | {
        base for entry in entries if isinstance(entry, dict) and isinstance(base := entry.get("base"), str)
    }


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _named(document: Mapping[str, Any], table: str, key: str) -> Iterator[tuple[KeyPath, str]]:
    """Yield each model name at `table.key` (a text or a list of them) with its path."""
    value = _table(document, table).get(key)
    if isinstance(value, str):
        yield (table, key), value
    elif isinstance(value, list):
        for number, name in enumerate(value):
            if isinstance(name, str):
                yield (table, key, number), name


_LOCAL = ("localhost", "127.", "::1", "10.", "192.168.")


def with_hosted_endpoints(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which hosted models have the provider's address and key."""
    models = document.get("models")
    if not isinstance(models, dict):
        return dict(document)
    return {**document, "models": {name: _completed(entry) for name, entry in models.items()}}


def unfit_for_provider(config: Config) -> Iterator[LocatedProblem]:
    """Yield settings that the provider of a model does not support, or that the kind of verdict does not use."""
    if config.judge.verdict == "text" and config.judge.thinking == "first":
        yield problem(
            ("judge", "thinking"),
            'applies to the verdicts "constrained" and "soft" only',
            "remove it, or choose another `verdict`",
        )
    if config.judge.verdict != "text" and config.judge.reask == "constrained":
        yield problem(
            ("judge", "reask"),
            f'applies to verdict = "text" only: {quoted(config.judge.verdict)} verdicts always hold a label',
            "remove it",
        )
    for judge in config.judge.model:
        if judge not in config.models or config.provider(judge).can(config.judge.verdict):
            continue
        provider, verdict = config.provider_name(judge), config.judge.verdict
        able = [name for name in ("text", "constrained", "soft") if PROVIDERS[provider].can(name)]
        why = "bind a reply to a choice" if verdict == "constrained" else "return the probabilities of tokens"
        yield problem(
            ("judge", "verdict"),
            f"{quoted(verdict)} is not possible with {judge}: {quoted(provider)} does not {why}",
            f"use {' or '.join(map(quoted, able))}",
        )
        break
    if config.judge.reask == "constrained":
        for judge in config.judge.model:
            if judge in config.models and not config.provider(judge).can("constrained"):
                message = f"{quoted('constrained')} is not possible with {judge}: {quoted(config.provider_name(judge))}"
                yield problem(("judge", "reask"), f"{message} does not bind a reply to a choice", 'use "text"')
                break
    for name, entry in config.models.items():
        taken = config.sampling_taken(name)
        for field in SAMPLING_FIELDS:
            if getattr(entry, field) is not None and field not in taken:
                yield problem(
                    ("models", name, field),
                    f"is not supported by {quoted(config.provider_name(name))}",
                    f"remove it; supported: {listed(sorted(taken))}" if taken else "remove it",
                )
        if entry.api_version is not None and config.provider_name(name) != "azure":
            yield problem(
                ("models", name, "api_version"), "applies to Azure only", 'set provider = "azure", or remove it'
            )


def unclear_categories(config: Config) -> Iterator[LocatedProblem]:
    """Yield entries of [[judge.by_category]] that change nothing, or that contradict each other or [judge]."""
    seen: dict[str, int] = {}
    for number, entry in enumerate(config.judge.by_category):
        place: KeyPath = ("judge", "by_category", number)
        if entry.baseline is None and entry.prompt is None:
            yield problem(place, "has neither `baseline` nor `prompt`", "add one of them, or remove the entry")
        if entry.baseline is not None and len(config.judge.baselines) > 1:
            yield problem(
                (*place, "baseline"),
                "cannot stand beside several baselines in [judge]",
                "name one `baseline` in [judge], that of all other categories",
            )
        for category in entry.category:
            if category in seen:
                yield problem(
                    (*place, "category"),
                    f"{quoted(shortened(category))} is in judge.by_category[{seen[category]}] already",
                    "keep each category in one entry",
                )
            seen.setdefault(category, number)


def _completed(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    named = PROVIDERS.get(entry["provider"]) if isinstance(entry.get("provider"), str) else None
    endpoints = entry.get("endpoints")
    if not endpoints and named is not None and named.base_url and "serve" not in entry:
        return {**entry, "endpoints": [{"base_url": named.base_url, "api_key": f"${{{named.key_variable}}}"}]}
    if not isinstance(endpoints, list):
        return entry
    return {**entry, "endpoints": [_with_key(endpoint, named) for endpoint in endpoints]}


def _with_key(endpoint: Any, named: Provider | None) -> Any:
    if not isinstance(endpoint, dict) or "api_key" in endpoint or not isinstance(endpoint.get("base_url"), str):
        return endpoint
    provider = named or PROVIDERS[provider_at(endpoint["base_url"])]
    if not provider.key_variable or _is_local(endpoint["base_url"]):
        return endpoint
    return {**endpoint, "api_key": f"${{{provider.key_variable}}}"}


def _is_local(url: str) -> bool:
    try:
        return (urlsplit(url).hostname or "").startswith(_LOCAL)
    except ValueError:
        return True
