"""`arena-tui config`: shows, checks and changes the config, and prints its schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.completing import SCHEMA
from arena_tui.invocation import Invocation
from arena_tui.output.json_text import json_text
from engine.bench.atomic import write_file
from engine.config.editing import with_value
from engine.config.load import examine, read_toml
from engine.config.overrides import Assignment, parse_key, parse_value
from engine.config.resolved import DEFAULT, ResolvedValue, resolved_values
from engine.config.secrets import secrets_of
from engine.config.wording import did_you_mean, key_of, toml_value
from engine.errors import ConfigError, ConfigProblem, UsageProblem
from engine.redaction import Redactor, names_secret

_WIDEST = 60  # columns before the origins of values


def show_command(invocation: Invocation, *, keys: Sequence[str], changed: bool, as_json: bool) -> int:
    """Print the values of the config, or those within `keys`. Return the exit code."""
    config = invocation.config(keys=False)
    values = list(resolved_values(config, str(invocation.path)))
    if invocation.data is not None:
        values = [each._replace(origin="--data") if each.key == "data" else each for each in values]
    chosen = [*_within(values, keys)] if keys else values
    chosen = [each for each in chosen if not (changed and each.origin == DEFAULT)]
    if as_json:
        found = {each.key: {"value": each.value, "from": each.origin} for each in chosen}
        click.echo(json_text({"file": str(invocation.path), "values": found}), nl=False)
        return console.DONE
    lines = [f"{each.key} = {toml_value(each.value)}" for each in chosen]
    width = max((len(line) for line in lines if len(line) <= _WIDEST), default=0)
    for line, each in zip(lines, chosen, strict=True):
        click.echo(console.printable(f"{line:<{width}}  # {each.origin}"))
    return console.DONE


def check_command(invocation: Invocation, *, as_json: bool) -> int:
    """Report every problem of the config and its bench. Return the exit code."""
    path = invocation.path
    if not path.exists():
        invocation.config()  # raises, with what to do
    found = invocation.all_problems()
    problems: Sequence[ConfigProblem] = found.problems if found is not None else ()
    if as_json:
        listed = [{"key": each.key, "message": each.message, "hint": phrase(each.hint)} for each in problems]
        click.echo(json_text({"file": str(path), "problems": listed}), nl=False)
    elif found is not None:
        raise found
    else:
        click.echo(f"{path}: no problems")
    return console.USAGE if problems else console.DONE


def set_command(invocation: Invocation, key: str, value: str) -> int:
    """Write one value into the config file, if the config has no problem then that it did not have before."""
    file = invocation.path.resolve()  # a link to a config stays one
    if not invocation.path.exists():
        invocation.config()
    path = parse_key(key)
    assignment = Assignment(path, parse_value(value, key_of(path), "VALUE for"), key_of(path))
    _refuse_secret(assignment)
    before = read_toml(file)
    text = file.read_bytes().decode("utf-8-sig")
    changed, change = with_value(text, assignment)
    had = {each.problem for each in examine(before, file, keys=False)[1]}
    config, problems = examine(change.document, file, keys=False)
    wrong = [each.problem for each in problems if each.problem not in had]
    if wrong:
        raise ConfigError(f"{invocation.path}: not changed", wrong)
    write_file(file, changed.encode())
    (place,) = change.origins
    hide = Redactor(secrets_of(config)) if config is not None else Redactor(())
    console.say(hide(f"{invocation.path}: {key_of(place)} = {toml_value(assignment.value)}"))
    if name := _overriding(invocation, key_of(place)):
        console.say(f"note: {name} is set and wins over the file")
    return console.DONE


def schema_command() -> int:
    """Print the schema. Return the exit code."""
    click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
    return console.DONE


def _within(values: Sequence[ResolvedValue], keys: Iterable[str]) -> Iterable[ResolvedValue]:
    """Yield the values of keys and tables, in the order of `keys`. Raises UsageProblem for one without values."""
    for key in keys:
        spelt = [key_of(parse_key(key)), f"models.{key.removeprefix('models.')}"]
        tables = [*spelt, *(f'models."{key.removeprefix("models.")}"',)]
        found = [each for each in values if any(_is_in(each.key, table) for table in tables)]
        if not found:
            names = [each.key for each in values]
            known = dict.fromkeys([*names, *(name.partition(".")[0] for name in names)])
            raise UsageProblem(f"{key}: no such key in the config", did_you_mean(key, list(known)))
        yield from found


def _is_in(key: str, table: str) -> bool:
    return key == table or key.startswith((f"{table}.", f"{table}["))


def _refuse_secret(assignment: Assignment) -> None:
    """Raise UsageProblem for a key that would be written to the file as it is."""
    name, value = str(assignment.path[-1]), assignment.value
    if names_secret(name) and isinstance(value, str) and value and "${" not in value:
        raise UsageProblem(
            f"{assignment.origin}: not written: keys stay in the environment, out of files and shell histories",
            f"export NAME=..., then: arena-tui config set '{assignment.origin}' '${{NAME}}'",
        )


def _overriding(invocation: Invocation, key: str) -> str:
    """Return what else assigns the key, and so hides the value that was written."""
    origins = invocation.config(keys=False).origins if not invocation.all_problems(keys=False) else {}
    return origins.get(key, "")
