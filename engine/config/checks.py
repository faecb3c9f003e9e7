"""Checks that no single table can make: names that must be entries of `[models.*]`, and who needs a key.

They look at the document, not at the validated config, so that their findings stand beside the validator's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.config.problems import Problem, problem
from engine.config.wording import Place, did_you_mean, quoted, quoted_key, shortened


def unknown_models(document: Mapping[str, Any]) -> list[Problem]:
    """Answering models and judges without an entry.

    The baseline and the models that are judged need none: their answers may be on disk.
    """
    entries = _table(document, "models")
    return [
        problem(
            place,
            f"there is no model {quoted(shortened(name))}",
            did_you_mean(name, list(entries)) or f"add a table [models.{quoted_key(shortened(name))}]",
        )
        for place, name in (*_named(document, "answers", "models"), *_named(document, "judge", "model"))
        if name not in entries
    ]


def models_in_use(document: Mapping[str, Any]) -> set[str]:
    """The entries that a run of this document calls: those who answer, and the judges."""
    judges = {name for _, name in _named(document, "judge", "model")}
    answering = {name for _, name in _named(document, "answers", "models")}
    if "models" not in _table(document, "answers"):
        answering = set(_table(document, "models"))
    return judges | answering


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _named(document: Mapping[str, Any], table: str, key: str) -> Iterator[tuple[Place, str]]:
    """Each model name at `table.key`, one text or a list of them, with its place."""
    value = _table(document, table).get(key)
    if isinstance(value, str):
        yield (table, key), value
    elif isinstance(value, list):
        for number, name in enumerate(value):
            if isinstance(name, str):
                yield (table, key, number), name
