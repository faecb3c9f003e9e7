"""Templates of a judge's user message, with the placeholders of either generation of arena-hard.

Generation 2: {QUESTION}, {ANSWER_A} and {ANSWER_B}, each the whole of it, turns under numbered headings if there are
several. Generation 1: {question_1} .. {question_n}, turn by turn, and {answer_1} .. {answer_2n}, the turns of A and
then those of B; for a single turn {question_1}, {answer_1} and {answer_2}. A conversation with more turns than the
template has places for goes on in the last place; places without a turn stay empty.

As for Python's `str.format`, `{{` and `}}` mean single braces. Where a template has other single braces, as JSON has,
it was not written for `str.format`, and all its braces but the placeholders' are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_WHOLE = ("QUESTION", "ANSWER_A", "ANSWER_B")
_NUMBERED = r"(?:question|answer)_[1-9]\d?"
_KNOWN = re.compile(rf"\{{({'|'.join(_WHOLE)}|{_NUMBERED})\}}")
_KNOWN_OR_ESCAPED = re.compile(rf"{_KNOWN.pattern}|\{{\{{|\}}\}}")
_NAMES = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")
_REFERENCES = re.compile(r"ref_answer_\d+|REFERENCE")


def fill(template: str, question: Sequence[str], answer_a: Sequence[str], answer_b: Sequence[str]) -> str:
    """The template with every text in its places, in one pass: nothing in the texts is read as a placeholder."""
    literals, names, places = _pieces(template)
    texts = dict(zip(_WHOLE, (_whole(turns) for turns in (question, answer_a, answer_b)), strict=True))
    if places:
        texts |= _placed("question", 1, places, question)
        texts |= _placed("answer", 1, places, answer_a)
        texts |= _placed("answer", 1 + places, places, answer_b)
    parts = [literals[0]]
    for name, literal in zip(names, literals[1:], strict=True):
        parts += (texts[name], literal)
    return "".join(parts)


def problems_of(template: str) -> list[tuple[str, str]]:
    """What keeps a template from being used, as pairs of what is wrong and what to do; empty if nothing does."""
    names = set(_NAMES.findall(template))
    known = _parsed(template)[1]
    problems = [_unknown(name) for name in sorted(names - known)]
    if known & set(_WHOLE):
        problems += [
            (f"{{{name}}} is of the other generation's placeholders", f"keep to {_listed(_WHOLE)}")
            for name in sorted(known - set(_WHOLE))
        ]
        needed = set(_WHOLE)
    else:
        turns = _turns_of(known)
        needed = {f"question_{number}" for number in range(1, turns + 1)}
        needed |= {f"answer_{number}" for number in range(1, 2 * turns + 1)}
    if lacking := sorted(needed - known):
        problems.append(
            (
                f"{_listed(lacking)} {'is' if len(lacking) == 1 else 'are'} not in it",
                f"a template shows the judge {_listed(_WHOLE)}, or {{question_1}}, {{answer_1}}, {{answer_2}}",
            )
        )
    return problems


@lru_cache(maxsize=16)
def _parsed(template: str) -> tuple[re.Pattern[str], frozenset[str]]:
    """The pattern that finds what is to be replaced in a template, and the names of the placeholders in it."""
    is_format = re.search(r"[{}]", _KNOWN_OR_ESCAPED.sub("", template)) is None
    pattern = _KNOWN_OR_ESCAPED if is_format else _KNOWN
    return pattern, frozenset(found[1] for found in pattern.finditer(template) if found[1])


@lru_cache(maxsize=16)
def _pieces(template: str) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """A template cut at its placeholders: what stands between them (one more than there are), their names, and for
    how many turns its numbered places are (0: it has none). Cut once, for it is filled for every game."""
    pattern, known = _parsed(template)
    literals, names, at, literal = [], [], 0, ""
    for found in pattern.finditer(template):
        literal += template[at : found.start()]
        at = found.end()
        if found[1] is None:
            literal += found[0][0]  # a doubled brace
            continue
        literals.append(literal)
        names.append(found[1])
        literal = ""
    is_numbered = any(name not in _WHOLE for name in names)
    return (*literals, literal + template[at:]), tuple(names), _turns_of(known) if is_numbered else 0


def _unknown(name: str) -> tuple[str, str]:
    if _REFERENCES.fullmatch(name):
        return f"{{{name}}}: reference answers are not supported", "leave it out of the template"
    return f"{{{name}}} is no placeholder", f"write {{{{{name}}}}} if the braces are meant as they are"


def _turns_of(known: frozenset[str]) -> int:
    """For how many turns a template has places, by its numbered placeholders."""
    numbers = [(kind, int(number)) for kind, _, number in (name.partition("_") for name in known) if number.isdigit()]
    return max((number if kind == "question" else (number + 1) // 2 for kind, number in numbers), default=1)


def _placed(kind: str, first: int, places: int, turns: Sequence[str]) -> dict[str, str]:
    """Turn by turn into the numbered places from `first` on; what is too many goes into the last place."""
    last = places - 1
    texts = [*turns[:last], *[""] * (last - len(turns)), _whole(turns[last:], last + 1)]
    return {f"{kind}_{number}": text for number, text in enumerate(texts, start=first)}


def _whole(turns: Sequence[str], first: int = 1) -> str:
    """Several turns as one text, each under its number; one turn as it is."""
    if len(turns) <= 1:
        return "".join(turns)
    return "\n\n".join(f"[Turn {number}]\n{turn}" for number, turn in enumerate(turns, start=first))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
