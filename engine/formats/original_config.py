"""Converts arena-hard-auto's three YAML files (models, answers, judge) into one `config.toml`.

The kind of a file follows from its keys, because generation 2 names its judge settings after the bench
(`arena-hard-v2.0.yaml`). Of several files of one kind, the one with the usual name is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import tomli_w

from engine.config.load import examine
from engine.config.problems import LocatedProblem
from engine.errors import ConfigError, ConfigProblem
from engine.formats.bounded_yaml import read_yaml
from engine.formats.original_categories import categories_of, category_tables, general_rule
from engine.formats.original_models import KeyNames, Notes, is_single, models_table, text_of
from engine.opening import leads_out

Kind: TypeAlias = Literal["models", "answers", "judge"]

_USUAL_NAMES: dict[Kind, str] = {"models": "api_config", "answers": "gen_answer_config", "judge": "judge_config"}
_SUFFIXES = {".yaml", ".yml"}


@dataclass
class OriginalFiles:
    """The documents found, at most one of each kind, and their files."""

    documents: dict[Kind, dict[Any, Any]] = field(default_factory=dict)
    files: dict[Kind, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> dict[Any, Any]:
        """Return the document of that kind, empty if there is none."""
        return self.documents.get(kind, {})


def find_original_files(source: Path) -> OriginalFiles:
    """Return the YAML files of a folder (or of its `config/`), or one file with those of the other kinds beside it.

    Raises ConfigError if there are none, or if one is not YAML (with the line).
    """
    folder = source if source.is_dir() else source.parent
    if source.is_dir() and not _yaml_files(folder) and (folder / "config").is_dir():
        folder /= "config"
    found = OriginalFiles()
    if not source.is_dir():
        kind, document = _read(source)
        if kind is None:
            raise ConfigError(str(source), [ConfigProblem("YAML", "not a config file of arena-hard-auto")])
        found.documents[kind], found.files[kind] = document, source

    candidates: dict[Kind, dict[Path, dict[Any, Any]]] = {}
    for path in _yaml_files(folder):
        if path not in found.files.values():
            kind, document = _read(path)
            if kind is None:
                found.notes.append(f"{path.name}: not one of arena-hard-auto's config files; not read")
            elif kind not in found.files:
                candidates.setdefault(kind, {})[path] = document
    for kind, choices in candidates.items():
        chosen = next((path for path in choices if path.stem == _USUAL_NAMES[kind]), list(choices)[-1])
        found.documents[kind], found.files[kind] = choices[chosen], chosen
        found.notes += [
            f"{path.name}: not used, {chosen.name} was taken; import the file itself to use it instead"
            for path in choices
            if path != chosen
        ]
    if not found.files:
        hint = "give a folder with api_config.yaml, gen_answer_config.yaml and judge_config.yaml"
        raise ConfigError(str(source), [ConfigProblem("YAML", "no config file of arena-hard-auto", hint)])
    return found


def _yaml_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    if astray := next((path for path in found if leads_out(path, folder.parent)), None):
        raise ConfigError(str(astray), [ConfigProblem("file", "is a link that leads out of what is imported")])
    return found


def _read(path: Path) -> tuple[Kind | None, dict[Any, Any]]:
    document = read_yaml(path)
    return _kind_of(document), document if isinstance(document, dict) else {}


def _kind_of(document: object) -> Kind | None:
    if not isinstance(document, Mapping):
        return None
    if "judge_model" in document:
        return "judge"
    if "model_list" in document:
        return "answers"
    marks = {"api_type", "endpoints", "model_name"}
    return "models" if any(isinstance(entry, Mapping) and marks & entry.keys() for entry in document.values()) else None


# The patterns in the published configs, and the label rule that equals each program's own.
_LABEL_PATTERNS = {
    r"\[\[([AB<>=]+)\]\]": "v0.1",
    r"\[(\[?[AB<>=ab]+\]?)\]": "arena-hard-local",
}
_ASKS = {"v0.1": 2}
_ANSWERS_READ = {"name", "bench_name", "model_list", "temperature", "max_tokens", "num_choices"}
_JUDGE_READ = {
    "name", "bench_name", "judge_model", "baseline", "baseline_model", "pairwise", "reference", "ref_model",
    "temperature", "max_tokens", "regex_pattern", "regex_patterns", "system_prompt", "prompt_template", "model_list",
    "number_of_judgment_attempts",
}  # fmt: skip


def answers_table(original: Mapping[Any, Any], notes: Notes) -> dict[str, Any]:
    """Return the `[answers]` table; without such a file, only answers on disk are judged."""
    kept = ("temperature", "max_tokens", "num_choices")
    table = {key: value for key in kept if is_single(value := original.get(key))}
    _note_unknown(original, _ANSWERS_READ, "answers", notes)
    if not original:
        notes.add("no gen_answer_config.yaml: [answers] models is empty; list the models that should answer")
    return {"models": _names(original.get("model_list")), **table}


def judge_table(original: Mapping[Any, Any], categories: Collection[str], notes: Notes) -> dict[str, Any]:
    """Return the `[judge]` table; `categories` are those of the questions."""
    baseline = text_of(original.get("baseline_model"))
    by_category: list[dict[str, Any]] = []
    if not baseline and (rule := general_rule(categories)) is not None:
        baseline, by_category = rule.baseline, category_tables(categories, rule)
        notes.add(f"no baseline_model: {baseline} is what the original compares with on this bench")
    table: dict[str, Any] = {"model": text_of(original["judge_model"])}
    if baseline:
        table["baseline"] = baseline
    judged = [name for name in _names(original.get("model_list")) if name != baseline or by_category]
    if len(judged) < len(_names(original.get("model_list"))):
        notes.add("the baseline was removed from the judge's model_list: it is not compared with itself")
    if judged:
        table["models"] = judged
    labels = _labels(original, notes)
    table["labels"] = labels
    table |= {key: value for key in ("temperature", "max_tokens") if is_single(value := original.get(key))}
    asks = original.get("number_of_judgment_attempts", _ASKS.get(labels))
    if is_single(asks):
        table["retries"] = asks
    table["prompt"] = _prompt(original, notes)
    if by_category:
        table["by_category"] = by_category
    for each in by_category:
        if not isinstance(table["prompt"], str):
            del each["prompt"]
        prompt = f' and prompt = "{each["prompt"]}"' if "prompt" in each else ""
        notes.add(f"[[judge.by_category]]: {each['category']} has the baseline {each['baseline']}{prompt}")

    if original.get("pairwise") is False:
        notes.add("`pairwise: False` was not carried over: every question has two games, with the answers swapped")
    if original.get("baseline") is False:
        notes.add("`baseline: False` was not carried over: answers are compared, never graded alone")
    if original.get("reference"):
        notes.add("`reference` and `ref_model` were not carried over: the judge sees no reference answer")
    _note_unknown(original, _JUDGE_READ, "judge", notes)
    return table


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


def import_yaml(source: Path) -> tuple[str, list[str]]:
    """Return the text of a `config.toml`, and notes on what the user should know or do.

    `source` is a folder with the YAML files, or one of them. The text loads once the variables named in the notes are
    set; it contains no keys. Raises ConfigError if there is nothing to read, or no judge or baseline.
    """
    files, notes, keys = find_original_files(source), Notes(), KeyNames()
    if "judge" not in files.files:
        hint = "import a folder that holds judge_config.yaml too"
        raise ConfigError(str(source), [ConfigProblem("judge", "no file names the judge (`judge_model`)", hint)])
    document = _document(files, source, notes, keys)
    _drop_what_is_refused(document, source, notes, keys)
    _own_sampling_of_judges(document, notes)
    head = _head(files, keys.variables())
    return f"{head}\n{toml_text(document)}", [*keys.lines(), *files.notes, *notes.lines()]


def toml_text(document: Mapping[str, Any]) -> str:
    """Return the document as TOML, prompts over several lines.

    TOML readers turn CR LF in a multi-line string into LF: a document with CR LF is written with escapes instead.
    """
    return tomli_w.dumps(document, multiline_strings="\r\n" not in "".join(_texts(document)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _document(files: OriginalFiles, source: Path, notes: Notes, keys: KeyNames) -> dict[str, Any]:
    original = files.of("judge")
    models = models_table(files.of("models"), notes, keys)
    categories = categories_of(source, text_of(original.get("bench_name")))
    answers, judge = answers_table(files.of("answers"), notes), judge_table(original, categories, notes)
    for name in (*answers["models"], judge["model"]):
        if name not in models:
            models[name] = {}
            notes.add("not in api_config.yaml: add `endpoints` to its table", name)
    answered = text_of(files.of("answers").get("bench_name"))
    bench = text_of(original.get("bench_name")) or answered
    if answered not in ("", bench):
        notes.add(f"the files name different benches; {bench} (judge settings) was taken")
    return {"bench": bench, "answers": answers, "judge": judge, "models": models}


def _drop_what_is_refused(document: dict[str, Any], source: Path, notes: Notes, keys: KeyNames) -> None:
    """Remove every value that a config refuses, with a note. Raises ConfigError for a value that is required."""
    environ = dict.fromkeys(keys.variables(), "set")
    while problems := examine(document, None, environ)[1]:
        for wrong in problems:
            _drop(document, wrong, source)
            notes.add(f"{wrong.problem.key}: {wrong.problem.message}; left out")
            break  # the paths of the other problems may have changed


def _drop(document: dict[str, Any], wrong: LocatedProblem, source: Path) -> None:
    """Delete the innermost existing value on the problem's path."""
    container: Any = document
    path = [container]
    for step in wrong.path:
        if not _holds(container, step):
            break
        container = container[step]
        path.append(container)
    depth = len(path) - 1
    if wrong.path[-1] == "base_url":  # which an endpoint requires
        depth -= 1
    if depth < 2 or wrong.path in {("judge", "model"), ("judge", "baseline")}:
        raise ConfigError(str(source), [wrong.problem])
    del path[depth - 1][wrong.path[depth - 1]]


def _holds(container: object, step: str | int) -> bool:
    if isinstance(container, dict):
        return step in container
    return isinstance(container, list) and isinstance(step, int) and step < len(container)


def _own_sampling_of_judges(document: dict[str, Any], notes: Notes) -> None:
    """Drop sampling from the judge's own entry: there it would override the judge settings, unlike in the original."""
    judge = document["judge"]["model"]
    entry = document["models"][judge]
    own = [key for key in ("temperature", "max_tokens") if key in entry and key in document["judge"]]
    if judge in document["answers"]["models"]:
        if own:
            notes.add(
                "answers and judges with the sampling of its entry; use a second entry for different sampling", judge
            )
        return
    for key in own:
        del entry[key]


def _head(files: OriginalFiles, variables: Sequence[str]) -> str:
    lines = [f"# Imported from {', '.join(sorted(path.name for path in files.files.values()))}."]
    if variables:
        lines.append(f"# Environment variables to set: {', '.join(variables)}.")
    return "".join(f"{line}\n" for line in lines)
