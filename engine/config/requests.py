"""The JSON body of a chat call, in the words of the server that it goes to. Pure.

Every sampling field that the server takes is sent, what the config leaves open with the value that changes nothing: a
server's own defaults (vLLM reads them from the model's generation_config.json) would make two runs differ unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from engine.config.providers import SAMPLING_FIELDS, Provider
from engine.config.sampling import Sampling

Messages: TypeAlias = Sequence[Mapping[str, str]]

LEAST_FOR_A_CHOICE = 32  # tokens: a label may be spelled in ten, and some servers wrap it in JSON
THINKING_OFF = {"enable_thinking": False, "thinking": False}  # the names that templates know; others are ignored
CHOICE_FIELD = "verdict"  # of the JSON object that some servers wrap a choice in


class Requests:
    """The bodies of one model's calls. All but the messages is made once."""

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
        drawn: dict[str, Any] = {name: getattr(sampling, name) for name in SAMPLING_FIELDS}
        for name in SAMPLING_FIELDS:
            value = drawn[name] if drawn[name] is not None else neutral.get(name)
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
        """All but the messages, as it is sent."""
        return {name: value for name, value in self._fixed.items() if name != "messages"}

    def body(self, messages: Messages, seed: int | None = None) -> dict[str, Any]:
        """The body of one call; `seed` in place of the sampling's own."""
        body = self._fixed.copy()
        body["messages"] = messages
        if seed is not None:
            body[self._seed_field] = seed
        return body


def choice_fields(provider: Provider, choices: Sequence[str]) -> dict[str, Any]:
    """What binds a reply to one of `choices` (texts, no patterns); `read_choice` reads it. Empty if nothing can."""
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
    """The choice in a reply to `choice_fields`: the text itself, or what stands in its JSON object."""
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            told = json.loads(stripped)
        except (ValueError, RecursionError):
            return stripped
        if isinstance(told, dict) and isinstance(told.get(CHOICE_FIELD), str):
            return str(told[CHOICE_FIELD])
    return stripped


def constrained_requests(
    served_name: str, sampling: Sampling, provider: Provider, choices: Sequence[str], refuses: Sequence[str] = ()
) -> Requests:
    """Calls whose reply is one of `choices`.

    The reply ends with the choice, so that a large `max_tokens` costs nothing; a model that cannot help thinking aloud
    before it needs the room. Thinking is turned off where the server's chat template takes that, unless the config says
    how to.
    """
    sampling = msgspec.structs.replace(
        without_thinking(sampling, provider), max_tokens=max(sampling.max_tokens, LEAST_FOR_A_CHOICE)
    )
    return Requests(served_name, sampling, provider, refuses, choice_fields(provider, choices))


def soft_requests(
    served_name: str, sampling: Sampling, provider: Provider, names: Sequence[str], refuses: Sequence[str] = ()
) -> Requests:
    """Calls whose first token tells the probabilities of `names`, each of them a single token.

    How tokens are drawn does not matter, for the one that is drawn is not used. Temperature 1 and nothing left out
    keeps the probabilities the model's own also where a server tells them after its sampling (vLLM's
    `--logprobs-mode processed_logprobs`). Where a constraint would wrap the name in JSON there is none.
    """
    takes_temperature = sampling.temperature is not None
    drawing = Sampling(
        1.0 if takes_temperature else None,
        1,
        extra_body=sampling.extra_body,
        chat_template_kwargs=sampling.chat_template_kwargs,
    )
    fields = {} if provider.constraint == "json_schema" else choice_fields(provider, names)
    # Without a constraint the names may be among others.
    told = len(names) if provider.masked else provider.top_logprobs
    return Requests(
        served_name,
        without_thinking(drawing, provider),
        provider,
        refuses,
        {**fields, "logprobs": True, "top_logprobs": told},
    )


def without_thinking(sampling: Sampling, provider: Provider) -> Sampling:
    """The same sampling with thinking turned off, where the chat template is told so; the config's own word wins."""
    if not provider.takes_template_arguments:
        return sampling
    return msgspec.structs.replace(sampling, chat_template_kwargs=THINKING_OFF | dict(sampling.chat_template_kwargs))
