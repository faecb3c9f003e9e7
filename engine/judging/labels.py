"""Verdict labels: finding the one label that a judge meant in what it wrote. Conflicts are told, never guessed away.

Five labels, `A>>B  A>B  A=B  B>A  B>>A`. Parsers are chosen by name:

- `lenient` reads what judges really write (see `_Lenient`);
- `v0.1`, `v2` and `arena-hard-local` follow the rules of those programs exactly, for results that are to be comparable;
- anything else is a regular expression whose first group (or whole match) holds the label.

Every parser takes any text, never raises, and takes time linear in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from engine.records import LABELS, Label

PARSER_NAMES = ("lenient", "v0.1", "v2", "arena-hard-local")


class Verdict(msgspec.Struct, frozen=True):
    """What was found: a label, or why there is none. `found` holds the distinct labels in the order of the text."""

    label: Label | None
    reason: Literal["", "none", "conflict"] = ""
    found: tuple[str, ...] = ()


Parser: TypeAlias = Callable[[str], Verdict]

NO_VERDICT = Verdict(None, "none")

# Letters and signs that look like those of a label, or that markup puts in their place.
_LOOKALIKES = str.maketrans({"А": "A", "а": "A", "В": "B", "в": "B", "＞": ">", "＜": "<", "＝": "=", "≫": ">>", "≪": "<<"})
_MARKUP = (("\\gg", ">>"), ("\\ll", "<<"), ("&gt;", ">"), ("&lt;", "<"))
_SHAPE = re.compile(r"([AB])\s*(>>|>|=|<|<<)\s*([AB])", re.IGNORECASE)
_MIRROR: Mapping[str, str] = {"<": ">", "<<": ">>"}
_TIES = ("TIE", "НИЧЬЯ")


def normalise_label(text: str) -> Label | None:
    """The label that `text` is, however it is spelled: `[[A>B]]`, `[a>b`, `B<<A`, `B=A`, Cyrillic `А>В`, `Tie`. Else None."""
    core = _plain(text).strip(" \t\r\n[]*`_\"'.")
    if core.upper() in _TIES:
        return "A=B"
    shape = _SHAPE.fullmatch(core)
    if shape is None:
        return None
    first, sign, second = shape[1].upper(), shape[2], shape[3].upper()
    if first == second:
        return None
    if sign == "=":
        return "A=B"
    if sign in _MIRROR:
        first, sign, second = second, _MIRROR[sign], first
    return _as_label(f"{first}{sign}{second}")


def flip(label: Label) -> Label:
    """The same verdict with the places of the answers swapped."""
    return _FLIPPED[label]


_FLIPPED: Mapping[Label, Label] = dict(zip(LABELS, reversed(LABELS), strict=True))


def parser(name: str) -> Parser:
    """The parser of that name, or one for a regular expression. Raises ValueError for an invalid expression."""
    match name:
        case "lenient":
            return _lenient
        case "v0.1":
            return _v01
        case "v2":
            return _v2
        case "arena-hard-local":
            return _arena_hard_local
    try:
        pattern = re.compile(name)
    except re.error as error:
        raise ValueError(f"neither a parser ({', '.join(PARSER_NAMES)}) nor a regular expression: {error}") from None
    return lambda text: _one_of(normalise_label(found[1] if pattern.groups else found[0]) for found in pattern.finditer(text))


# --- lenient -----------------------------------------------------------------------------------------------------

_LABEL = r"(?:[AB]\s{0,2}(?:>>|>|=|<<|<)\s{0,2}[AB](?![A-Za-z0-9_]))"
_WORD = r"(?:tie|ничья)"
_WRAP = r"[*_`\s\"']{0,4}"
_TIERS = tuple(
    re.compile(shape, re.IGNORECASE)
    for shape in (
        rf"\[\[{_WRAP}({_LABEL}|{_WORD}){_WRAP}\]\]",
        rf"\\boxed\s?\{{(?:\\text\s?\{{)?{_WRAP}\[{{0,2}}({_LABEL}|{_WORD})\]{{0,2}}{_WRAP}\}}",
        rf"(?<!\[)\[{_WRAP}({_LABEL}|{_WORD}){_WRAP}\]",
        rf"(?:\*\*|__|`)\s?({_LABEL})\s?(?:\*\*|__|`)",
        rf"(?m:^[\s>*_#-]{{0,8}}({_LABEL})[\s.*_]{{0,8}}$)",
    )
)
_MARKER = re.compile(
    r"\b(?:(?:final|overall)\s(?:verdict|label|decision|judg(?:e)?ment|answer)|verdict\s?(?:is|:)|"
    r"(?:итогов\w{1,3}|окончательн\w{1,3}|финальн\w{1,3})\s(?:вердикт|метк\w|оценк\w|решени\w|вывод)|вердикт\s?[:—–-])",
    re.IGNORECASE,
)
_REACH = 120  # characters behind a marker in which its label must stand
_BARE = re.compile(rf"(?<![A-Za-z0-9_])({_LABEL})", re.IGNORECASE)


def _lenient(text: str) -> Verdict:
    """The label behind a final-verdict marker; without one, the only label in the most explicit notation that occurs.

    A judge may explain the labels, or quote an answer that claims a verdict, before it says "My final verdict is: [[A>B]]":
    what stands behind such a marker counts alone. Notations from explicit to bare: `[[A>B]]`, `\\boxed{A>B}`, `[A>B]`,
    `**A>B**`, a line that holds nothing but the label. Different labels are a conflict.
    """
    plain = _plain(text)
    marked = []
    for marker in _MARKER.finditer(plain):
        behind = plain[marker.end() : marker.end() + _REACH]
        for pattern in (*_TIERS[:4], _BARE):
            if found := pattern.search(behind):
                marked.append(normalise_label(found[1]))
                break
    verdict = _one_of(marked)
    if verdict.reason != "none":
        return verdict
    for pattern in _TIERS:
        verdict = _one_of(normalise_label(found[1]) for found in pattern.finditer(plain))
        if verdict.reason != "none":
            return verdict
    return NO_VERDICT


# --- the rules of other programs -----------------------------------------------------------------------------------

_V01 = re.compile(r"\[\[([AB<>=]+)\]\]")
_V2 = (re.compile(r"\[\[([AB<>=]+)\]\]"), re.compile(r"\[([AB<>=]+)\]"))
_LOCAL = re.compile(r"\[(\[?[AB<>=ab]+\]?)\]")
_V2_LABELS: Mapping[str, Label] = {
    "A>>B": "A>>B", "A>B": "A>B", "A=B": "A=B", "B>A": "B>A", "B>>A": "B>>A",
    "A<<B": "B>>A", "A<B": "B>A", "B=A": "A=B", "B<A": "A>B", "B<<A": "A>>B",
}  # fmt: skip


def _v01(text: str) -> Verdict:
    """arena-hard-auto v0.1: upper-case double brackets; two different ones are a conflict."""
    return _raw(dict.fromkeys(_V01.findall(text)), _as_label)


def _v2(text: str) -> Verdict:
    """arena-hard-auto v2: upper-cased; the last match of double brackets, or else of single ones."""
    shouted = text.upper()
    for pattern in _V2:
        matches = pattern.findall(shouted)
        if matches:
            label = _V2_LABELS.get(matches[-1])
            return Verdict(label, "" if label else "none", tuple(dict.fromkeys(matches)))
    return NO_VERDICT


def _arena_hard_local(text: str) -> Verdict:
    """arena-hard-local: single or double brackets, told apart as they are written (`[A>B]` beside `[[A>B]]` conflicts)."""
    return _raw(dict.fromkeys(_LOCAL.findall(text)), lambda raw: _as_label(raw.strip("[]")))


def _raw(distinct: Iterable[str], read: Callable[[str], Label | None]) -> Verdict:
    """The only raw match, if it is a label."""
    found = tuple(distinct)
    if len(found) != 1:
        return Verdict(None, "conflict" if found else "none", found)
    label = read(found[0])
    return Verdict(label, "" if label else "none", found)


# --- shared ----------------------------------------------------------------------------------------------------------


def _one_of(labels: Iterable[Label | None]) -> Verdict:
    """The only distinct label among `labels`; those that are none do not count."""
    found = tuple(dict.fromkeys(label for label in labels if label is not None))
    if len(found) == 1:
        return Verdict(found[0], "", found)
    return Verdict(None, "conflict" if found else "none", found)


def _plain(text: str) -> str:
    """`text` with look-alike letters and signs replaced by those of the labels."""
    text = text.translate(_LOOKALIKES)
    for markup, sign in _MARKUP:
        if markup in text:
            text = text.replace(markup, sign)
    return text


def _as_label(text: str) -> Label | None:
    return next((label for label in LABELS if label == text), None)
