"""What is wrong with a document, in words: the validator's errors, with a guess at what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from engine.config.model import (
    AnswersConfig,
    CategoryConfig,
    Config,
    JudgeConfig,
    ModelConfig,
    UiConfig,
)
from engine.config.reporting import NotifyConfig, TrackConfig
from engine.config.servers import ClusterConfig, EndpointConfig, EndpointFolder
from engine.config.wording import KeyPath, did_you_mean, key_of, listed, quoted
from engine.errors import ConfigProblem


class LocatedProblem(NamedTuple):
    """A problem and the place in the document that it is about."""

    path: KeyPath
    problem: ConfigProblem


def problem(place: KeyPath, message: str, hint: str = "") -> LocatedProblem:
    """A problem at `place`."""
    return LocatedProblem(place, ConfigProblem(key_of(place), message, hint))


_TYPES = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "path_type": "a path in quotes",
}
_KINDS = ((bool, "true or false"), (str, "a text"), (int | float, "a number"), (list, "a list"), (dict, "a table"))
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_LONGEST_NUMBER = 10**15
_HINTS: dict[KeyPath, str] = {
    ("bench",): 'say which folder of `data` to use: bench = "starter-ru"',
    ("judge",): "add a [judge] table that says `model` and `baseline`",
    ("judge", "model"): "say who judges: an entry of [models.*]",
    ("judge", "baseline"): "say which model the others are compared with",
}
# What arena-hard-auto's files, or other tools, call the same thing.
_ALIASES = {
    "api_base": "base_url",
    "url": "base_url",
    "baseline_model": "baseline",
    "bench_name": "bench",
    "concurrency": "parallel",
    "judge_model": "model",
    "key": "api_key",
    "model_list": "models",
    "model_name": "model",
    "number_of_judgment_attempts": "retries",
    "prompt_template": "prompt",
    "regex_pattern": "labels",
    "rps": "rate",
    "sys_prompt": "system_prompt",
}
_TABLES = (
    ("[answers]", AnswersConfig),
    ("[judge]", JudgeConfig),
    ("[[judge.by_category]]", CategoryConfig),
    ("[models.NAME]", ModelConfig),
    ("endpoints = [{ ... }]", EndpointConfig),
    ("endpoints = { ... }", EndpointFolder),
    ("[cluster]", ClusterConfig),
    ("[ui]", UiConfig),
    ("[notify]", NotifyConfig),
    ("[track]", TrackConfig),
    ("the top of the file, above the first [table]", Config),
)


def from_validation(error: ErrorDetails, document: Mapping[str, Any]) -> LocatedProblem:
    """One error of the validator, about `document`, in words. It never repeats a text that stands in the document."""
    place = _place_of(error, document)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return problem(place, "unknown key", _guess(place))
    if kind == "missing":
        return problem(place, "is missing", _HINTS.get(place, ""))
    if kind in _TYPES:
        return problem(place, f"must be {_TYPES[kind]}, not {_kind_of(error['input'])}")
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        given = error["input"] if abs(error["input"]) < _LONGEST_NUMBER else "so large a number"
        return problem(place, f"must be {words} {context[bound]:,.15g}, not {given}")
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        guess = did_you_mean(error["input"], choices) if isinstance(error["input"], str) else ""
        return problem(place, f"must be {listed(choices)}", guess)
    if kind == "value_error":
        return problem(place, str(context["error"]))
    if kind in ("too_short", "string_too_short"):
        return problem(place, "must not be empty")
    if kind == "finite_number":
        return problem(place, "must be a finite number")
    return problem(place, error["msg"][:1].lower() + error["msg"][1:])


def _place_of(error: ErrorDetails, document: Mapping[str, Any]) -> KeyPath:
    """The error's location, without the steps that only the validator knows (its names of alternatives)."""
    place: KeyPath = ()
    value: Any = document
    for number, step in enumerate(error["loc"], start=1):
        in_table = isinstance(value, dict) and step in value
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if in_table or in_list:
            value = value[step]
        elif not (error["type"] == "missing" and number == len(error["loc"])):
            continue
        place = (*place, step)
    return place


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "a date or time")


def _guess(place: KeyPath) -> str:
    """What an unknown key was meant to be: a key of its own table, or one that belongs elsewhere."""
    name, table = str(place[-1]), _table_at(place[:-1])
    if table is None:
        return ""
    known = _keys(table)
    alias = _ALIASES.get(name, "")
    if alias in known:
        return f"did you mean {quoted(alias)}?"
    close = did_you_mean(name, known)
    if close:
        return close
    homes = [where for where, other in _TABLES if (alias or name) in _keys(other) and other is not table]
    if homes:
        return f"{quoted(alias or name)} belongs in {' or '.join(homes)}"
    return f"known here: {', '.join(known)}"


def _keys(table: type[BaseModel]) -> list[str]:
    """The keys of a table, as a document spells them."""
    return [field.alias or name for name, field in table.model_fields.items()]


def _table_at(place: KeyPath) -> type[BaseModel] | None:
    """The table that stands at `place`, if it is one of the config's own."""
    table: type[BaseModel] | None = Config
    inside_container = False
    for number, step in enumerate(place):
        if inside_container:
            inside_container = False
        elif table is None or step not in table.model_fields:
            return None
        else:
            annotation = table.model_fields[str(step)].annotation
            is_in_list = isinstance(dict(enumerate(place)).get(number + 1), int)
            form = next((each for each in _forms(annotation) if (get_origin(each) is list) == is_in_list), annotation)
            table = _table_in(form)
            inside_container = get_origin(form) in (dict, list)
    return None if inside_container else table


def _forms(annotation: Any) -> list[Any]:
    """The forms that a value may have: a table, a list of tables."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [form for each in get_args(annotation) for form in _forms(each)]
    return [annotation]


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)
