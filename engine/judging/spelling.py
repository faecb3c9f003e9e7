"""The spellings of the five labels in replies and published files, and the verdict of one reply."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from engine.labels import LABELS, Label

_LONGEST = 80  # characters; anything longer is prose

_LETTERS = {**dict.fromkeys("AaАаΑα", "A"), **dict.fromkeys("BbВвБбΒβ", "B")}  # Latin, Cyrillic, Greek
_SIGNS = {
    **dict.fromkeys((">", "＞", "›", "≻", "&gt;", r"\>", r"\gt", r"\succ"), ">"),
    **dict.fromkeys(("≫", "»", r"\gg"), ">>"),
    **dict.fromkeys(("<", "＜", "‹", "≺", "&lt;", r"\<", r"\lt", r"\prec"), "<"),
    **dict.fromkeys(("≪", "«", r"\ll"), "<<"),
    **dict.fromkeys(("=", "＝", "≈", r"\=", r"\approx", r"\sim"), "="),
}
PUBLISHED: dict[str, Label] = {
    **{label: label for label in LABELS},
    "A<<B": "B>>A",
    "A<B": "B>A",
    "B=A": "A=B",
    "B<A": "A>B",
    "B<<A": "A>>B",
}
"""The ten spellings of generation 2's leaderboard."""
_MEANINGS: dict[str, Label] = {**PUBLISHED, "A==B": "A=B", "B==A": "A=B"}
_TIE_WORDS = frozenset({"tie", "draw", "equal", "ничья", "равны"})

_sign = r"(?:&[gl]t;|\\(?:succ|prec|approx|sim|gt|lt|gg|ll)(?![a-z])|\\?[<>=＜＞＝›‹≻≺≫≪»«≈])"
_gap = r"[ \t\u00a0*_`$~]{0,5}"
_name = r"(?i:(?:assistant|answer|model|response|ассистент|ответ|модель)[ \t]{1,2})?"
_letter = f"[{''.join(_LETTERS)}]"
SPELLING = re.compile(
    rf"(?<!\w){_name}(?P<left>{_letter}){_gap}(?P<sign>{_sign}(?:[ \t]?{_sign}){{0,3}}){_gap}"
    rf"{_name}(?P<right>{_letter})(?!\w)"
)
"""A label in any of its spellings, without brackets. All repeats are bounded: linear on any text."""

_one_sign = re.compile(_sign)
_AROUND = " \t\n\r\u00a0[]［］【】()*_`$\"'“”\\.,;:!"
_TEX = re.compile(r"\\(?:boxed|text(?:bf|it|tt)?|math(?:bf|rm|it|tt))(?![a-z])|[{}]")


class Verdict(msgspec.Struct, frozen=True):
    """The label of a judge's reply, or the reason why it has none.

    `reason` is "" with a label; "none" if nothing in the reply counts as a label; "conflict" if different labels do;
    "unknown" if the rule finds something (`[[A]]`, `[[A>>>B]]`) that is none of the five.
    """

    label: Label | None
    reason: Literal["", "none", "conflict", "unknown"] = ""


NONE = Verdict(None, "none")
CONFLICT = Verdict(None, "conflict")
UNKNOWN = Verdict(None, "unknown")


def normalise_label(text: str) -> Label | None:
    """Return the label that a text is, in any brackets, case, spacing, alphabet and direction; None for other texts.

    `[[a > b]]`, `[A>B]`, `B<A`, `**А>В**` (Cyrillic) and `\\boxed{A \\gt B}` all are "A>B"; `[[Tie]]` is "A=B". The
    text must be a label and nothing else: `[[A]]`, `A>>>B` and sentences are None.
    """
    if len(text) > _LONGEST:
        return None
    bare = _TEX.sub("", text).strip(_AROUND)
    spelt = SPELLING.fullmatch(bare)
    if spelt is not None:
        return meaning(spelt)
    return "A=B" if bare.casefold() in _TIE_WORDS else None


def meaning(spelt: re.Match[str]) -> Label | None:
    """Return the label of a match of `SPELLING`; None for matches such as `A>>>B`, `A<>B` and `A>A`."""
    signs = "".join(_SIGNS[sign] for sign in _one_sign.findall(spelt["sign"]))
    return _MEANINGS.get(f"{_LETTERS[spelt['left']]}{signs}{_LETTERS[spelt['right']]}")
