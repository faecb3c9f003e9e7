"""The label rules of the programs that others publish results with, each exactly as that program has it.

They differ in what a null costs: generation 1 asks the judge again only when there is no match at all, and different
matches are null for good; generation 2 takes the last match and never asks again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from engine.judging.spelling import PUBLISHED, normalise_label
from engine.records import LABELS, Label

_DOUBLE = re.compile(r"\[\[([AB<>=]+)\]\]")
_SINGLE = re.compile(r"\[([AB<>=]+)\]")
_LOCAL = re.compile(r"\[(\[?[AB<>=ab]+\]?)\]")


class Verdict(msgspec.Struct, frozen=True):
    """What one reply of a judge comes to: a label, or the reason why there is none.

    `reason` is "" with a label; "none" if nothing in the reply counts as one; "conflict" if different ones do;
    "unknown" if a rule takes something for one (`[[A]]`, `[[A>>>B]]`) that is none of the five.
    """

    label: Label | None
    reason: Literal["", "none", "conflict", "unknown"] = ""


NONE = Verdict(None, "none")
CONFLICT = Verdict(None, "conflict")
UNKNOWN = Verdict(None, "unknown")


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
    """The rule of a user's own pattern: what its groups (or all of it) match must be one label, in any spelling.

    As in generation 1, different labels are a conflict. Of several groups, the first that matched anything counts.
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
    """Generation 1's rule: one distinct match, which counts if it is one of the five in their own spelling."""
    if not matches:
        return NONE
    if len(set(matches)) > 1:
        return CONFLICT
    found = cleaned(matches[0])
    label = next((label for label in LABELS if label == found), None)
    return Verdict(label) if label else UNKNOWN
