"""How a judge replies: read the two answers, weigh them, word a verdict or obey a constraint.

Answers are weighed by cues that stand in simulated and real texts alike. The cues do not measure real quality; they
are stable, plausible, and ordered by skill for simulated models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from math import exp, log, log2
from typing import Any

import msgspec

from engine.judging.fence import without_opening_line
from engine.labels import LABELS, Label, points_of_model
from engine.simulator.config import SimulatedJudge
from engine.simulator.draws import Draws, digest, normal, uniform
from engine.simulator.requests import StructuredOutputs
from engine.simulator.text import QuestionTraits, count_tokens, language_of, pieces, traits_of
from engine.simulator.wording import PHRASES, Language

_TYPICAL_LENGTH = 300  # tokens
_ORDER_NOISE = 0.6  # of the noise: drawn anew when A and B are swapped
_CUES_READ = 24_000  # characters of an answer that are read
_SOLIDITY, _STRUCTURE, _CODE, _RELEVANCE, _LEAK, _RANDOM_PART = 1.0, 0.15, 0.1, 0.3, 0.5, 0.15
_QUESTION_MARKS = ("User Prompt|>", "User Question]", "User Question|>")
_BRACKETS = "<|["  # that open a delimiter
_SPREAD = 0.5  # of the tie width: how far the probabilities reach around the label
_SPELLINGS = ("[[{}]]", "[[{}]]", "[[{}]]", "[{}]", "**{}**", "\\boxed{{{}}}", "[[ {} ]]", "**[[{}]]**", "[[{}]].")
_MIRRORED = {"A>>B": "B<<A", "A>B": "B<A", "A=B": "B=A", "B>A": "A<B", "B>>A": "A<<B"}
_FRAMES = ("{}", "[[{}]]", "[{}]", "My final verdict is: [[{}]]", "Final verdict: [[{}]]")
_NEVER = -9999.0  # the log-probability of a token that a constraint rules out
_SURE = -0.01  # the log-probability of every token whose alternatives are not simulated


class AnswerFeatures(msgspec.Struct, frozen=True):
    """The features of one answer. `appeal` is on the judge's scale; `length` counts doublings."""

    appeal: float
    length: float
    language: Language
    key: bytes


@lru_cache(maxsize=4096)
def features_of(answer: str) -> AnswerFeatures:
    """Read an answer: solid against vague cues, structure, code, leaked special tokens, and a random part."""
    text, language = answer[:_CUES_READ].lower(), language_of(answer)
    solid = sum(map(text.count, PHRASES[language].solid_cues))
    vague = sum(map(text.count, PHRASES[language].vague_cues))
    marks = text.count("\n- ") + text.count("\n* ") + text.count("\n1. ") + text.count("**") / 2 + text.count("\n#")
    key = digest(answer)
    appeal = (
        _SOLIDITY * (solid - vague) / (solid + vague + 1.5)
        + _STRUCTURE * min(1.0, marks / 6)
        + _CODE * ("```" in text)
        - _LEAK * ("<|" in text or "[inst]" in text)
        + _RANDOM_PART * normal(key)
    )
    length = max(-3.0, min(3.0, log2(max(1, count_tokens(answer)) / _TYPICAL_LENGTH)))
    return AnswerFeatures(appeal, length, language, key)


def margin(judge: SimulatedJudge, seed: int, question: str, answer_a: str, answer_b: str) -> float:
    """Return by how much A is better than B for this judge, with its biases and its noise.

    Swapping A and B changes the sign, except for the position bias and a part of the noise.
    """
    asked, a, b = traits_of(question), features_of(answer_a), features_of(answer_b)
    merits = _merit(judge, asked, answer_a, a) - _merit(judge, asked, answer_b, b)
    if not judge.noise or a.key == b.key:
        return merits + judge.position_bias
    first, second, sign = (a.key, b.key, 1) if a.key < b.key else (b.key, a.key, -1)
    pair = digest(seed, judge.name, question, first, second)
    shared, of_order = normal(pair), normal(pair[5:] if sign > 0 else pair[10:])
    return merits + judge.position_bias + judge.noise * (sign * shared + _ORDER_NOISE * of_order)


def _merit(judge: SimulatedJudge, asked: QuestionTraits, answer: str, seen: AnswerFeatures) -> float:
    relevance = sum([word in answer for word in asked.topics]) / len(asked.topics)
    foreign = seen.language != asked.language
    return (
        seen.appeal + _RELEVANCE * relevance + judge.verbosity_taste * seen.length - judge.language_strictness * foreign
    )


class Case(msgspec.Struct, frozen=True):
    """A question and the two answers to compare."""

    question: str
    answer_a: str
    answer_b: str


class JudgeOpinion(msgspec.Struct, frozen=True):
    """The judge's label and its probabilities of `LABELS`, which add up to 1."""

    label: Label
    probabilities: tuple[float, ...]


def find_case(prompt: str) -> Case | None:
    """Find question and answers between `<|The Start of Assistant A's Answer|>` and the like; None without them.

    Reads the delimiters of all arena-hard forks and those of MT-bench. Delimiters inside an answer are text of that
    answer: A ends at the last end mark before B's start, B at the last end mark of all.
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


def form_opinion(judge: SimulatedJudge, seed: int, case: Case, draw: bytes, temperature: float) -> JudgeOpinion:
    """Weigh a case. The label is the likeliest one at temperature 0, and drawn with `draw` above."""
    lead = margin(judge, seed, case.question, case.answer_a, case.answer_b)
    slight = 2 * judge.tie_width  # centres, so that the borders half-way between them are tie_width and strong_from
    strong = 2 * judge.strong_from - slight
    spread = _SPREAD * judge.tie_width / judge.sharpness
    heights = [-((lead - centre) ** 2) / (2 * spread**2) for centre in (strong, slight, 0.0, -slight, -strong)]
    probabilities = _softmax(heights)
    if temperature <= 0:
        return JudgeOpinion(LABELS[heights.index(max(heights))], probabilities)
    reached = uniform(draw)
    sums = accumulate(_softmax([height / temperature for height in heights]))
    index = next((index for index, total in enumerate(sums) if reached < total), len(LABELS) - 1)
    return JudgeOpinion(LABELS[index], probabilities)


def write_verdict(judge: SimulatedJudge, case: Case, opinion: JudgeOpinion, draws: Draws, *, full: bool) -> str:
    """Write the judge's reply in the question's language; a share `unparsed_rate` has no usable verdict.

    `full` puts an own answer and a comparison before the label.
    """
    asked = traits_of(case.question)
    phrases = PHRASES[asked.language]
    label = opinion.label
    if draws.chance(judge.unparsed_rate):
        other = draws.pick([different for different in LABELS if different != label])
        undecided = phrases.undecided.replace("{a}", f"[[{label}]]").replace("{b}", f"[[{other}]]")
        return draws.pick((*phrases.no_verdict, undecided))
    spelled = _spell(label, draws) if judge.spelling == "mixed" else f"[[{label}]]"
    if not full:
        return spelled
    side = int(2 * points_of_model(label, 1))  # A is better, a tie, B is better
    own = phrases.own_answer.replace("{t}", asked.topics[0])
    return f"{own}\n\n{phrases.comparison[side]}\n\n{phrases.verdict}{spelled}"


def _question_of(head: str) -> str:
    """Return the question from the text before answer A's first delimiter."""
    for mark in _QUESTION_MARKS:
        _, found, after = head.partition(mark)
        if found:
            return without_opening_line(after.rstrip(_BRACKETS)).strip()
    return without_opening_line(head.rstrip(_BRACKETS)).strip()


def _answer_of(section: str, end_mark: str) -> str:
    """Return the answer from a section that begins with its start delimiter and contains its end delimiter."""
    text = section[section.find("\n") + 1 :]
    end = text.rfind(end_mark)
    return text[:end].rstrip(_BRACKETS).removesuffix("\n") if end >= 0 else text.removesuffix("\n")


def _spell(label: str, draws: Draws) -> str:
    """Spell a label as judges do: spaced, lower case, Cyrillic, mirrored, in other brackets."""
    spaced = re.sub(r"([<>=]+)", r" \1 ", label)
    cyrillic = label.replace("A", "А").replace("B", "В")
    variant = draws.pick((label, label, spaced, label.lower(), cyrillic, _MIRRORED[label]))
    return draws.pick(_SPELLINGS).format(variant)


def _softmax(heights: list[float]) -> tuple[float, ...]:
    highest = max(heights)
    weights = [exp(height - highest) for height in heights]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def probabilities_of(choices: Sequence[str], opinion: JudgeOpinion) -> dict[str, float]:
    """Return a judge's probability of each choice; they add up to 1.

    Choices that spell labels (`[[A>>B]]`, `A>>B`) have the probabilities of those labels. Otherwise five choices are
    the labels in their order, and three are A, tie, B; any other number of choices gets equal shares.
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
    constraint: StructuredOutputs, opinion: JudgeOpinion | None, draws: Draws
) -> tuple[str, dict[str, float]] | None:
    """Return a text that meets the constraint, and the probabilities of the choices ({} for a regex).

    Without an opinion (nothing to judge) a choice is drawn. Returns None if no label in a usual frame matches the
    regex, or if it is no regex.
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
    """Return the `logprobs` of a reply, token by token: the sampled one first, then the `top` likeliest.

    The probabilities of choices are reported where the text is one of them and each is a single token; otherwise only
    the sampled tokens are.
    """
    if text in shares and all(count_tokens(choice) == 1 for choice in shares):
        ranked = sorted(shares, key=lambda choice: -shares[choice])[:top]
        listed = dict.fromkeys((text, *ranked)) if top else {}
        entry = _entry(text, _log(shares[text]))
        return {"content": [{**entry, "top_logprobs": [_entry(choice, _log(shares[choice])) for choice in listed]}]}
    entries = [_entry(piece, _SURE) for piece in pieces(text)]
    return {"content": [{**entry, "top_logprobs": [entry] if top else []} for entry in entries]}


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def _log(probability: float) -> float:
    return max(_NEVER, log(probability)) if probability > 0 else _NEVER
