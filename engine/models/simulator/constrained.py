"""Replies under `structured_outputs`, and the log-probabilities of what was said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from engine.models.simulator.chance import Draws
from engine.models.simulator.requests import StructuredOutputs
from engine.models.simulator.tokens import count_tokens, pieces
from engine.models.simulator.verdicts import Opinion
from engine.records import LABELS

_FRAMES = ("{}", "[[{}]]", "[{}]", "My final verdict is: [[{}]]", "Final verdict: [[{}]]")
_NEVER = -9999.0  # the log-probability of a token that a constraint rules out
_SURE = -0.01  # the log-probability of every token whose alternatives are not simulated


def probabilities_of(choices: Sequence[str], opinion: Opinion) -> dict[str, float]:
    """What a judge gives each choice; they add up to 1.

    Choices that spell labels (`[[A>>B]]`, `A>>B`) have those labels' probabilities. Otherwise five choices are read
    as the labels in their order, from A much better to B much better, and three as A, tie, B; any other number
    gets equal shares.
    """
    by_label: dict[str, float] = dict(zip(LABELS, opinion.probabilities, strict=True))
    spelled = [by_label.get(re.sub(r"[^AB<>=]", "", choice)) for choice in choices]
    if None not in spelled:
        shares = [share or 0.0 for share in spelled]
    elif len(choices) == len(LABELS):
        shares = list(opinion.probabilities)
    elif len(choices) == 3:
        strong_a, slight_a, tie, slight_b, strong_b = opinion.probabilities
        shares = [strong_a + slight_a, tie, slight_b + strong_b]
    else:
        shares = [1.0] * len(choices)
    total = sum(shares) or 1.0
    return {choice: share / total for choice, share in zip(choices, shares, strict=True)}


def constrained_text(
    constraint: StructuredOutputs, opinion: Opinion | None, draws: Draws
) -> tuple[str, dict[str, float]] | None:
    """The text that the constraint leaves, and the probabilities of the choices ({} for a regex).

    Without an opinion (nothing to judge) a choice is drawn. None if no label in a usual frame matches the regex, or if
    it is no regex.
    """
    if constraint.choice is not None:
        if opinion is None:
            return draws.pick(constraint.choice), {choice: 1 / len(constraint.choice) for choice in constraint.choice}
        shares = probabilities_of(constraint.choice, opinion)
        spelled = [choice for choice in constraint.choice if re.sub(r"[^AB<>=]", "", choice) == opinion.label]
        if not spelled and len(constraint.choice) == len(LABELS):
            spelled = [constraint.choice[LABELS.index(opinion.label)]]
        return (spelled or [max(shares, key=lambda choice: shares[choice])])[0], shares
    label = opinion.label if opinion else draws.pick(LABELS)
    try:
        allowed = re.compile(constraint.regex or "", re.DOTALL)
    except re.error:
        return None
    framed = (frame.format(label) for frame in _FRAMES)
    return next(((text, {}) for text in framed if allowed.fullmatch(text)), None)


def log_probabilities(text: str, shares: Mapping[str, float], top: int) -> dict[str, Any]:
    """The `logprobs` of a reply, token by token: the sampled one first, then the `top` likeliest.

    The distribution over choices shows where each of them is a single token; elsewhere only the path taken is told.
    """
    if shares and all(count_tokens(choice) == 1 for choice in shares):
        ranked = sorted(shares, key=lambda choice: -shares[choice])[:top]
        told = dict.fromkeys((text, *ranked)) if top else {}
        entry = _entry(text, _log(shares.get(text, 0.0)))
        return {"content": [{**entry, "top_logprobs": [_entry(choice, _log(shares[choice])) for choice in told]}]}
    entries = [_entry(piece, _SURE) for piece in pieces(text)]
    return {"content": [{**entry, "top_logprobs": [entry] if top else []} for entry in entries]}


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def _log(probability: float) -> float:
    return max(_NEVER, log(probability)) if probability > 0 else _NEVER
