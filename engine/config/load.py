"""From a file to a `Config`, or to one error with every problem.

`${NAME}` is read from the environment; `$${NAME}` is the text `${NAME}` itself.

Texts that go to a model and fields that are recorded with results (prompts, label patterns, extra request fields) are
left as they are: a value from the environment may be a secret, and these texts are written to files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import tomli
from pydantic import ValidationError

from engine.config.adapters import expanded
from engine.config.checks import (
    models_in_use,
    unclear_categories,
    unfit_for_provider,
    unknown_models,
    with_hosted_endpoints,
)
from engine.config.model import Config
from engine.config.overrides import Assignment, assigned
from engine.config.problems import LocatedProblem, from_validation, problem
from engine.config.wording import KeyPath, key_of
from engine.errors import Advice, AdviceKind, ConfigError, ConfigProblem
from engine.opening import read_whole
from engine.redaction import KEY_SHOWN_AS, can_be_secret, path_secrets

_LARGEST = 64 << 20  # bytes of a config
_VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LEFT_AS_THEY_ARE = {"system_prompt", "prompt", "labels", "extra_body", "chat_template_kwargs"}


class Unset(NamedTuple):
    """A variable that the config names at `place` and that the environment does not have."""

    place: KeyPath
    name: str


def expand(document: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Unset]]:
    """A copy of `document` with its variables filled in, and the variables that are not set.

    A text that names an unset variable becomes empty.
    """
    unset: list[Unset] = []

    def filled(value: Any, place: KeyPath) -> Any:
        if place and place[-1] in _LEFT_AS_THEY_ARE and place[:-1] != ("models",):
            return value
        if isinstance(value, Mapping):
            return {key: filled(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*place, number)) for number, item in enumerate(value)]
        return text(value, place) if isinstance(value, str) else value

    def text(value: str, place: KeyPath) -> str:
        names = [match[2] for match in _VARIABLE.finditer(value) if not match[1]]
        absent = [name for name in dict.fromkeys(names) if name not in environ]
        unset.extend(Unset(place, name) for name in absent)
        if absent:
            return ""
        return _VARIABLE.sub(lambda match: match[0][1:] if match[1] else environ[match[2]], value)

    return {key: filled(value, (key,)) for key, value in document.items()}, unset


_TOO_DEEP = ConfigProblem("TOML", "is nested too deeply")
_DEEPEST = 50  # tables and lists within one another


def load_config(
    path: str | PathLike[str],
    environ: Mapping[str, str] | None = None,
    *,
    keys: bool = True,
    assignments: Sequence[Assignment] = (),
) -> Config:
    """Read a config file. `environ` is the process's own by default; `assignments` replace values of the file.

    With `keys=False`, for commands that call no server, an API key may name a variable that is not set. Otherwise only
    the key of a model that neither answers nor judges may. Raises ConfigError.
    """
    file = Path(path)
    return parse_config(read_toml(file), file, environ, keys=keys, assignments=assignments)


def parse_config(
    document: Mapping[str, Any],
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    keys: bool = True,
    assignments: Sequence[Assignment] = (),
) -> Config:
    """A config from what a TOML file holds, as `load_config`; relative paths count from the folder of `file`."""
    config, problems = examine(document, file, environ, keys=keys, assignments=assignments)
    if config is None or problems:
        raise ConfigError(str(file or "config"), [found.problem for found in problems])
    return config


def require_keys(config: Config, models: Iterable[str]) -> None:
    """Raise ConfigError if a key of one of `models` names an environment variable that is not set.

    For models that a command calls though the config itself would not (its own were checked when it was loaded).
    """
    missing = [
        ConfigProblem(f"models.{model}", _not_set(name), _how_to_set(name))
        for model in models
        for name in config.unset_variables.get(model, ())
    ]
    if missing:
        raise ConfigError(str(config.file or "config"), missing)


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a TOML file. Raises ConfigError: no such file, not text, not TOML (with the line)."""
    try:
        document = tomli.loads(read_whole(path, _LARGEST).decode("utf-8-sig"))
        if _depth(document) <= _DEEPEST:
            return document
        wrong = _TOO_DEEP
    except FileNotFoundError:
        wrong = ConfigProblem(
            "file",
            "does not exist",
            Advice(
                "name another one, import one, or try the demo", AdviceKind.CONFIG, AdviceKind.IMPORT, AdviceKind.DEMO
            ),
        )
    except OSError as error:
        wrong = ConfigProblem("file", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        wrong = ConfigProblem("file", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")
    except tomli.TOMLDecodeError as error:
        wrong = ConfigProblem("TOML", str(error))
    except RecursionError:
        wrong = _TOO_DEEP
    except ValueError:
        wrong = ConfigProblem("TOML", "holds a number of too many digits")
    # Raised outside the handlers: the parser's own error holds the whole text, keys included.
    raise ConfigError(str(path), [wrong])


def examine(
    document: Mapping[str, Any],
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    keys: bool = True,
    assignments: Sequence[Assignment] = (),
) -> tuple[Config | None, list[LocatedProblem]]:
    """The config if the document makes one, and everything that is wrong with the document, table by table."""
    given = assigned(document, assignments)
    document = with_hosted_endpoints(given.document)
    environ = os.environ if environ is None else environ
    filled, unset = expand(document, environ)
    called = models_in_use(filled) if keys else set()
    missed = [gap for gap in unset if not (_is_key(gap) and gap.place[1] not in called)]
    problems = [problem(gap.place, _not_set(gap.name), _how_to_set(gap.name)) for gap in missed]

    filled, wrong_adapters = expanded(filled, file.parent if file else Path())
    problems += [*wrong_adapters, *given.problems]
    data = filled.get("data", "data")
    if isinstance(data, str):
        filled["data"] = data_folder(data, file)
    config, errors = None, []
    try:
        context = {
            "file": file,
            "unset": _unset_keys(unset),
            "hidden": _path_secrets(document, environ),
            "origins": {key_of(path): origin for path, origin in given.origins.items()},
        }
        config = Config.model_validate(filled, context=context)
        if "data" not in document:
            config.model_fields_set.discard("data")
    except ValidationError as error:
        errors = error.errors(include_url=False)
    found = (from_validation(error, filled) for error in errors)
    # Where a variable is not set there is nothing else to judge.
    blank = {gap.place for gap in unset}
    unfit = (*unfit_for_provider(config), *unclear_categories(config)) if config is not None else ()
    problems += [wrong for wrong in (*found, *unknown_models(filled), *unfit) if wrong.path not in blank]
    return config, [*map(given.located, sorted(problems, key=lambda wrong: _position(wrong, document)))]


def _depth(document: dict[str, Any]) -> int:
    """How many tables and lists stand within one another."""
    depth = 0
    level: list[dict[str, Any] | list[Any]] = [document]
    while level:
        depth += 1
        values = (item for value in level for item in (value.values() if isinstance(value, dict) else value))
        level = [value for value in values if isinstance(value, dict | list)]
    return depth


def data_folder(data: str, file: Path | None) -> Path:
    """Return the path of `data` as a config `file` names it."""
    folder = file.parent if file else Path()
    try:
        return folder / Path(data).expanduser()
    except RuntimeError:  # `~name` of a user without a home folder
        return folder / data


def _is_key(gap: Unset) -> bool:
    """Whether only calls to a model would miss the variable."""
    return gap.place[0] == "models" and (gap.place[-1] == "api_key" or gap.place[2:4] == ("serve", "env"))


def _unset_keys(unset: Iterable[Unset]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for gap in filter(_is_key, unset):
        names.setdefault(str(gap.place[1]), []).append(gap.name)
    return names


def _path_secrets(document: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what may be secret in the paths of addresses, with how it is shown: variables as they are written."""
    models = document.get("models")
    entries = models.values() if isinstance(models, Mapping) else ()
    endpoints = [entry.get("endpoints") for entry in entries if isinstance(entry, Mapping)]
    urls = [
        endpoint.get("base_url")
        for given in endpoints
        for endpoint in (given if isinstance(given, list) else ())
        if isinstance(endpoint, Mapping)
    ]
    paths = [re.sub("^[^/]*//[^/]*", "", url) for url in urls if isinstance(url, str)]
    variables = [match for path in paths for match in _VARIABLE.finditer(path) if not match[1] and match[2] in environ]
    values = {environ[match[2]].strip(): match[0] for match in variables}
    values |= {part: KEY_SHOWN_AS for path in paths for part in path_secrets(path)}
    return {value: shown for value, shown in values.items() if "://" not in value and can_be_secret(value)}


def _not_set(name: str) -> str:
    return f"the environment variable {name} is not set"


def _how_to_set(name: str) -> str:
    return f"export {name}=..., or remove the key if the server needs none"


def _position(wrong: LocatedProblem, document: Mapping[str, Any]) -> int:
    """Where the problem's table stands in the document; what is missing comes last."""
    names = list(document)
    return names.index(str(wrong.path[0])) if wrong.path and wrong.path[0] in document else len(names)
