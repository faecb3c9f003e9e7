"""Values that replace those of a config file: from a command line, and from environment variables.

    judge.max_tokens=256        an assignment: a key as the problems of a config spell it, `=`, and a TOML value
    PREFIX_JUDGE__MAX_TOKENS    the variable of the same key; `__` separates the steps

A value that is not TOML and has no quotes or brackets is a text, because shells remove quotes. Entries with free names
are found in the file: `models.gpt-4.1.rate` needs no quotes, and a variable has any character that it cannot hold as
`_`. An entry that the file does not have is an error, unless all of it is assigned: a misspelt name would be one more
model that answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tomli

from engine.config.problems import LocatedProblem, problem
from engine.config.wording import KeyPath, did_you_mean, key_of, listed, quoted, shortened
from engine.errors import ConfigError, ConfigProblem, UsageProblem

_STEP = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^\s."\'\[\]=]+)')
_INDEX = re.compile(r"\[(\d{1,4})\]")
PERSONAL_TABLES = ("vllm", "cluster", "ui", "notify", "track")
"""Tables that belong to a user or a machine."""
_TOP_LEVEL = ("BENCH", "DATA")  # keys of the file that are in no table


class Assignment(NamedTuple):
    """A value for a key, and its origin as a user knows it. `is_variable`: the path is spelt as variables are."""

    path: KeyPath
    value: Any
    origin: str
    is_variable: bool = False


class Assigned(NamedTuple):
    """A document with values assigned, the origin of each assigned key, and what could not be assigned.

    `tables` are those that the assignments made, with the origin of the first one.
    """

    document: dict[str, Any]
    origins: dict[KeyPath, str]
    tables: dict[KeyPath, str]
    problems: list[LocatedProblem]

    def located(self, wrong: LocatedProblem) -> LocatedProblem:
        """Return a problem of the document that names the origin of its value, where that is not the file."""
        return wrong if wrong in self.problems else _with_origin(wrong, {**self.tables, **self.origins})


def parse_assignment(text: str, origin: str) -> Assignment:
    """Return the assignment that a text such as `judge.max_tokens=256` makes. Raises UsageProblem."""
    path, rest = _split_key(text, origin)
    return Assignment(path, parse_value(rest, key_of(path), origin), origin)


def parse_key(text: str) -> KeyPath:
    """Return the path that a text such as `models."gpt-4.1".endpoints[0].base_url` spells. Raises UsageProblem."""
    path, rest = _split(text)
    if path is None or rest:
        raise UsageProblem(f"{quoted(shortened(text))} is no key of a config", "as in judge.max_tokens")
    return path


def parse_value(text: str, key: str, origin: str) -> Any:
    """Return a TOML value, or the text itself where it is none and has no quotes or brackets. Raises UsageProblem."""
    text = text.strip()
    try:
        document = tomli.loads(f"value = {text}\n")
        if document.keys() == {"value"}:
            return document["value"]
        wrong = "more than one value"
    except (tomli.TOMLDecodeError, RecursionError, ValueError) as error:
        if not text.startswith(('"', "'", "[", "{")) and text.isprintable():
            return text
        wrong = re.sub(r" \(at .*\)$", "", str(error))[:80] or "not TOML"
    raise UsageProblem(  # raised here: the parser's own error holds the value, which may be a secret
        f"{origin} {key}".strip() + f": the value is not TOML: {wrong[:1].lower()}{wrong[1:]}",
        'write 256, true, ["a", "b"] or { a = 1 } in single quotes of the shell; a text of words needs no quotes',
    )


def variable_assignments(environ: Mapping[str, str], prefix: str) -> list[Assignment]:
    """Return the assignments of the variables whose names begin with `prefix`. Raises UsageProblem."""
    found = []
    for name in sorted(environ):
        spelt = name.removeprefix(prefix)
        if spelt == name or not ("__" in spelt or spelt in _TOP_LEVEL):
            continue
        path = tuple(int(step) if step.isdecimal() else step for step in spelt.split("__"))
        if not all(path) and 0 not in path:
            raise UsageProblem(f"{name}: a step of the key is empty", f"as in {prefix}JUDGE__MAX_TOKENS")
        found.append(Assignment(path, parse_value(environ[name], "", name), name, is_variable=True))
    return found


def personal_assignments(personal: Mapping[str, Any], document: Mapping[str, Any], origin: str) -> list[Assignment]:
    """Return the assignments that a user's own file makes for keys that a config does not have. Raises ConfigError.

    Such a file may hold what belongs to a user or a machine, and nothing that shapes results: a config means the same
    for everyone who reads it.
    """
    wrong = [
        ConfigProblem(key, "does not belong in the file of a user: it shapes results", f"here: {_listed_personal()}")
        for key in personal
        if key not in PERSONAL_TABLES or not isinstance(personal[key], dict)
    ]
    if wrong:
        raise ConfigError(origin, wrong)
    found = []
    for name, table in personal.items():
        held = document.get(name)
        if isinstance(held, dict | None):
            found += [Assignment((name, key), table[key], origin) for key in table if key not in (held or {})]
    return found


def _listed_personal() -> str:
    return ", ".join(f"[{name}]" for name in PERSONAL_TABLES)


def assigned(document: Mapping[str, Any], assignments: Iterable[Assignment]) -> Assigned:
    """Return a copy of a document with the assignments carried out in their order; the last one of a key counts."""
    result = Assigned(dict(document), {}, {}, [])
    for assignment in assignments:
        try:
            path = _resolved(assignment, result.document)
            for table in _assign(result.document, path, assignment.value):
                result.tables.setdefault(table, assignment.origin)
        except _Unassignable as wrong:
            result.problems.append(wrong.at(assignment.origin))
        else:
            result.origins.pop(path, None)
            result.origins[path] = assignment.origin
    return result


class _Unassignable(Exception):
    def __init__(self, path: KeyPath, message: str, hint: str = "") -> None:
        super().__init__(message)
        self._problem = problem(path, message, hint)

    def at(self, origin: str) -> LocatedProblem:
        return _with_origin(self._problem, {self._problem.path: origin})


def _with_origin(wrong: LocatedProblem, origins: Mapping[KeyPath, str]) -> LocatedProblem:
    for path, origin in reversed(list(origins.items())):
        if wrong.path[: len(path)] == path:
            return wrong._replace(problem=wrong.problem._replace(key=f"{wrong.problem.key} ({origin})"))
    return wrong


def _split_key(text: str, origin: str) -> tuple[KeyPath, str]:
    """Return the path at the start of an assignment, and what follows `=`. Raises UsageProblem."""
    path, rest = _split(text)
    if path is None or not rest.startswith("="):
        shown = shortened(text.partition("=")[0])  # the value may be a secret
        raise UsageProblem(f"{origin}: {quoted(shown)} is no KEY=VALUE", "as in judge.max_tokens=256")
    return path, rest[1:]


def _split(text: str) -> tuple[KeyPath | None, str]:
    """Return the path that a text begins with, None for none, and what follows it."""
    path: list[str | int] = []
    at = len(text) - len(text.lstrip())
    while found := _STEP.match(text, at):
        path.append(_name(found))
        at = found.end()
        while index := _INDEX.match(text, at):
            path.append(int(index[1]))
            at = index.end()
        if text[at : at + 1] != ".":
            return tuple(path), text[at:].lstrip()
        at += 1
    return None, text


def _name(found: re.Match[str]) -> str:
    if found[1] is not None:
        try:
            return str(tomli.loads(f"name = {found[0]}")["name"])
        except tomli.TOMLDecodeError:
            return found[1]
    return found[2] if found[2] is not None else found[3]


def _resolved(assignment: Assignment, document: Mapping[str, Any]) -> KeyPath:
    """Return the path in the spelling of the document. Raises _Unassignable."""
    path = _spelt(assignment.path, document) if assignment.is_variable else assignment.path
    entries = document.get("models")
    if path[0] != "models" or len(path) < 3 or not isinstance(entries, Mapping) or path[1] in entries:
        return path
    for end in range(3, len(path)):  # a name with dots, without quotes
        name = ".".join(map(str, path[1:end]))
        if name in entries:
            return ("models", name, *path[end:])
    names = list(entries)
    hint = did_you_mean(str(path[1]), names) or (f"the models are {listed(names[:8])}" if names else "")
    raise _Unassignable(path[:2], "no such model in the config", hint)


def _spelt(path: KeyPath, document: Mapping[str, Any]) -> KeyPath:
    """Return the path of a variable with the names that the document has, else in lower case."""
    spelt: list[str | int] = []
    table: Any = document
    for step in path:
        names = table.keys() if isinstance(table, Mapping) else ()
        found = [name for name in names if _as_variable(name) == str(step).upper()]
        if len(found) > 1:
            raise _Unassignable((*spelt, found[0]), f"the variable may mean {listed(found)}", "rename one of them")
        is_index = isinstance(table, list) and isinstance(step, int)
        spelt.append(step if is_index else found[0] if found else str(step).lower())
        try:
            table = table[spelt[-1]]
        except (LookupError, TypeError):
            table = None
    return tuple(spelt)


def _as_variable(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII).upper()


def _assign(document: dict[str, Any], path: KeyPath, value: Any) -> list[KeyPath]:
    """Assign in place, with copies of the tables and lists on the way, and return the tables that were made for it.

    Raises _Unassignable.
    """
    table: Any = document
    made: list[KeyPath] = []
    for number, step in enumerate(path):
        here = path[:number]
        if isinstance(step, int):
            if not isinstance(table, list) or step >= len(table):
                held = f"has {len(table)} entries" if isinstance(table, list) else "is no list"
                raise _Unassignable(
                    path[: number + 1], f"cannot be set: {key_of(here)} {held}", "assign the whole list"
                )
        elif not isinstance(table, dict):
            raise _Unassignable(path[: number + 1], f"cannot be set: {key_of(here)} is no table")
        if number == len(path) - 1:
            table[step] = value
            break
        if isinstance(step, str) and step not in table:
            made.append(path[: number + 1])
        inner = table[step] if isinstance(step, int) else table.get(step, {})
        table[step] = dict(inner) if isinstance(inner, dict) else list(inner) if isinstance(inner, list) else inner
        table = table[step]
    return made
