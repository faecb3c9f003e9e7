"""The sampling of a call, and the settings that shape a result, both from the config; files are read of adapters only.

A model's own entry wins over the temperature of the category, which wins over `[answers]`; a judge's entry wins over
`[judge]`. `extra_body` and `chat_template_kwargs` are merged key by key. Fields that the provider does not take are not
sent and are no settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.config.adapters import adapter_folder, weights_digest
from engine.config.providers import SAMPLING_FIELDS
from engine.redaction import without_secrets

if TYPE_CHECKING:
    from engine.config.model import AnswersConfig, Config, JudgeConfig, ModelConfig


class Sampling(msgspec.Struct, frozen=True):
    """How a reply is sampled. None: not set by the config, so a neutral value is sent, or nothing (`requests`).

    Neutral values change nothing and are therefore not among the settings of a result.
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
    """Return the sampling of `model` for questions of `category`."""
    answers, entry = config.answers, config.models.get(model)
    temperature = answers.category_temperatures.get(category, answers.temperature)
    own_prompt = entry.system_prompt if entry else None
    return msgspec.structs.replace(
        _sampling(config, model, answers, temperature),
        system_prompt=(answers.system_prompt if own_prompt is None else own_prompt) or None,
        num_choices=answers.num_choices,
    )


def judge_sampling(config: Config, judge: str) -> Sampling:
    """Return the sampling of a judge; its system prompt is that of the judge prompt, never that of its entry."""
    return _sampling(config, judge, config.judge, config.judge.temperature)


def unsent_fields(config: Config, model: str, table: AnswersConfig | JudgeConfig) -> list[str]:
    """Return the fields of `table` that the provider of this model does not take."""
    takes = config.sampling_taken(model)
    return [name for name in SAMPLING_FIELDS if name in table.model_fields_set and name not in takes]


def answer_settings(config: Config, model: str, category: str) -> dict[str, Any]:
    """Return everything that shapes an answer, as plain JSON: no address, no key, no limits of speed.

    How many answers a question gets shapes none of them: it stands as 1.
    """
    shaped = {"model": config.served_name(model), **_plain(answer_sampling(config, model, category)), "num_choices": 1}
    return shaped | _adapter_settings(config, model)


def _adapter_settings(config: Config, model: str) -> dict[str, Any]:
    """Return what distinguishes an adapter from others of the same name: its base, its path and its weights."""
    entry = config.models.get(model)
    if entry is None or entry.adapter is None:
        return {}
    folder = adapter_folder(entry.adapter, config.file.parent if config.file else Path())
    described = {"path": entry.adapter, "weights": weights_digest(folder) if folder else ""}
    if entry.base is not None:
        described["base"] = config.served_name(entry.base)
    return {"adapter": described}


def judge_settings(config: Config, judge: str, prompt_digest: str = "", category: str = "") -> dict[str, Any]:
    """Return everything that shapes a judgment of a category, as plain JSON: no address, no key, no limits of speed.

    `prompt_digest` identifies the wording of a named prompt. The number of retries is left out: it decides whether
    there is a label, not which.
    """
    prompt = config.judge.prompt_for(category)
    settings: dict[str, Any] = {"judge": config.served_name(judge)} | _adapter_settings(config, judge)
    settings |= (
        {"prompt": prompt} if isinstance(prompt, str) else {"system": prompt.system, "template": prompt.template}
    )
    if prompt_digest:
        settings["prompt_digest"] = prompt_digest
    settings |= {"labels": config.judge.labels, "verdict": config.judge.verdict}
    mode = config.judge.mode
    if mode.thinks_first:
        settings["thinking"] = "first"
    if mode.constrains_reasks:
        settings["reask"] = "constrained"
    if config.judge.fence != "none":
        settings["fence"] = config.judge.fence
    sampling = _plain(judge_sampling(config, judge))
    if mode.kind == "soft" and not mode.thinks_first:  # probabilities are read before any sampling
        for name in (*SAMPLING_FIELDS, "max_tokens"):
            sampling.pop(name, None)
    del sampling["num_choices"]
    return settings | sampling


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Return 8 hex digits (BLAKE2b) of the canonical JSON of `settings`, independent of the order of keys."""
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
    """Return the fields that are set, secrets replaced: settings are written to files, and a key shapes no result."""
    fields = {name: value for name, value in msgspec.structs.asdict(sampling).items() if value not in (None, {})}
    if "extra_body" in fields:
        fields["extra_body"] = without_secrets(fields["extra_body"])
    return fields
