"""The label rules that a config can name: from a judge's reply to one of five labels, or to the reason for none.

`"lenient"` (see `engine.judging.lenient`) reads what judges really write. `"v0.1"`, `"v2"` and `"arena-hard-local"`
reproduce the programs that others publish results with, exactly. Anything else is a regular expression.

The published rules differ in what a null costs: generation 1 asks the judge again only when nothing matches, and
different matches are null for good; generation 2 takes the last match and never asks again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from engine.judging.lenient import lenient
from engine.judging.spelling import CONFLICT, NONE, PUBLISHED, UNKNOWN, Verdict, normalise_label
from engine.labels import LABELS

_DOUBLE = re.compile(r"\[\[([AB<>=]+)\]\]")
_SINGLE = re.compile(r"\[([AB<>=]+)\]")
_LOCAL = re.compile(r"\[(\[?[AB<>=ab]+\]?)\]")


def arena_hard_v01(text: str) -> Verdict:
    """arena-hard-auto v0.1: upper case, double brackets, all the same, one of the five its leaderboard knows."""
    return _only_one(_DOUBLE.findall(text))


def arena_hard_local(text: str) -> Verdict:
    """arena-hard-local: one or two brackets, any case, but always the same (`[A>B]` beside `[[A>B]]` is null)."""
    return _only_one(_LOCAL.findall(text), lambda found: found.upper().replace("[", "").replace("]", ""))


def arena_hard_v2(text: str) -> Verdict:
    """arena-hard-auto v2: any case, the last label in double brackets; if there is none, the last in single ones."""
    shouted = text.upper()
    matches = _DOUBLE.findall(shouted) or _SINGLE.findall(shouted)
    if not matches:
        return NONE
    label = PUBLISHED.get(matches[-1])
    return Verdict(label) if label else UNKNOWN


def by_pattern(pattern: re.Pattern[str]) -> Callable[[str], Verdict]:
    """Return the rule of a user's pattern: the text of its group (or of the match) must be one label, in any spelling.

    As in generation 1, different labels are a conflict. Of several groups, the first non-empty one counts.
    """

    def rule(text: str) -> Verdict:
        matches = [next(filter(None, found.groups()), None) or found[0] for found in pattern.finditer(text)]
        labels = {normalise_label(match) for match in matches if match}
        if not labels:
            return NONE
        if len(labels) > 1:
            return CONFLICT
        label = labels.pop()
        return Verdict(label) if label else UNKNOWN

    return rule


def _only_one(matches: Sequence[str], cleaned: Callable[[str], str] = str) -> Verdict:
    """Apply the rule of generation 1: one distinct match, which counts if it is a label exactly as we spell it."""
    if not matches:
        return NONE
    if len(set(matches)) > 1:
        return CONFLICT
    return next((Verdict(label) for label in LABELS if label == cleaned(matches[0])), UNKNOWN)


RULES: MappingProxyType[str, Callable[[str], Verdict]] = MappingProxyType(
    {"lenient": lenient, "v0.1": arena_hard_v01, "v2": arena_hard_v2, "arena-hard-local": arena_hard_local}
)
"""The named rules."""


def parser(rule: str) -> Callable[[str], Verdict]:
    """Return the function that reads replies by a named rule, or by a pattern whose group (or match) is the label.

    The function never raises. Raises ValueError for a pattern that is no regular expression.
    """
    if rule in RULES:
        return RULES[rule]
    try:
        return by_pattern(re.compile(rule))
    except (re.error, RecursionError, OverflowError) as error:
        names = ", ".join(RULES)
        raise ValueError(f"{rule!r} is neither one of {names} nor a regular expression: {error}") from None


def asks_again(rule: str, verdict: Verdict) -> bool:
    """Return whether the judge is asked once more after `verdict`; `lenient` asks whenever there is no label.

    Generation 1, its fork and a user's pattern ask again only when nothing matched; generation 2 never does.
    """
    if verdict.label is not None or rule == "v2":
        return False
    return rule == "lenient" or verdict.reason == "none"
