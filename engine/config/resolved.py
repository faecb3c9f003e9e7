"""A config as it counts: each value with its origin, and no secret. For people, and for the record of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.config.wording import KeyPath, key_of
from engine.redaction import KEY_SHOWN_AS, Redactor, masked, without_secrets

DEFAULT = "default"


class ResolvedValue(NamedTuple):
    """A value of a config as plain JSON, without secrets. `origin`: the file, a variable, ..., or "default"."""

    key: str
    value: Any
    origin: str


def shown_config(config: Config, *, defaults: bool = False) -> dict[str, Any]:
    """Return the config as plain JSON without keys, other secrets, and the values of servers' variables.

    Without `defaults` only what was written or set.
    """
    shown: dict[str, Any] = config.model_dump(mode="json", exclude_unset=not defaults, exclude_none=defaults)
    if command := shown.get("vllm", {}).get("command"):
        shown["vllm"]["command"] = masked(command)
    if notify := shown.get("notify"):
        notify |= {"command": masked(notify["command"])} if notify.get("command") else {}
        notify |= {"webhook": KEY_SHOWN_AS} if notify.get("webhook") else {}
    for entry in shown.get("models", {}).values():
        endpoints = entry.get("endpoints", ())
        for endpoint in [endpoints] if isinstance(endpoints, dict) else endpoints:
            endpoint.pop("api_key", None)
            if "base_url" in endpoint:
                endpoint["base_url"] = config.shown_url(endpoint["base_url"])
        if serve := entry.get("serve"):
            serve["env"] = sorted(serve.get("env", {}))
            serve["args"] = masked(serve.get("args", ()))
        if "extra_body" in entry:
            entry["extra_body"] = without_secrets(entry["extra_body"])
    return {name: table if name == "models" else without_secrets(table) for name, table in shown.items()}


def resolved_values(config: Config, file: str) -> Iterator[ResolvedValue]:
    """Yield every value that counts, table by table; `file` is the origin of what the config itself holds."""
    hide = Redactor(secrets_of(config))
    shown = shown_config(config, defaults=True)
    for name, entry in config.models.items():
        for address, given in zip(_addresses(shown["models"][name]), _endpoints(entry.endpoints), strict=True):
            if given.api_key is not None:
                address["api_key"] = KEY_SHOWN_AS

    def walk(table: Mapping[str, Any], model: BaseModel | None, path: KeyPath) -> Iterator[ResolvedValue]:
        for key, value in table.items():
            place = (*path, key)
            inner = _field(model, key)
            if isinstance(value, dict) and value and (isinstance(inner, BaseModel) or place == ("models",)):
                yield from walk(value, inner if isinstance(inner, BaseModel) else None, place)
            elif path == ("models",):
                yield from walk(value, config.models[key], place)
            else:
                yield ResolvedValue(key_of(place), _hidden(value, hide), _origin(place, model, key, config, file))

    yield from walk(shown, config, ())


def _origin(place: KeyPath, model: BaseModel | None, key: str, config: Config, file: str) -> str:
    spelt = key_of(place)
    given = {origin for name, origin in config.origins.items() if _is_within(spelt, name)}
    if given:
        return sorted(given)[0]
    inside = sorted({origin for name, origin in config.origins.items() if _is_within(name, spelt)})
    written = model is None or _field_name(model, key) in model.model_fields_set
    return ", ".join([*([file] if written else []), *inside]) or DEFAULT


def _is_within(key: str, table: str) -> bool:
    return key == table or key.startswith((f"{table}.", f"{table}["))


def _field_name(model: BaseModel, key: str) -> str:
    return next((name for name, field in type(model).model_fields.items() if field.alias == key), key)


def _field(model: BaseModel | None, key: str) -> Any:
    return getattr(model, _field_name(model, key), None) if model is not None else None


def _endpoints(endpoints: Any) -> list[Any]:
    return endpoints if isinstance(endpoints, list) else [endpoints]


def _addresses(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    endpoints = entry.get("endpoints", [])
    return endpoints if isinstance(endpoints, list) else [endpoints]


def _hidden(value: Any, hide: Redactor) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, hide) for item in value]
    return hide(value) if isinstance(value, str) else value
