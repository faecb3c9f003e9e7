"""The JSON Schema of `config.toml`, for editors: from the models, with the texts under their fields as descriptions.

It describes a document as it is written: a name in place of a list of one, `adapters` in place of entries, and no null,
which TOML does not have. Rules that no schema can say (an entry must exist, a pattern must compile) are not in it.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from engine.config.model import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "config.toml of arena-tui"
_ADAPTERS = {
    "type": "string",
    "description": "A pattern of folders with LoRA adapters of `base`: one model a folder, named NAME-FOLDER.",
}


def config_schema() -> dict[str, Any]:
    """Return the schema as plain JSON."""
    schema = _written(Config.model_json_schema(by_alias=True, mode="validation"))
    for name, table in {**schema["$defs"], "Config": schema}.items():
        notes = _notes(_tables()[name])
        for key, field in table["properties"].items():
            if key in notes:
                field["description"] = notes[key]
    schema["$defs"]["ModelConfig"]["properties"]["adapters"] = dict(_ADAPTERS)
    schema.pop("title")
    return {"$schema": DIALECT, "title": TITLE, **schema}


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def _written(value: Any) -> Any:
    """Return a part of a schema without null, without the titles that only repeat keys, and with its default."""
    if isinstance(value, list):
        return [_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _written(item) for key, item in value.items() if not (key == "default" and item is None)}
    if isinstance(kept.get("title"), str) and "$defs" not in kept:
        del kept["title"]
    forms = [form for form in kept.get("anyOf", ()) if form != {"type": "null"}]
    if len(forms) == 1:
        del kept["anyOf"]
        return {**forms[0], **kept}
    return {**kept, "anyOf": forms} if forms else kept


def _tables() -> dict[str, type[BaseModel]]:
    """Return the models of the config by their names."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for table in waiting.pop().__subclasses__():
            if table.__module__.startswith("engine.config."):
                found[table.__name__] = table
            waiting.append(table)
    return found


def _notes(table: type[BaseModel]) -> dict[str, str]:
    """Return the texts under the fields of a table and of those that it extends, by the keys of a document."""
    by_field: dict[str, str] = {}
    for base in reversed(table.__mro__):
        if base.__module__.startswith("engine.config."):
            by_field.update(_texts(base))
    return {field.alias or name: by_field[name] for name, field in table.model_fields.items() if name in by_field}


def _texts(table: type) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[table.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == table.__name__)
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            words = " ".join(str(text.value.value).split())
            yield field.target.id, words.replace("None means", "left out:")
