"""Tells what a model thought from what it says, where both come in one text.

Reasoning models put their thoughts between `<think>` and `</think>` (some write `<thinking>`). Chat templates often put
the opening tag into the prompt, so that a reply starts in the middle of a thought; the token limit may cut it before
the closing tag.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)\s{0,2}think(?:ing)?\s{0,2}>", re.IGNORECASE)
_QUOTES = "`\"'"
_LOOK_BACK = 120  # characters before a closing tag in which the quotation that it ends may have begun


def split_reasoning(text: str) -> tuple[str, str | None, bool]:
    """Split a reply into (visible text, reasoning or None, whether a thought was cut off).

    Reasoning is what stands in closed blocks, before a closing tag that nothing opened, and after an opening tag that
    nothing closed. A tag in quotation marks or backticks is text about tags and stays. Visible text is as it was
    written, but for the white space that follows a thought. Linear in the length of the text.
    """
    visible: list[str] = []
    thoughts: list[str] = []
    is_thought = False
    place = 0
    for tag in _TAG.finditer(text):
        closes = bool(tag[1])
        if (is_thought and not closes) or (not is_thought and _is_quoted(tag, closes=closes)):
            continue  # text about tags, in a thought or out of it
        passage = text[place : tag.start()]
        if is_thought:
            thoughts.append(passage)
        elif closes:  # nothing opened it: all that came before was thought
            thoughts += [*visible, passage]
            visible = []
        else:
            visible.append(passage)
        is_thought = not closes
        place = _after_space(text, tag.end()) if closes else tag.end()
    (thoughts if is_thought else visible).append(text[place:])
    reasoning = "\n\n".join(filter(None, map(str.strip, thoughts)))
    return "".join(visible), reasoning or None, is_thought


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _is_quoted(tag: re.Match[str], *, closes: bool) -> bool:
    """Whether a tag outside any thought is itself quoted: `` `<think>` `` or `re.sub(r"<think>.*</think>", ...)`.

    An opening tag is if a quote stands right before it. A closing tag needs one right after it whose partner stands
    before it on the same line, for an answer may well begin with a quote.
    """
    text = tag.string
    if not closes:
        return tag.start() > 0 and text[tag.start() - 1] in _QUOTES
    quote = text[tag.end() : tag.end() + 1]
    before = text[max(0, tag.start() - _LOOK_BACK) : tag.start()]
    return quote != "" and quote in _QUOTES and quote in before[before.rfind("\n") + 1 :]
