"""One value of a config file replaced or added in its text: comments, order and layout stay. Pure."""

from __future__ import annotations

from typing import Any

import tomli
import tomlkit
from tomlkit.exceptions import TOMLKitError

from engine.config.overrides import Assigned, Assignment, assigned
from engine.config.wording import key_of
from engine.errors import UsageProblem


def with_value(text: str, assignment: Assignment) -> tuple[str, Assigned]:
    """Return the text of a config with a value assigned, and the document that it holds then.

    Raises UsageProblem if the text cannot be changed in place, and for what cannot be assigned.
    """
    change = assigned(tomli.loads(text), [assignment])
    if change.problems:
        place, problem = change.problems[0]
        raise UsageProblem(f"{key_of(place)}: {problem.message}", problem.hint)
    (path,) = change.origins
    has_crlf = "\r\n" in text
    document = tomlkit.parse(text.replace("\r\n", "\n"))
    try:
        table: Any = document
        for number, step in enumerate(path[:-1]):
            if isinstance(step, str) and step not in table:
                table[step] = tomlkit.table(is_super_table=number < len(path) - 2)
            table = table[step]
        table[path[-1]] = assignment.value
        changed = tomlkit.dumps(document)
        holds = tomli.loads(changed)
    except (TOMLKitError, tomli.TOMLDecodeError, LookupError, TypeError, ValueError):
        holds, changed = {}, ""
    if holds != change.document:  # a layout that the editing library does not master
        raise UsageProblem(f"{assignment.origin}: the layout of the file does not allow it", "edit the file by hand")
    return (changed.replace("\n", "\r\n") if has_crlf else changed), change
