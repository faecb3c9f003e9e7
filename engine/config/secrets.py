"""The secrets that a config holds, for those who write texts that may show one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.config.model import Config
from engine.redaction import argument_secrets, can_be_secret, secret_values

_LEAST_PART = 8  # characters of a part of a webhook's address that is secret on its own: others are words


def secrets_of(config: Config) -> Iterator[str]:
    """Yield all secrets of a config: keys of every model, variables of servers, parts of addresses, further fields.

    A server that is started inherits the environment that the keys come from, also those of other models.
    """
    if (webhook := config.notify.webhook) is not None:
        yield webhook.get_secret_value()
        parts = re.split(r"[/?&=]", webhook.get_secret_value())[3:]
        yield from (part for part in parts if len(part) >= _LEAST_PART and any(map(str.isdigit, part)))
    yield from argument_secrets(config.notify.command or ())
    for name, model in config.models.items():
        keys = [endpoint.api_key for endpoint in model.addresses]
        keys += [model.registry.api_key] if model.registry is not None else []
        yield from (key.get_secret_value() for key in keys if key is not None)
        if model.serve is not None:
            yield from (value.get_secret_value() for value in model.serve.env.values())
        yield from config.secrets(name)


def secret_fields(body: dict[str, Any]) -> list[str]:
    """Return the fields of a request that hold secrets, but for its messages."""
    return [
        name
        for name, value in body.items()
        if name != "messages" and any(map(can_be_secret, secret_values({name: value})))
    ]
