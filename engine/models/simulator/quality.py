"""What a simulated judge makes of a text: by cues that anyone can read, in simulated and in real answers alike.

None of this measures real quality; it only has to be stable, plausible, and ordered by skill for simulated models.
"""

from __future__ import annotations

from functools import lru_cache
from math import log2

import msgspec

from engine.models.simulator.chance import digest, normal
from engine.models.simulator.config import SimulatedJudge
from engine.models.simulator.tokens import count_tokens
from engine.models.simulator.topics import About, about, language_of
from engine.models.simulator.wording import SOLID_CUES, VAGUE_CUES, Language

_TYPICAL_LENGTH = 300  # tokens
_PLACES = 0.6  # of the noise: what differs between the two places
_CUES_READ = 24_000  # characters of an endless answer that are read at all
_SOLIDITY, _STRUCTURE, _CODE, _RELEVANCE, _LEAK, _MANNER = 1.0, 0.15, 0.1, 0.3, 0.5, 0.15


class Impression(msgspec.Struct, frozen=True):
    """What one answer looks like on its own. `appeal` is on the judge's scale; `length` counts doublings."""

    appeal: float
    length: float
    language: Language
    key: bytes


@lru_cache(maxsize=4096)
def impression(answer: str) -> Impression:
    """Reads an answer: solid against vague cues, structure, code, leaked special tokens, and a manner all its own."""
    text, language = answer[:_CUES_READ].lower(), language_of(answer)
    solid = sum(map(text.count, SOLID_CUES[language]))
    vague = sum(map(text.count, VAGUE_CUES[language]))
    marks = text.count("\n- ") + text.count("\n* ") + text.count("\n1. ") + text.count("**") / 2 + text.count("\n#")
    key = digest(answer)
    appeal = (
        _SOLIDITY * (solid - vague) / (solid + vague + 1.5)
        + _STRUCTURE * min(1.0, marks / 6)
        + _CODE * ("```" in text)
        - _LEAK * ("<|" in text or "[inst]" in text)
        + _MANNER * normal(key)
    )
    length = max(-3.0, min(3.0, log2(max(1, count_tokens(answer)) / _TYPICAL_LENGTH)))
    return Impression(appeal, length, language, key)


def margin(judge: SimulatedJudge, seed: int, question: str, answer_a: str, answer_b: str) -> float:
    """By how much A seems better than B to this judge, its leanings and its noise included.

    Swapping the places turns the sign, except for the position bias and a part of the noise.
    """
    asked, a, b = about(question), impression(answer_a), impression(answer_b)
    merits = _merit(judge, asked, answer_a, a) - _merit(judge, asked, answer_b, b)
    if not judge.noise or a.key == b.key:
        return merits + judge.position_bias
    first, second, sign = (a.key, b.key, 1) if a.key < b.key else (b.key, a.key, -1)
    pair = digest(seed, judge.name, question, first, second)
    shared, of_places = normal(pair), normal(pair[5:] if sign > 0 else pair[10:])
    return merits + judge.position_bias + judge.noise * (sign * shared + _PLACES * of_places)


def _merit(judge: SimulatedJudge, asked: About, answer: str, seen: Impression) -> float:
    relevance = sum([word in answer for word in asked.topics]) / len(asked.topics)
    foreign = seen.language != asked.language
    return (
        seen.appeal + _RELEVANCE * relevance + judge.verbosity_taste * seen.length - judge.language_strictness * foreign
    )
