"""Write the tables of docs/events.md and the JSON Schema of the lines, from the structs that are written.

python docs/make_events.py
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from arena_tui.output.event_lines import FREQUENT, LINES, VERSION
from engine.events import Event

PAGE = Path(__file__).resolve().parent / "events.md"
SCHEMA = Path(__file__).resolve().parent / "events.schema.json"
BEGIN, END = "<!-- made by make_events.py -->\n", "<!-- end -->\n"


def structs() -> list[type[msgspec.Struct]]:
    """Return what a line can hold, in the order in which a run sends it."""
    opened, *others = LINES
    return [opened, *get_args(Event), *others]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line."""
    kinds, found = msgspec.json.schema_components(structs(), ref_template="#/$defs/{name}")
    head = {"v": {"const": VERSION}, "seq": {"type": "integer"}, "time": {"type": "number"}}
    for struct in structs():
        definition = found[struct.__name__]
        definition["properties"] = head | definition["properties"]
        definition["required"] = [*head, *definition["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a line of arena-tui run --json-events",
        "oneOf": list(kinds),
        "$defs": {name: _plain(definition) for name, definition in sorted(found.items())},
    }


def _plain(definition: Any) -> Any:
    """Return a definition without the texts of docstrings, which the page has."""
    if isinstance(definition, dict):
        return {
            key: _plain(value) for key, value in definition.items() if key != "description" or "type" not in definition
        }
    return [_plain(value) for value in definition] if isinstance(definition, list) else definition


def tables() -> str:
    """Return a section a line, and one for each struct within."""
    _, found = msgspec.json.schema_components(structs())
    parts = [_section(struct.__name__, struct, found) for struct in structs()]
    within = sorted(found.keys() - {struct.__name__ for struct in structs()})
    named = {each.__name__: each for each in _all_structs(structs())}
    parts += ["## Within them\n", *(_section(name, named[name], found) for name in within)]
    return "\n".join(parts)


def _all_structs(known: list[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    found: list[type[msgspec.Struct]] = []

    def add(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) and annotation not in found:
            found.append(annotation)
            for field in msgspec.structs.fields(annotation):
                add(field.type)
        for argument in get_args(annotation):
            add(argument)

    for each in known:
        add(each)
    return found


def _section(name: str, struct: type[msgspec.Struct], found: dict[str, Any]) -> str:
    first = " ".join((inspect.getdoc(struct) or "").split("\n\n")[0].split())
    often = " (only with `--every-call`)" if struct in FREQUENT else ""
    fields = {key: value for key, value in found[name]["properties"].items() if key != "type"}
    rows = [f"| `{key}` | {_words(value)} |" for key, value in fields.items()]
    return "\n".join(
        [f"### {name}", "", first.replace("`", "") + often, "", "| field | type |", "|---|---|", *rows, ""]
    )


def _words(kind: dict[str, Any]) -> str:
    """Return a JSON type in words."""
    if "$ref" in kind:
        return f"[{(name := kind['$ref'].rpartition('/')[2])}](#{name.lower()})"
    if "enum" in kind:
        return ", ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    if "anyOf" in kind:
        return " or ".join(map(_words, kind["anyOf"]))
    if kind.get("type") == "array":
        return f"list of {_words(kind['items'])}" if kind.get("items") else "list"
    if kind.get("type") == "object" and isinstance(kind.get("additionalProperties"), dict):
        return f"object of {_words(kind['additionalProperties'])}"
    return str(kind.get("type", "any"))


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: BEGIN + "\n" + tables() + "\n" + END, text, flags=re.S
    )


def schema_text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    SCHEMA.write_text(schema_text(), "utf-8")
