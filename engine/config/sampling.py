"""What a call is made with, told from the config: its sampling, and the settings that shape a result. Pure.

What stands in a model's own entry wins over its category's temperature, which wins over `[answers]`; a judge's entry
wins over `[judge]` in the same way. `extra_body` and `chat_template_kwargs` are merged key by key. What the provider of
a model does not take is not sent, and does not count as a setting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from engine.config.providers import SAMPLING_FIELDS

if TYPE_CHECKING:
    from engine.config.model import AnswersConfig, Config, JudgeConfig, ModelConfig


class Sampling(msgspec.Struct, frozen=True):
    """How a reply is drawn. None means that the config does not say: a neutral value is sent, or nothing.

    See `engine.config.requests` for which. Neutral values are not listed among the settings of a result, for they
    change nothing: settings list what is not as a model would have it by itself.
    """

    temperature: float | None
    max_tokens: int
    top_p: float | None = None
    seed: int | None = None
    system_prompt: str | None = None
    num_choices: int = 1
    extra_body: Mapping[str, Any] = {}
    chat_template_kwargs: Mapping[str, Any] = {}
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


def answer_sampling(config: Config, model: str, category: str) -> Sampling:
    """How `model` answers questions of `category`."""
    answers, entry = config.answers, config.models.get(model)
    temperature = answers.category_temperatures.get(category, answers.temperature)
    own_prompt = entry.system_prompt if entry else None
    return msgspec.structs.replace(
        _sampling(config, model, answers, temperature),
        system_prompt=(answers.system_prompt if own_prompt is None else own_prompt) or None,
        num_choices=answers.num_choices,
    )


def judge_sampling(config: Config, judge: str) -> Sampling:
    """How `judge` compares. The system prompt is the judge prompt's, never the one the entry answers with."""
    return _sampling(config, judge, config.judge, config.judge.temperature)


def unsent_fields(config: Config, model: str, table: AnswersConfig | JudgeConfig) -> list[str]:
    """What `table` says for all models and the provider of this one does not take."""
    takes = config.sampling_taken(model)
    return [name for name in SAMPLING_FIELDS if name in table.model_fields_set and name not in takes]


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
    mode = config.judge.mode
    if mode.thinks_first:
        said["thinking"] = "first"
    if mode.constrains_reasks:
        said["reask"] = "constrained"
    sampling = _plain(judge_sampling(config, judge))
    if mode.kind == "soft" and not mode.thinks_first:  # probabilities are read before any sampling
        for name in (*SAMPLING_FIELDS, "max_tokens"):
            sampling.pop(name, None)
    del sampling["num_choices"]
    return said | sampling


def settings_digest(settings: Mapping[str, Any]) -> str:
    """8 hex digits (BLAKE2b) of the canonical JSON of `settings`: the order of keys does not matter."""
    canonical = msgspec.json.encode(settings, order="sorted")
    return hashlib.blake2b(canonical, digest_size=4).hexdigest()


def _sampling(config: Config, model: str, table: AnswersConfig | JudgeConfig, temperature: float) -> Sampling:
    entry: ModelConfig | None = config.models.get(model)
    takes = config.sampling_taken(model)
    shared = {name: getattr(table, name) for name in SAMPLING_FIELDS} | {"temperature": temperature}
    own = {name: value for name in SAMPLING_FIELDS if entry and (value := getattr(entry, name)) is not None}
    drawn = {name: value for name, value in (shared | own).items() if name in takes}
    limit = entry.max_tokens if entry else None
    return Sampling(
        temperature=drawn.pop("temperature", None),
        max_tokens=table.max_tokens if limit is None else limit,
        **drawn,
        extra_body=table.extra_body | (entry.extra_body if entry else {}),
        chat_template_kwargs=table.chat_template_kwargs | (entry.chat_template_kwargs if entry else {}),
    )


def _plain(sampling: Sampling) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(sampling).items() if value not in (None, {})}
