"""Names that a shell completes: models, judges, benches, keys of the config.

They come from the config as it stands, by its parser alone: neither a mistake in it nor a missing key keeps names from
being offered, and nothing heavy is imported. What cannot be read offers nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from arena_tui.invocation import PREFIX, Invocation

SCHEMA = Path(__file__).with_name("config.schema.json")
SHELLS = ("bash", "zsh", "fish")
_LARGEST = 1 << 20  # bytes of a config that is read for a completion
_ENTRY = re.compile(r"""^\s*\[\s*models\s*\.\s*(?:"([^"]+)"|'([^']+)'|([\w-]+))\s*[.\]]""", re.MULTILINE)
_BENCH = re.compile(r"""^bench\s*=\s*["']([^"']+)["']""", re.MULTILINE)


class _Names(NamedTuple):
    models: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    bench: str = ""
    data: Path = Path("data")


def complete_models(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return models of the config, and those with answers on disk; in a list, the last name is completed."""
    known = _names(ctx)
    return _last_of_list([*known.models, *_on_disk(known, "models_with_answers")], incomplete)


def complete_judges(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return judges of the config, and those with judgments on disk; in a list, the last name is completed."""
    known = _names(ctx)
    return _last_of_list([*known.judges, *_on_disk(known, "judges")], incomplete)


def complete_benches(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the benches of the data folder."""
    return _matching(benches(_names(ctx).data), incomplete)


def complete_keys(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return keys of the config as `config set` takes them, those of models with the names of the entries."""
    return _matching(_keys(_names(ctx).models), incomplete)


def complete_assignments(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return keys of the config as `--set` takes them, up to the `=`."""
    return [f"{key}=" for key in complete_keys(ctx, parameter, incomplete)]


BY_NAME = {
    **dict.fromkeys(("model", "models", "baseline", "not_worse_than"), complete_models),
    **dict.fromkeys(("judge", "judges"), complete_judges),
    **dict.fromkeys(("bench", "benches"), complete_benches),
}
"""What a parameter of each name completes to."""


def benches(data: Path) -> list[str]:
    """Return the names of the folders in `data` that have questions."""
    try:
        return sorted(folder.name for folder in data.iterdir() if (folder / "question.jsonl").is_file())
    except OSError:
        return []


def script(shell: str, program: click.Command) -> str:
    """Return the script that makes a shell complete the program's commands, options and names."""
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    source = completion(program, {}, "arena-tui", f"_{PREFIX}COMPLETE").source()
    return source.replace(
        'string split ","', 'string split --max 1 ","'
    )  # fish: click cuts lists of names at their commas


def _names(ctx: click.Context) -> _Names:
    chosen = ctx.obj if isinstance(ctx.obj, Invocation) else Invocation()
    path = chosen.path
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        text = ""
    found = _read(text)
    given = chosen.data or (Path(named) if (named := os.environ.get(f"{PREFIX}DATA")) else None)
    return found._replace(data=given or path.parent / found.data)


def _read(text: str) -> _Names:
    """Return the names in the text of a config; if it is no TOML, those in the titles of its tables."""
    import tomli

    try:
        document = tomli.loads(text)
    except (ValueError, RecursionError):
        models = [next(filter(None, found.groups())) for found in _ENTRY.finditer(text)]
        bench = _BENCH.search(text)
        return _Names(tuple(models), tuple(models), bench[1] if bench else "")
    judge, models_table = _table(document, "judge"), _table(document, "models")
    judges = judge.get("model", ())
    named = [judges] if isinstance(judges, str) else judges if isinstance(judges, list) else []
    bench_name, data = document.get("bench"), document.get("data")
    return _Names(
        tuple(models_table),
        tuple(name for name in named if isinstance(name, str)),
        bench_name if isinstance(bench_name, str) else "",
        Path(data).expanduser() if isinstance(data, str) and "$" not in data else Path("data"),
    )


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _on_disk(known: _Names, what: str) -> list[str]:
    if not known.bench:
        return []
    from engine.bench.layout import BenchPaths

    try:
        paths = BenchPaths(known.data / known.bench)
        return paths.judges() if what == "judges" else paths.models_with_answers()
    except (OSError, ValueError):
        return []


def _last_of_list(names: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    given = set(before.split(","))
    return [f"{before}{comma}{name}" for name in _matching(names, last) if name not in given]


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete) and name.isprintable()]


def _keys(models: Iterable[str]) -> list[str]:
    """Return the keys of the schema in the order of its tables."""
    try:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found: list[str] = []

    def walk(table: Mapping[str, Any], prefix: str) -> None:
        for name, field in _resolved(table, schema).get("properties", {}).items():
            if "properties" in _resolved(field, schema):
                walk(field, f"{prefix}{name}.")
            elif name == "models" and not prefix:
                for model in models:
                    walk(field["additionalProperties"], f"models.{_quoted(model)}.")
            else:
                found.append(prefix + name)

    walk(schema, "")
    return found


def _resolved(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field refers to, itself or as the only form of it that is a table."""
    for form in (field, *field.get("anyOf", ())):
        if reference := form.get("$ref"):
            table: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
            return table
    return field


def _quoted(name: str) -> str:
    from engine.config.wording import quoted_key

    return quoted_key(name)
