"""`${NAME}` in a config reads the environment; `$${NAME}` stands for the text `${NAME}` itself.

Texts that go to a model and fields that are recorded with results (prompts, label patterns, extra request fields) are
left as they are: a value from the environment may be a secret, and those are written to files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.config.wording import Place

_VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LEFT_AS_THEY_ARE = {"system_prompt", "prompt", "labels", "extra_body", "chat_template_kwargs"}


class Unset(NamedTuple):
    """A variable that the config names at `place` and that the environment does not have."""

    place: Place
    name: str


def expand(document: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Unset]]:
    """A copy of `document` with its variables filled in, and the variables that are not set.

    A text that names an unset variable becomes empty.
    """
    unset: list[Unset] = []

    def filled(value: Any, place: Place) -> Any:
        if place and place[-1] in _LEFT_AS_THEY_ARE and place[:-1] != ("models",):
            return value
        if isinstance(value, Mapping):
            return {key: filled(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*place, number)) for number, item in enumerate(value)]
        return text(value, place) if isinstance(value, str) else value

    def text(value: str, place: Place) -> str:
        names = [match[2] for match in _VARIABLE.finditer(value) if not match[1]]
        absent = [name for name in dict.fromkeys(names) if name not in environ]
        unset.extend(Unset(place, name) for name in absent)
        if absent:
            return ""
        return _VARIABLE.sub(lambda match: match[0][1:] if match[1] else environ[match[2]], value)

    return {key: filled(value, (key,)) for key, value in document.items()}, unset
