"""What a call is made with, told from the config: sampling, request body, and the settings that shape a result. Pure.

What stands in a model's own entry wins over its category's temperature, which wins over `[answers]`; a judge's entry
wins over `[judge]` in the same way. `extra_body` and `chat_template_kwargs` are merged key by key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from engine.config.model import AnswersConfig, Config, JudgeConfig, ModelConfig


class Sampling(msgspec.Struct, frozen=True):
    """How a reply is drawn. None means that the field is not sent."""

    temperature: float
    max_tokens: int
    top_p: float | None = None
    seed: int | None = None
    system_prompt: str | None = None
    num_choices: int = 1
    extra_body: Mapping[str, Any] = {}
    chat_template_kwargs: Mapping[str, Any] = {}

    def with_seed(self, seed: int) -> Sampling:
        """The same sampling with another seed."""
        return msgspec.structs.replace(self, seed=seed)


def answer_sampling(config: Config, model: str, category: str) -> Sampling:
    """How `model` answers questions of `category`."""
    answers, entry = config.answers, config.models.get(model)
    temperature = answers.category_temperatures.get(category, answers.temperature)
    own_prompt = entry.system_prompt if entry else None
    return msgspec.structs.replace(
        _sampling(answers, entry, temperature),
        system_prompt=(answers.system_prompt if own_prompt is None else own_prompt) or None,
        num_choices=answers.num_choices,
    )


def judge_sampling(config: Config, judge: str) -> Sampling:
    """How `judge` compares. The system prompt is the judge prompt's, never the one the entry answers with."""
    return _sampling(config.judge, config.models.get(judge), config.judge.temperature)


def request_body(served_name: str, messages: Sequence[Mapping[str, str]], sampling: Sampling) -> dict[str, Any]:
    """The JSON body of one chat call."""
    body: dict[str, Any] = {
        "model": served_name,
        "messages": messages,
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.chat_template_kwargs:
        body["chat_template_kwargs"] = sampling.chat_template_kwargs
    body.update(sampling.extra_body)
    return body


def answer_settings(config: Config, model: str, category: str) -> dict[str, Any]:
    """Everything that shapes an answer, as plain JSON: never an address, a key, or how fast it was made."""
    return {"model": config.served_name(model), **_plain(answer_sampling(config, model, category))}


def judge_settings(config: Config, judge: str, prompt_digest: str = "") -> dict[str, Any]:
    """Everything that shapes a judgment, as plain JSON: never an address, a key, or how fast it was made.

    `prompt_digest` tells apart the wordings that a named prompt has had. The number of asks is left out: it decides
    whether there is a label, not which.
    """
    prompt = config.judge.prompt
    said: dict[str, Any] = {"judge": config.served_name(judge)}
    said |= {"prompt": prompt} if isinstance(prompt, str) else {"system": prompt.system, "template": prompt.template}
    if prompt_digest:
        said["prompt_digest"] = prompt_digest
    said |= {"labels": config.judge.labels, "verdict": config.judge.verdict}
    sampling = _plain(judge_sampling(config, judge))
    del sampling["num_choices"]
    return said | sampling


def settings_digest(settings: Mapping[str, Any]) -> str:
    """8 hex digits (BLAKE2b) of the canonical JSON of `settings`: the order of keys does not matter."""
    canonical = msgspec.json.encode(settings, order="sorted")
    return hashlib.blake2b(canonical, digest_size=4).hexdigest()


def _sampling(table: AnswersConfig | JudgeConfig, entry: ModelConfig | None, temperature: float) -> Sampling:
    own: dict[str, Any] = {}
    if entry is not None:
        names = ("temperature", "max_tokens", "top_p", "seed")
        own = {name: value for name in names if (value := getattr(entry, name)) is not None}
    shared = {"temperature": temperature, "max_tokens": table.max_tokens, "top_p": table.top_p, "seed": table.seed}
    return Sampling(
        **(shared | own),
        extra_body=table.extra_body | (entry.extra_body if entry else {}),
        chat_template_kwargs=table.chat_template_kwargs | (entry.chat_template_kwargs if entry else {}),
    )


def _plain(sampling: Sampling) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(sampling).items() if value not in (None, {})}
