"""Separates what a model thought from what it said, where a server left both in one text."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str | None, bool]:
    """What `text` says, what it thought (None: nothing), and whether a thought was never closed.

    Closed `<think>` (or `<thinking>`) blocks are thoughts; so is all before a `</think>` that was never opened (the
    template had opened it), and all after a `<think>` that is never closed (the tokens ran out). What is said stays as it
    was written, but for the white space that follows a thought. Takes time linear in the text.
    """
    said: list[str] = []
    thoughts: list[str] = []
    inside, at = False, 0
    for tag in _TAG.finditer(text):
        closes = bool(tag[1])
        if inside and not closes:
            continue  # a thought that quotes the tag
        passage = text[at : tag.start()]
        if closes and not inside:  # everything so far was thought
            thoughts.append("".join((*said, passage)))
            said.clear()
        elif closes:
            thoughts.append(passage)
        else:
            said.append(passage)
        inside, at = not closes, tag.end()
        if closes:
            while at < len(text) and text[at].isspace():
                at += 1
    (thoughts if inside else said).append(text[at:])
    return "".join(said), "\n\n".join(filter(None, map(str.strip, thoughts))) or None, inside
