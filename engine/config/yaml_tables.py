"""From arena-hard-auto's `gen_answer_config.yaml` and judge settings to `[answers]` and `[judge]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.config.yaml_models import Notes, is_single, text_of

# The patterns that the published configs hold, and the parser that has all the rules of the program they belong to.
_LABEL_PATTERNS = {
    r"\[\[([AB<>=]+)\]\]": "v0.1",
    r"\[(\[?[AB<>=ab]+\]?)\]": "arena-hard-local",
}
_ASKS = {"v0.1": 2}
_BASELINES = {"arena-hard-v0.1": "gpt-4-0314", "arena-hard-v2.0": "o3-mini-2025-01-31"}
_ANSWERS_READ = {"name", "bench_name", "model_list", "temperature", "max_tokens", "num_choices"}
_JUDGE_READ = {
    "name", "bench_name", "judge_model", "baseline", "baseline_model", "pairwise", "reference", "ref_model",
    "temperature", "max_tokens", "regex_pattern", "regex_patterns", "system_prompt", "prompt_template", "model_list",
    "number_of_judgment_attempts",
}  # fmt: skip


def answers_table(original: Mapping[Any, Any], notes: Notes) -> dict[str, Any]:
    """The `[answers]` table; without such a file nobody answers, and what is on disk is judged."""
    kept = ("temperature", "max_tokens", "num_choices")
    table = {key: value for key in kept if is_single(value := original.get(key))}
    _note_unknown(original, _ANSWERS_READ, "answers", notes)
    if not original:
        notes.add("no gen_answer_config.yaml: [answers] models is empty, so nobody answers; list who should")
    return {"models": _names(original.get("model_list")), **table}


def judge_table(original: Mapping[Any, Any], notes: Notes) -> dict[str, Any]:
    """The `[judge]` table."""
    baseline = text_of(original.get("baseline_model")) or _usual_baseline(original, notes)
    table: dict[str, Any] = {"model": text_of(original["judge_model"])}
    if baseline:
        table["baseline"] = baseline
    judged = [name for name in _names(original.get("model_list")) if name != baseline]
    if len(judged) < len(_names(original.get("model_list"))):
        notes.add("the baseline was in the judge's model_list and was left out: it is not compared with itself")
    if judged:
        table["models"] = judged
    labels = _labels(original, notes)
    table["labels"] = labels
    table |= {key: value for key in ("temperature", "max_tokens") if is_single(value := original.get(key))}
    asks = original.get("number_of_judgment_attempts", _ASKS.get(labels))
    if is_single(asks):
        table["retries"] = asks
    table["prompt"] = _prompt(original, notes)

    if original.get("pairwise") is False:
        notes.add("`pairwise: False` was not carried over: every question is played twice, with the places swapped")
    if original.get("baseline") is False:
        notes.add("`baseline: False` was not carried over: answers are compared, never graded alone")
    if original.get("reference"):
        notes.add("`reference` and `ref_model` were not carried over: the judge sees no reference answer")
    _note_unknown(original, _JUDGE_READ, "judge", notes)
    return table


def _usual_baseline(original: Mapping[Any, Any], notes: Notes) -> str | None:
    baseline = _BASELINES.get(text_of(original.get("bench_name")))
    if baseline:
        notes.add(f"no baseline_model: {baseline} is what the original compares with on this bench")
    return baseline


def _labels(original: Mapping[Any, Any], notes: Notes) -> str:
    several = original.get("regex_patterns")
    if isinstance(several, list) and several:
        if _LABEL_PATTERNS.get(text_of(several[0])) != "v0.1":
            notes.add("`regex_patterns` became the rules of v2; check that they are what you want")
        return "v2"
    pattern = original.get("regex_pattern")
    if not isinstance(pattern, str):
        return "lenient"
    if _LABEL_PATTERNS.get(pattern) == "v0.1" and _is_generation_2(original):
        return "v2"
    return _LABEL_PATTERNS.get(pattern, pattern)


def _prompt(original: Mapping[Any, Any], notes: Notes) -> str | dict[str, str]:
    system, template = original.get("system_prompt"), original.get("prompt_template")
    if isinstance(template, list):
        if len(template) > 1:
            notes.add("the texts of `prompt_template` became one message")
        template = "\n\n".join(map(text_of, template))
    if not isinstance(system, str):
        notes.add('no system_prompt (generation 2 keeps it in its code): prompt = "full" is the closest to it')
        return "full"
    if not isinstance(template, str):
        notes.add('no prompt_template: prompt = "full" was put in its place')
        return "full"
    return {"system": system, "template": template}


def _is_generation_2(original: Mapping[Any, Any]) -> bool:
    return "{QUESTION}" in text_of(original.get("prompt_template"))


def _names(value: object) -> list[str]:
    return list(dict.fromkeys(text_of(name) for name in value)) if isinstance(value, list) else []


def _note_unknown(original: Mapping[Any, Any], known: set[str], where: str, notes: Notes) -> None:
    for key in original:
        if key not in known:
            notes.add(f"`{key}` ({where}) was not carried over: not known here")
