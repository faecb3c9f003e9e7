"""The JSON body of a chat call, in the wire form of the provider. Pure.

Every sampling field that the provider takes is sent; fields that the config leaves out are sent with a neutral value.
Otherwise a server's own defaults (vLLM reads them from generation_config.json) would make two runs differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from engine.config.providers import SAMPLING_FIELDS, Provider
from engine.config.sampling import Sampling
from engine.records import Text

Messages: TypeAlias = Sequence[Mapping[str, Text]]

MIN_CHOICE_TOKENS = 32  # a label may take ten tokens, and some servers wrap it in JSON
THINKING_OFF = {"enable_thinking": False, "thinking": False}  # names used by chat templates; unknown ones are ignored
CHOICE_FIELD = "verdict"  # of the JSON object that some servers wrap a choice in


class Requests:
    """Makes the bodies of one model's calls; everything but the messages is made once."""

    def __init__(
        self,
        served_name: str,
        sampling: Sampling,
        provider: Provider,
        refuses: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._fixed: dict[str, Any] = {"model": served_name, "messages": ()}
        neutral = {name: value for name, value in provider.neutral.items() if name not in refuses}
        given: dict[str, Any] = {name: getattr(sampling, name) for name in SAMPLING_FIELDS}
        for name in SAMPLING_FIELDS:
            value = given[name] if given[name] is not None else neutral.get(name)
            if value is not None:
                self._fixed[provider.renamed.get(name, name)] = value
        self._fixed[provider.max_tokens] = sampling.max_tokens
        self._seed_field = provider.renamed.get("seed", "seed")
        if sampling.chat_template_kwargs:
            self._fixed["chat_template_kwargs"] = sampling.chat_template_kwargs
        self._fixed |= sampling.extra_body
        self._fixed |= extra or {}

    @property
    def fixed(self) -> Mapping[str, Any]:
        """The body without the messages."""
        return {name: value for name, value in self._fixed.items() if name != "messages"}

    def body(self, messages: Messages, seed: int | None = None) -> dict[str, Any]:
        """Return the body of one call; `seed` replaces that of the sampling."""
        body = self._fixed.copy()
        body["messages"] = messages
        if seed is not None:
            body[self._seed_field] = seed
        return body


def choice_fields(provider: Provider, choices: Sequence[str]) -> dict[str, Any]:
    """Return the fields that bind a reply to one of `choices` (literal texts); empty if the provider has none."""
    match provider.constraint:
        case "choice":
            return {"structured_outputs": {"choice": list(choices)}}
        case "regex":
            return {"regex": "(" + "|".join(map(re.escape, choices)) + ")"}
        case "grammar":
            return {"grammar": "root ::= " + " | ".join(json.dumps(choice) for choice in choices)}
        case "json_schema":
            schema = {
                "type": "object",
                "properties": {CHOICE_FIELD: {"type": "string", "enum": list(choices)}},
                "required": [CHOICE_FIELD],
                "additionalProperties": False,
            }
            named = {"name": CHOICE_FIELD, "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case _:
            return {}


def read_choice(text: str) -> str:
    """Return the choice in a reply to `choice_fields`: the text itself, or the value in its JSON object."""
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            return stripped
        if isinstance(value, dict) and isinstance(value.get(CHOICE_FIELD), str):
            return str(value[CHOICE_FIELD])
    return stripped


def constrained_requests(
    served_name: str, sampling: Sampling, provider: Provider, choices: Sequence[str], refuses: Sequence[str] = ()
) -> Requests:
    """Return requests whose reply is one of `choices`.

    The reply ends with the choice, so a large `max_tokens` costs nothing, and a model that reasons regardless needs it.
    Reasoning is turned off through the chat template where the provider allows it, unless the config sets it.
    """
    sampling = msgspec.structs.replace(
        without_reasoning(sampling, provider), max_tokens=max(sampling.max_tokens, MIN_CHOICE_TOKENS)
    )
    return Requests(served_name, sampling, provider, refuses, choice_fields(provider, choices))


def soft_requests(
    served_name: str, sampling: Sampling, provider: Provider, names: Sequence[str], refuses: Sequence[str] = ()
) -> Requests:
    """Return requests whose first token carries the probabilities of `names`, each a single token.

    The sampled token itself is not used. Temperature 1 without truncation keeps the model's own probabilities also if
    the server returns them after sampling (vLLM's `--logprobs-mode processed_logprobs`). A constraint that would wrap
    the name in JSON is not used.
    """
    takes_temperature = sampling.temperature is not None
    unchanged = Sampling(
        1.0 if takes_temperature else None,
        1,
        extra_body=sampling.extra_body,
        chat_template_kwargs=sampling.chat_template_kwargs,
    )
    fields = {} if provider.constraint == "json_schema" else choice_fields(provider, names)
    # Without a constraint other tokens compete with the names.
    alternatives = len(names) if provider.masked else provider.top_logprobs
    return Requests(
        served_name,
        without_reasoning(unchanged, provider),
        provider,
        refuses,
        {**fields, **provider.soft_fields, "logprobs": True, "top_logprobs": alternatives},
    )


def without_reasoning(sampling: Sampling, provider: Provider) -> Sampling:
    """Return the sampling with reasoning turned off through the chat template; settings of the config win."""
    if not provider.takes_template_arguments:
        return sampling
    return msgspec.structs.replace(sampling, chat_template_kwargs=THINKING_OFF | dict(sampling.chat_template_kwargs))
