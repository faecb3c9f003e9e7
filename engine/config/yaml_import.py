"""`arena-tui import config/`: arena-hard-auto's three YAML files as one `config.toml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.config.load import examine
from engine.config.problems import Problem
from engine.config.toml_text import toml_text
from engine.config.yaml_files import OriginalFiles, find_original_files
from engine.config.yaml_models import KeyNames, Notes, models_table, text_of
from engine.config.yaml_tables import answers_table, judge_table
from engine.errors import ConfigError, ConfigProblem


def import_yaml(source: Path) -> tuple[str, list[str]]:
    """The text of a `config.toml`, and notes on what the user should know or do.

    `source` is a folder with the YAML files, or one of them. The text loads as it is once the variables that the notes
    name are set; no key stands in it. Raises ConfigError: nothing to read, or no judge and baseline to be found.
    """
    files, notes, keys = find_original_files(source), Notes(), KeyNames()
    if "judge" not in files.files:
        hint = "import a folder that holds judge_config.yaml too"
        raise ConfigError(str(source), [ConfigProblem("judge", "no file says who judges (`judge_model`)", hint)])
    document = _document(files, notes, keys)
    _drop_what_is_refused(document, source, notes, keys)
    _own_sampling_of_judges(document, notes)
    head = _head(files, keys.variables())
    return f"{head}\n{toml_text(document)}", [*keys.lines(), *files.notes, *notes.lines()]


def _document(files: OriginalFiles, notes: Notes, keys: KeyNames) -> dict[str, Any]:
    original = files.of("judge")
    models = models_table(files.of("models"), notes, keys)
    answers, judge = answers_table(files.of("answers"), notes), judge_table(original, notes)
    for name in (*answers["models"], judge["model"]):
        if name not in models:
            models[name] = {}
            notes.add("not in api_config.yaml: add `endpoints` to its table", name)
    answered = text_of(files.of("answers").get("bench_name"))
    bench = text_of(original.get("bench_name")) or answered
    if answered not in ("", bench):
        notes.add(f"the files name different benches; {bench} of the judge settings was taken")
    return {"bench": bench, "answers": answers, "judge": judge, "models": models}


def _drop_what_is_refused(document: dict[str, Any], source: Path, notes: Notes, keys: KeyNames) -> None:
    """Take out, with a note, every value that a config does not allow; ConfigError if nothing can do without it."""
    environ = dict.fromkeys(keys.variables(), "set")
    while problems := examine(document, None, environ)[1]:
        for wrong in problems:
            _drop(document, wrong, source)
            notes.add(f"{wrong.told.key}: {wrong.told.message}; left out")
            break  # the places of the others may have moved


def _drop(document: dict[str, Any], wrong: Problem, source: Path) -> None:
    """Delete the innermost thing at the problem's place that is there."""
    container: Any = document
    path = [container]
    for step in wrong.place:
        if not _holds(container, step):
            break
        container = container[step]
        path.append(container)
    depth = len(path) - 1
    if wrong.place[-1] == "base_url":  # an endpoint is nothing without it
        depth -= 1
    if depth < 2 or wrong.place in {("judge", "model"), ("judge", "baseline")}:
        raise ConfigError(str(source), [wrong.told])
    del path[depth - 1][wrong.place[depth - 1]]


def _holds(container: object, step: str | int) -> bool:
    if isinstance(container, dict):
        return step in container
    return isinstance(container, list) and isinstance(step, int) and step < len(container)


def _own_sampling_of_judges(document: dict[str, Any], notes: Notes) -> None:
    """In the original a judge is asked with the judge settings; here what stands in its own entry would win."""
    judge = document["judge"]["model"]
    entry = document["models"][judge]
    own = [key for key in ("temperature", "max_tokens") if key in entry and key in document["judge"]]
    if judge in document["answers"]["models"]:
        if own:
            notes.add(
                "answers and judges, with the sampling of its entry in both; make a second entry to part them", judge
            )
        return
    for key in own:
        del entry[key]


def _head(files: OriginalFiles, variables: Sequence[str]) -> str:
    lines = [f"# Imported from {', '.join(sorted(path.name for path in files.files.values()))}."]
    if variables:
        lines.append(f"# Environment variables to set: {', '.join(variables)}.")
    return "".join(f"{line}\n" for line in lines)
