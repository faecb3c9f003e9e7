"""Splits a reply into reasoning and visible text.

Reasoning models write their reasoning between `<think>` and `</think>` (some write `<thinking>`). Chat templates often
put the opening tag into the prompt, so that a reply starts inside the reasoning; the token limit may cut it off before
the closing tag.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)\s{0,2}think(?:ing)?\s{0,2}>", re.IGNORECASE)
_QUOTES = "`\"'"
_LOOK_BACK = 120  # characters before a closing tag that may hold the opening quote


def split_reasoning(text: str) -> tuple[str, str | None, bool]:
    """Return (visible text, reasoning or None, whether the reasoning was cut off).

    Reasoning is the text of closed blocks, before an unopened closing tag, and after an unclosed opening tag. A tag in
    quotation marks or backticks is text about tags and stays. Visible text is unchanged, except that white space after
    reasoning is dropped. Linear in the length of the text.
    """
    visible: list[str] = []
    reasoning: list[str] = []
    inside = False
    place = 0
    for tag in _TAG.finditer(text):
        closes = bool(tag[1])
        if (inside and not closes) or (not inside and _is_quoted(tag, closes=closes)):
            continue  # text about tags
        passage = text[place : tag.start()]
        if inside:
            reasoning.append(passage)
        elif closes:  # unopened: everything before it is reasoning
            reasoning += [*visible, passage]
            visible = []
        else:
            visible.append(passage)
        inside = not closes
        place = _after_space(text, tag.end()) if closes else tag.end()
    (reasoning if inside else visible).append(text[place:])
    return "".join(visible), "\n\n".join(filter(None, map(str.strip, reasoning))) or None, inside


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _is_quoted(tag: re.Match[str], *, closes: bool) -> bool:
    """Return whether a tag outside reasoning is quoted: `` `<think>` `` or `re.sub(r"<think>.*</think>", ...)`.

    An opening tag is quoted if a quote precedes it. A closing tag needs a quote right after it and its partner before
    it on the same line, because an answer may begin with a quote.
    """
    text = tag.string
    if not closes:
        return tag.start() > 0 and text[tag.start() - 1] in _QUOTES
    quote = text[tag.end() : tag.end() + 1]
    before = text[max(0, tag.start() - _LOOK_BACK) : tag.start()]
    return quote != "" and quote in _QUOTES and quote in before[before.rfind("\n") + 1 :]
