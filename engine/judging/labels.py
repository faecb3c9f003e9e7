"""From a judge's reply to one of five labels, by the rule that the config names.

`"lenient"` (see `engine.judging.lenient`) understands what judges really write. `"v0.1"`, `"v2"` and
`"arena-hard-local"` reproduce the rules of those programs. Anything else is a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType

from engine.judging.lenient import lenient
from engine.judging.rules import Verdict, arena_hard_local, arena_hard_v01, arena_hard_v2, by_pattern
from engine.judging.spelling import normalise_label

__all__ = ["RULES", "Verdict", "asks_again", "normalise_label", "parser"]

RULES: MappingProxyType[str, Callable[[str], Verdict]] = MappingProxyType(
    {"lenient": lenient, "v0.1": arena_hard_v01, "v2": arena_hard_v2, "arena-hard-local": arena_hard_local}
)
"""The rules that have a name."""


def parser(rule: str) -> Callable[[str], Verdict]:
    """The function that reads replies by a named rule, or by a regular expression whose group (or match) is the label.

    It never raises, whatever the reply. Raises ValueError, in words, for a pattern that is none.
    """
    if rule in RULES:
        return RULES[rule]
    try:
        return by_pattern(re.compile(rule))
    except (re.error, RecursionError, OverflowError) as error:
        names = ", ".join(RULES)
        raise ValueError(f"{rule!r} is neither one of {names} nor a regular expression: {error}") from None


def asks_again(rule: str, verdict: Verdict) -> bool:
    """Whether the judge is asked once more after `verdict`: as the programs of the named rules do; `lenient` always.

    Generation 1 and its fork (and a user's own pattern) ask again only when nothing matched; v2 never does.
    """
    if verdict.label is not None or rule == "v2":
        return False
    return rule == "lenient" or verdict.reason == "none"
