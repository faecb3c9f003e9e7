"""YAML from elsewhere, in bounds: `&anchors`, aliases and merges can stand for more values than any memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from engine.errors import ConfigError, ConfigProblem
from engine.opening import read_whole

_MOST_BYTES = 1 << 20
_MOST_VALUES = 100_000  # with every alias written out
_DEEPEST = 100
_MOST_DIGITS = 1000
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


def read_yaml(path: Path) -> Any:
    """Return the document in a YAML file. Raises ConfigError: not readable, not YAML (with the line), out of bounds."""
    text = ""
    wrong: ConfigProblem | None = None
    try:
        text = read_whole(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        wrong = ConfigProblem("file", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        wrong = ConfigProblem("file", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")
    if wrong is not None:
        raise ConfigError(str(path), [wrong])
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Any:
    """Return the document in a text; `name` names it in errors. Raises ConfigError: not YAML, out of bounds."""
    try:
        return _loaded(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        wrong = ConfigProblem("YAML", f"{line}{error.problem or 'cannot be read'}")
    except (yaml.YAMLError, ValueError, RecursionError):
        wrong = ConfigProblem("YAML", "cannot be read as YAML")
    # Raised outside the handlers: the parser's own error quotes the file, keys included.
    raise ConfigError(name, [wrong])


def _loaded(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _values(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[int, int], depth: int = 0) -> int:
    """Return how many values a node holds with its aliases written out. Raises MarkedYAMLError beyond the bounds."""
    held = known.get(id(node))
    if held is not None:
        return held
    if node.tag in _NUMBERS and len(node.value) > _MOST_DIGITS:
        raise yaml.MarkedYAMLError(problem=f"a number of more than {_MOST_DIGITS} digits", problem_mark=node.start_mark)
    known[id(node)] = values = 1  # which is what an alias of a node in itself counts
    if isinstance(node, yaml.CollectionNode):
        children = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
        for child in children:
            values += _values(child, known, depth + 1)
    if depth > _DEEPEST or values > _MOST_VALUES:
        limit = f"{_DEEPEST} levels" if depth > _DEEPEST else f"{_MOST_VALUES} values with its aliases written out"
        raise yaml.MarkedYAMLError(problem=f"it has more than {limit}", problem_mark=node.start_mark)
    known[id(node)] = values
    return values
