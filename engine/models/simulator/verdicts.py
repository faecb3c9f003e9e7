"""How a simulated judge replies: it finds question and answers by the forks' delimiters, weighs them, gives a label."""

from __future__ import annotations

import re
from itertools import accumulate
from math import exp

import msgspec

from engine.models.simulator.chance import Draws, uniform
from engine.models.simulator.config import SimulatedJudge
from engine.models.simulator.quality import margin
from engine.models.simulator.topics import about
from engine.models.simulator.wording import PHRASES
from engine.records import LABELS, Label

_QUESTION_MARKS = ("User Prompt|>", "User Question]", "User Question|>")
_BRACKETS = "<|["  # that open a delimiter
_SPREAD = 0.5  # of the tie width: how sure a judge is of its own label
_SPELLINGS = ("[[{}]]", "[[{}]]", "[[{}]]", "[{}]", "**{}**", "\\boxed{{{}}}", "[[ {} ]]", "**[[{}]]**", "[[{}]].")
_TURNED = {"A>>B": "B<<A", "A>B": "B<A", "A=B": "B=A", "B>A": "A<B", "B>>A": "A<<B"}


class Case(msgspec.Struct, frozen=True):
    """What a judge is asked to compare."""

    question: str
    answer_a: str
    answer_b: str


class Opinion(msgspec.Struct, frozen=True):
    """The judge's label and the probability that it gives to each of `LABELS`, which add up to 1."""

    label: Label
    probabilities: tuple[float, ...]


def find_case(prompt: str) -> Case | None:
    """The question and both answers, between `<|The Start of Assistant A's Answer|>` and the like; None if not there.

    Understands the delimiters of all arena-hard forks and those of MT-bench. Delimiters inside an answer stay text of
    that answer: A ends at the last end mark before B's start, B at the last end mark of all.
    """
    start_a = prompt.find("The Start of Assistant A's ")
    start_b = prompt.find("The Start of Assistant B's ", start_a)
    if start_a < 0 or start_b < 0:
        return None
    return Case(
        _question_of(prompt[:start_a]),
        _answer_of(prompt[start_a:start_b], "The End of Assistant A's "),
        _answer_of(prompt[start_b:], "The End of Assistant B's "),
    )


def form_opinion(judge: SimulatedJudge, seed: int, case: Case, draw: bytes, temperature: float) -> Opinion:
    """Weigh a case. The label is the likeliest one at temperature 0, and drawn by `draw` above it."""
    lead = margin(judge, seed, case.question, case.answer_a, case.answer_b)
    slight = 2 * judge.tie_width  # centres, so that the borders half-way between them are tie_width and strong_from
    strong = 2 * judge.strong_from - slight
    spread = _SPREAD * judge.tie_width / judge.sharpness
    heights = [-((lead - centre) ** 2) / (2 * spread**2) for centre in (strong, slight, 0.0, -slight, -strong)]
    probabilities = _softmax(heights)
    if temperature <= 0:
        return Opinion(LABELS[heights.index(max(heights))], probabilities)
    reached = uniform(draw)
    sums = accumulate(_softmax([height / temperature for height in heights]))
    index = next((index for index, total in enumerate(sums) if reached < total), len(LABELS) - 1)
    return Opinion(LABELS[index], probabilities)


def write_verdict(judge: SimulatedJudge, case: Case, opinion: Opinion, draws: Draws, *, full: bool) -> str:
    """The judge's reply in the question's language; at `unparsed_rate` it has no usable verdict.

    `full`: an own answer and a comparison come before the label.
    """
    asked = about(case.question)
    phrases = PHRASES[asked.language]
    label = opinion.label
    if draws.chance(judge.unparsed_rate):
        other = draws.pick([different for different in LABELS if different != label])
        undecided = phrases.undecided.replace("{a}", f"[[{label}]]").replace("{b}", f"[[{other}]]")
        return draws.pick((*phrases.no_verdict, undecided))
    spelled = _spell(label, draws) if judge.spelling == "mixed" else f"[[{label}]]"
    if not full:
        return spelled
    side = 1 if label == "A=B" else 0 if label.startswith("A") else 2
    own = phrases.own_answer.replace("{t}", asked.topics[0])
    return f"{own}\n\n{phrases.comparison[side]}\n\n{phrases.verdict}{spelled}"


def _question_of(head: str) -> str:
    """The question in what comes before answer A's first delimiter."""
    for mark in _QUESTION_MARKS:
        _, found, after = head.partition(mark)
        if found:
            return after.rstrip(_BRACKETS).strip()
    return head.rstrip(_BRACKETS).strip()


def _answer_of(section: str, end_mark: str) -> str:
    """The answer in a section that begins with its start delimiter and holds its end delimiter."""
    text = section[section.find("\n") + 1 :]
    end = text.rfind(end_mark)
    return text[:end].rstrip(_BRACKETS).removesuffix("\n") if end >= 0 else text.removesuffix("\n")


def _spell(label: str, draws: Draws) -> str:
    """One of the ways in which judges write a label: spaced, lower case, Cyrillic, turned round, other brackets."""
    spaced = re.sub(r"([<>=]+)", r" \1 ", label)
    cyrillic = label.replace("A", "А").replace("B", "В")
    variant = draws.pick((label, label, spaced, label.lower(), cyrillic, _TURNED[label]))
    return draws.pick(_SPELLINGS).format(variant)


def _softmax(heights: list[float]) -> tuple[float, ...]:
    highest = max(heights)
    weights = [exp(height - highest) for height in heights]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
