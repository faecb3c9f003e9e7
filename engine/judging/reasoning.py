"""Splits a reply into reasoning and visible text, for servers that send both in one text.

Reasoning is a block at the very beginning of a reply, in one of the published formats (`_BLOCKS`, `_HARMONY`). Chat
templates often put the opening mark into the prompt, so that a reply starts inside the reasoning and only the closing
mark shows, at an end of a line; the token limit may cut a reply off before the closing mark. Marks anywhere else, in
code or in a sentence, are text about marks and stay.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

_BLOCKS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(opening, re.IGNORECASE), re.compile(closing, re.IGNORECASE))
    for opening, closing in (
        (r"<think(?:ing)?\s{0,2}>", r"</think(?:ing)?\s{0,2}>"),  # DeepSeek-R1, Qwen3, GLM, Nemotron, MiniMax, Phi-4
        (r"<thoughts?>", r"</thoughts?>"),  # EXAONE Deep, Gemini's OpenAI-compatible API
        (r"<longcat_think>", r"</longcat_think>"),  # Meituan LongCat-Flash-Thinking
        (r"<reasoning>", r"</reasoning>"),  # models tuned with GRPO recipes (Unsloth, TRL)
        (r"<seed:think>", r"</seed:think>"),  # ByteDance Seed-OSS
        (r"\[THINK\]", r"\[/THINK\]"),  # Mistral Magistral
        (r"◁think▷", r"◁/think▷"),  # Kimi-VL, Kimi k1.5
        (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # Sky-T1, OpenThinker
        (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Cohere Command A Reasoning
        (r"<\|channel>\s*thought\b", r"<channel\|>"),  # Gemma 4
    )
)
_IN_CLOSING = ("</", "[/", "◁/", "|>")  # one of them is in every closing mark
# OpenAI's harmony format (gpt-oss): channels "analysis", "commentary" and "final", also with the marks left out.
_HARMONY = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>")
_MESSAGE = re.compile(
    r"<\|channel\|>\s*(\w{1,40})[^<]{0,200}<\|message\|>(.*?)(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|channel\|>)|\Z)",
    re.DOTALL,
)
_BEGINS = re.compile(
    rf"\s*(?:{'|'.join(opening.pattern for opening, _ in _BLOCKS)}|<\|start\|>|<\|channel\|>|analysis)", re.IGNORECASE
)
"""How reasoning at the beginning of a reply may begin: most replies are searched no further."""
_BARE_HARMONY = re.compile(r"analysis(?=[A-Z\s])(.*?)assistantfinal", re.DOTALL)
# IBM Granite 3.2 and ServiceNow Apriel write their reasoning under a heading of words.
_HEADED = re.compile(
    r"\s*(?:Here(?:'s| is) my thought process:(.*?)Here(?:'s| is) my response:"
    r"|Here are my reasoning steps:(.*?)\[BEGIN FINAL RESPONSE\])(.*)",
    re.DOTALL,
)
_WRAPPED = re.compile(r"<(answer|response)>\n(.*?)\n?</\1>\s*", re.DOTALL)
"""The answer after reasoning as Tencent Hunyuan-A13B and Baidu ERNIE 4.5 write it."""
_FINAL_END = re.compile(r"\s*\[END FINAL RESPONSE\]\s*(?:<\|end\|>)?\s*\Z")
_WRAPPING = re.compile(r"<\|(?:START|END)_RESPONSE\|>|<\|(?:begin|end)_of_solution\|>", re.IGNORECASE)
_SPECIAL_TOKEN = re.compile(
    r"<\|?[a-z][a-z_]{2,30}\|>|<\|[a-z][a-z_]{2,30}>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<unused\d{1,3}>|◁/?\w{1,20}▷",
    re.IGNORECASE,
)

MOST_SPACE = 40  # characters in which a heading of reasoning begins
MOST_MARKS = 20  # that are looked at in one text


class SplitReply(NamedTuple):
    """A reply in parts: `is_cut` if the reasoning never ended."""

    visible: str
    reasoning: str | None
    is_cut: bool


def split_reasoning(text: str) -> SplitReply:
    """Split the reasoning at the beginning off a reply. Linear in the length of the text.

    Visible text is unchanged, except that white space after reasoning is dropped. For a server that sends reasoning in
    a field of its own there is nothing to split.
    """
    if headed := _HEADED.match(text) if "Here" in text[:MOST_SPACE] else None:
        answer = _FINAL_END.sub("", headed[3].lstrip())
        return SplitReply(answer, _joined([headed[1] or headed[2]]), False)
    if _BEGINS.match(text) is None and not any(part in text for part in _IN_CLOSING):
        return SplitReply(text, None, False)
    start = len(text) - len(text.lstrip())
    if _HARMONY.match(text, start):
        return _split_channels(text[start:])
    if bare := _BARE_HARMONY.match(text, start):
        return SplitReply(text[bare.end() :].lstrip(), bare[1].strip() or None, False)
    reasoning: list[str] = []
    place = start
    while (block := _block_at(text, place)) is not None:
        opening, closing = block
        end = closing.search(text, opening.end())
        if end is None:
            reasoning.append(text[opening.end() :])
            return SplitReply("", _joined(reasoning), True)
        reasoning.append(text[opening.end() : end.start()])
        place = _after_space(text, end.end())
    if place > start:
        visible = _WRAPPING.sub("", text[place:])
        wrapped = _WRAPPED.fullmatch(visible)
        return SplitReply(wrapped[2] if wrapped else visible, _joined(reasoning), False)
    if (closing_mark := _unopened(text)) is not None:
        return SplitReply(
            text[_after_space(text, closing_mark.end()) :], _joined([text[: closing_mark.start()]]), False
        )
    return SplitReply(text, None, False)


def special_tokens(text: str) -> set[str]:
    """Return the special tokens of chat templates that stand in a visible text, outside code."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return set()
    found = islice(_SPECIAL_TOKEN.finditer(text), MOST_MARKS)
    return {token[0] for token in found if not _is_in_code(text, token)}


def _block_at(text: str, place: int) -> tuple[re.Match[str], re.Pattern[str]] | None:
    for opening, closing in _BLOCKS:
        if found := opening.match(text, place):
            return found, closing
    return None


def _unopened(text: str) -> re.Match[str] | None:
    """Return the first closing mark that ends a line or stands at its start, if no opening mark is before it."""
    for opening, closing in _BLOCKS:
        opened = opening.search(text)
        for found in islice(closing.finditer(text), MOST_MARKS):
            if opened is not None and opened.start() < found.start():
                break
            line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            ends_line = text[found.end() : found.end() + 1] in ("", "\n", "\r")
            if (not line.strip() or (ends_line and not line[-1].isspace())) and not _is_in_code(text, found):
                return found
    return None


def _is_in_code(text: str, found: re.Match[str]) -> bool:
    """Return whether a match is inside a fence, or between backticks or quotation marks on its line."""
    if text.count("```", 0, found.start()) % 2:
        return True
    before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    after = text[found.end() : found.end() + 1]
    return before.count("`") % 2 == 1 or (before[-1:] in ("'", '"') and after in ("'", '"'))


def _split_channels(text: str) -> SplitReply:
    final: list[str] = []
    reasoning: list[str] = []
    for message in _MESSAGE.finditer(text):
        (final if message[1] == "final" else reasoning).append(message[2])
    return SplitReply("".join(final).lstrip(), _joined(reasoning), not final)


def _joined(passages: list[str]) -> str | None:
    return "\n\n".join(filter(None, map(str.strip, passages))) or None


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
