"""The kinds of value that a config may hold, each with the rule that it keeps.

Every rule states what is wrong without repeating the value: a value may be a secret that stands in the wrong place.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from engine.config.wording import listed, quoted

LABEL_PARSERS = ("lenient", "v0.1", "v2", "arena-hard-local")
"""The label parsers that have a name; any other `labels` is a regular expression."""

_ANSWER_PLACEHOLDERS = ({"{question_1}", "{answer_1}", "{answer_2}"}, {"{QUESTION}", "{ANSWER_A}", "{ANSWER_B}"})
_OWN_REQUEST_FIELDS = {
    "messages": "it is the conversation itself",
    "model": "say `model` in [models.*]",
    "n": "say `num_choices` in [answers]",
    "stream": "say `stream` in [models.*]",
    "stream_options": "it is set where replies are streamed",
    "temperature": "say `temperature` beside `extra_body`",
    "max_tokens": "say `max_tokens` beside `extra_body`",
    "max_completion_tokens": "say `max_tokens` beside `extra_body`",
    "top_p": "say `top_p` beside `extra_body`",
    "seed": "say `seed` beside `extra_body`",
    "chat_template_kwargs": "say `chat_template_kwargs` beside `extra_body`",
}
_OWN_SERVE_FLAGS = {
    "--port": "the port is picked, or taken from `endpoints`",
    "--api-key": "a key is made for each run",
    "--served-model-name": "say `model` in the entry",
}
_LARGEST_INTEGER = 2**53  # what every JSON reader holds exactly


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{quoted(twice[0])} is listed twice")
    return names


def _category(name: str) -> str:
    if not name:
        raise ValueError("must be the name of a category, as in question.jsonl")
    return name


def _distinct_numbers(numbers: list[int]) -> list[int]:
    if len(set(numbers)) < len(numbers):
        raise ValueError("must not hold one number twice")
    return numbers


def _plain_name(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError("must be a name: not empty, without control characters or spaces around it")
    return name


def _folder_name(name: str) -> str:
    if name in {".", ".."} or "/" in name or "\\" in name:
        raise ValueError("must be the name of one folder in the data folder, not a path")
    return _plain_name(name)


def _data_folder(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError("must be a path without control characters")
    return path


def _base_url(url: str) -> str:
    trimmed = url.strip().rstrip("/")
    try:
        parts = urlsplit(trimmed)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not trimmed.isprintable() or " " in trimmed:
        raise ValueError("must be an address such as http://localhost:8000/v1")
    if "@" in parts.netloc:
        raise ValueError("must hold no user name or password: use `api_key`")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path, without `?` or `#`")
    if parts.path.endswith("/completions"):
        raise ValueError("must be the address above /chat/completions, usually ending in /v1")
    return trimmed


def _webhook(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value := url.get_secret_value().strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not value.isprintable() or " " in value:
        raise ValueError("must be an address such as https://example.org/hook")
    return SecretStr(value)


def _service_url(url: str) -> str:
    """Check the address of a service, or a local one of MLflow (`sqlite:///runs.db`, `file:///...`)."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.scheme) and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an address such as http://localhost:5000")
    if "@" in parts.netloc or parts.query:
        raise ValueError("must hold no user name, password or query: trackers read their keys from the environment")
    return url


def _api_key(key: SecretStr) -> SecretStr | None:
    value = key.get_secret_value().strip()
    if not value.isascii() or not value.isprintable():
        raise ValueError("holds characters that cannot be sent in an HTTP header")
    return SecretStr(value) if value else None


def _label_parser(labels: str) -> str:
    if labels in LABEL_PARSERS:
        return labels
    if not labels or re.fullmatch(r"[\w. -]*", labels):
        raise ValueError(f"must be {listed(LABEL_PARSERS)}, or a regular expression that finds a label")
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python may read otherwise
            re.compile(labels)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return labels


def _template(template: str) -> str:
    if not any(all(name in template for name in names) for names in _ANSWER_PLACEHOLDERS):
        raise ValueError("must hold {question_1}, {answer_1} and {answer_2}, or {QUESTION}, {ANSWER_A} and {ANSWER_B}")
    return template


def _json_value(value: object) -> bool:
    if isinstance(value, dict):
        return all(_json_value(item) for item in value.values())
    if isinstance(value, list):
        return all(_json_value(item) for item in value)
    if isinstance(value, float):
        return value - value == 0  # neither infinite nor NaN
    if isinstance(value, int):
        return abs(value) <= _LARGEST_INTEGER
    return isinstance(value, str)


def _json_object(fields: dict[str, Any]) -> dict[str, Any]:
    unfit = [name for name, value in fields.items() if not _json_value(value)]
    if unfit:
        raise ValueError(
            f"{quoted(unfit[0])} holds a value that JSON does not have (a date, nan, inf, or a huge number)"
        )
    return fields


def _request_fields(fields: dict[str, Any]) -> dict[str, Any]:
    own = [name for name in fields if name in _OWN_REQUEST_FIELDS]
    if own:
        raise ValueError(f"must not hold {quoted(own[0])}: {_OWN_REQUEST_FIELDS[own[0]]}")
    return _json_object(fields)


def _serve_arguments(arguments: list[str]) -> list[str]:
    for argument in arguments:
        flag = argument.partition("=")[0]
        if flag in _OWN_SERVE_FLAGS:
            raise ValueError(f"must not hold {quoted(flag)}: {_OWN_SERVE_FLAGS[flag]}")
    return arguments


def _top_k(count: int) -> int:
    return count or -1  # both mean "all", and not every server knows 0


def _api_version(version: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,40}", version, re.ASCII):
        raise ValueError('must be a version such as "2024-10-21"')
    return version


def _stream(setting: object) -> object:
    if isinstance(setting, bool) or setting == "auto":
        return setting
    raise ValueError('must be true, false or "auto"')


def _replicas(count: object) -> object:
    if count == "max" or (isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 1024):
        return count
    raise ValueError('must be a number from 1 to 1024, or "max"')


def _one_or_more(names: object) -> object:
    return [names] if isinstance(names, str) else names


Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
TopK = Annotated[int, Field(ge=-1, le=1_000_000), AfterValidator(_top_k)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=10)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
TokenLimit = Annotated[int, Field(ge=1, le=10_000_000)]
Step = Annotated[int, Field(ge=0, le=10**12)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
PerSecond = Annotated[float, Field(gt=0, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

Parallel = Annotated[int, Field(ge=1, le=1024)]
Replicas = Annotated[
    int | Literal["max"],
    BeforeValidator(_replicas, json_schema_input_type=Annotated[int, Field(ge=1, le=1024)] | Literal["max"]),
]
MemoryShare = Annotated[float, Field(gt=0, le=1)]
GpuList = Annotated[list[Annotated[int, Field(ge=0, le=1023)]], Field(min_length=1), AfterValidator(_distinct_numbers)]

FolderName = Annotated[str, AfterValidator(_folder_name)]
DataFolder = Annotated[Path, Field(strict=False), AfterValidator(_data_folder)]
ModelName = Annotated[str, AfterValidator(_plain_name)]
ModelNames = Annotated[list[ModelName], AfterValidator(_distinct)]
_OneOrMore = BeforeValidator(_one_or_more, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)])
CategoryNames = Annotated[
    list[Annotated[str, AfterValidator(_category)]],
    Field(min_length=1),
    _OneOrMore,
    AfterValidator(_distinct),
]
JudgeNames = Annotated[ModelNames, Field(min_length=1), _OneOrMore]

BaseUrl = Annotated[str, AfterValidator(_base_url)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
Webhook = Annotated[SecretStr, AfterValidator(_webhook)]
ServiceUrl = Annotated[str, AfterValidator(_service_url)]
ApiVersion = Annotated[str, AfterValidator(_api_version)]
Stream = Annotated[Literal[True, False, "auto"], BeforeValidator(_stream)]
LabelParser = Annotated[str, AfterValidator(_label_parser)]
Template = Annotated[str, AfterValidator(_template)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_json_object)]
RequestFields = Annotated[dict[str, Any], AfterValidator(_request_fields)]
Command = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
ServeArguments = Annotated[list[str], AfterValidator(_serve_arguments)]
