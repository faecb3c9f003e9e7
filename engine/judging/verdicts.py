"""Verdicts that are asked for on their own: what the judge is told, and how its reply is read. Pure.

A label takes several tokens, and only the path that was drawn through them is told. So that one token tells the
probabilities of all five, each label gets a number: a digit is a single token in every vocabulary, and unlike a letter
it is not mixed up with the assistants A and B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from engine.judging.probabilities import Probabilities, most_probable, normalised
from engine.judging.prompts import SIMPLE, JudgePrompt
from engine.judging.spelling import NONE, Verdict
from engine.labels import LABELS, Label
from engine.records import VerdictMode

FORMS: tuple[str, ...] = tuple(f"[[{label}]]" for label in LABELS)
"""What a constrained judge writes."""

NUMBERS: tuple[str, ...] = ("1", "2", "3", "4", "5")
"""What a soft judge writes in place of the labels, in their order."""

_MEANINGS = ("A is much better", "A is a little better", "they are about equally good", "B is a little better",
             "B is much better")  # fmt: skip
_FORM_LINES = "\n".join(f"{form}  {meaning}" for form, meaning in zip(FORMS, _MEANINGS, strict=True))
_NUMBER_LINES = "\n".join(f"{number}  {meaning}" for number, meaning in zip(NUMBERS, _MEANINGS, strict=True))

_ASKED = {
    "constrained": f"Give your verdict now. Write one of these five labels and nothing else:\n\n{_FORM_LINES}",
    "soft": f"Give your verdict now. Write one of these five numbers, in place of a label and of all else:\n\n"
    f"{_NUMBER_LINES}",
}
_SIMPLE_SOFT = JudgePrompt(
    SIMPLE.name,
    SIMPLE.system.replace("labels, with its double square brackets, and", "numbers, and").replace(
        _FORM_LINES, _NUMBER_LINES
    ),
    SIMPLE.template.replace("Output the label only.", "Output the number only."),
)

_BY_NUMBER: dict[str, Label] = dict(zip(NUMBERS, LABELS, strict=True))
_BY_FORM: dict[str, Label] = dict(zip(FORMS, LABELS, strict=True))


@lru_cache(maxsize=16)
def opening_prompt(prompt: JudgePrompt, mode: VerdictMode) -> JudgePrompt:
    """The prompt that opens a game in this mode: the same, with an end that asks for the verdict and nothing else.

    "simple" asks for just that by itself. What stands before the end stays as it is, and so does what calls share.
    """
    if mode.kind == "text" or mode.thinks_first:
        return prompt
    if prompt == SIMPLE:
        return _SIMPLE_SOFT if mode.kind == "soft" else prompt
    return JudgePrompt(prompt.name, prompt.system, f"{prompt.template}\n\n{_ASKED[mode.kind]}")


def asked_for_verdict(mode: VerdictMode) -> str:
    """The user's message that follows what a judge wrote freely, and asks for the verdict."""
    return _ASKED["soft" if mode.kind == "soft" else "constrained"]


def wording_of(prompt: JudgePrompt, mode: VerdictMode) -> dict[str, str]:
    """All that a judge is told besides question and answers; `prompt` is the one that opens a game."""
    wording = {"system": prompt.system, "template": prompt.template}
    if mode.thinks_first or mode.constrains_reasks:
        wording["verdict"] = asked_for_verdict(mode)
    return wording


def choices(mode: VerdictMode) -> tuple[str, ...]:
    """The five replies that a judge may give when it is asked for the verdict alone, in the order of `LABELS`."""
    return NUMBERS if mode.kind == "soft" else FORMS


def read_form(said: str, parse: Callable[[str], Verdict]) -> Verdict:
    """The verdict of a constrained judge; a server that ignores constraints lets it write a text, which is parsed."""
    label = _BY_FORM.get(said)
    return Verdict(label) if label is not None else parse(said)


def read_first_token(tokens: Iterable[tuple[str, float]]) -> tuple[Verdict, Probabilities | None, float]:
    """The verdict, all probabilities and the labels' mass, from the likeliest first tokens and their log-probabilities.

    A vocabulary may hold a number with and without a space before it: both count.
    """
    mass: dict[Label, float] = {}
    seen: set[str] = set()
    for token, logprob in tokens:
        label = _BY_NUMBER.get(token.strip())
        if label is not None and token not in seen:  # the drawn token may be listed twice
            seen.add(token)
            mass[label] = mass.get(label, 0.0) + math.exp(min(logprob, 0.0))
    probabilities = normalised(mass)
    if probabilities is None:
        return NONE, None, 0.0
    return Verdict(most_probable(probabilities)), probabilities, min(1.0, math.fsum(mass.values()))
