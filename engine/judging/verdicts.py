"""Verdicts requested on their own: what the judge is sent, and how its reply is read. Pure.

A label takes several tokens, and servers report probabilities only along the sampled path. So that the first token has
the probabilities of all five labels, each label gets a number: a digit is a single token in every vocabulary, and
unlike a letter it cannot be confused with the assistants A and B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from engine.judging.probabilities import Probabilities, most_probable, normalised
from engine.judging.prompts import FORMS, SIMPLE, JudgePrompt, option_lines
from engine.judging.spelling import NONE, Verdict
from engine.labels import LABELS, Label
from engine.records import VerdictMode

NUMBERS: tuple[str, ...] = ("1", "2", "3", "4", "5")
"""The replies of a soft judge, in the order of `LABELS`."""

LEAST_LABEL_MASS = 0.5  # of the probability of a first token: a judge that follows its prompt gives nearly all of it

_ASKED = {
    "constrained": f"Give your verdict now. Write one of these five labels and nothing else:\n\n{option_lines(FORMS)}",
    "soft": f"Give your verdict now. Write one of these five numbers, in place of a label and of all else:\n\n"
    f"{option_lines(NUMBERS)}",
}
_SIMPLE_SOFT = JudgePrompt(
    SIMPLE.name,
    SIMPLE.system.replace("labels, with its double square brackets, and", "numbers, and").replace(
        option_lines(FORMS), option_lines(NUMBERS)
    ),
    SIMPLE.template.replace("Output the label only.", "Output the number only."),
)

_BY_NUMBER: dict[str, Label] = dict(zip(NUMBERS, LABELS, strict=True))
_BY_FORM: dict[str, Label] = dict(zip(FORMS, LABELS, strict=True))


@lru_cache(maxsize=16)
def opening_prompt(prompt: JudgePrompt, mode: VerdictMode) -> JudgePrompt:
    """Return the prompt that opens a game in this mode: the same, with an end that requests the verdict alone.

    "simple" requests just that anyway. The beginning stays as it is, and with it the prefix that calls share.
    """
    if mode.kind == "text" or mode.thinks_first:
        return prompt
    if prompt == SIMPLE:
        return _SIMPLE_SOFT if mode.kind == "soft" else prompt
    return JudgePrompt(prompt.name, prompt.system, f"{prompt.template}\n\n{_ASKED[mode.kind]}")


def asked_for_verdict(mode: VerdictMode) -> str:
    """Return the user's message that requests the verdict after a judge's free text."""
    return _ASKED["soft" if mode.kind == "soft" else "constrained"]


def wording_of(prompt: JudgePrompt, mode: VerdictMode) -> dict[str, str]:
    """Return all that a judge is sent besides question and answers; `prompt` is the one that opens a game."""
    wording = {"system": prompt.system, "template": prompt.template}
    if mode.thinks_first or mode.constrains_reasks:
        wording["verdict"] = asked_for_verdict(mode)
    return wording


def choices(mode: VerdictMode) -> tuple[str, ...]:
    """Return the five replies that a judge may give to a request for the verdict, in the order of `LABELS`."""
    return NUMBERS if mode.kind == "soft" else FORMS


def read_form(reply: str, parse: Callable[[str], Verdict]) -> Verdict:
    """Return the verdict of a constrained judge; the text of a server that ignores constraints is parsed."""
    label = _BY_FORM.get(reply)
    return Verdict(label) if label is not None else parse(reply)


def read_first_token(tokens: Iterable[tuple[str, float]]) -> tuple[Verdict, Probabilities | None, float]:
    """Return verdict, probabilities and the labels' total mass, from the likeliest first tokens with log-probabilities.

    A vocabulary may hold a number with and without a space before it: both count. Where the labels have less than
    `LEAST_LABEL_MASS` of all probability, the judge would have written something else: there is no verdict.
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
    total = min(1.0, math.fsum(mass.values()))
    if total < LEAST_LABEL_MASS:
        return NONE, None, total
    return Verdict(most_probable(probabilities)), probabilities, total
