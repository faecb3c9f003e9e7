"""What a question is about: its language, its telling words, whether it wants code."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from engine.models.simulator.wording import Language

_WORD = re.compile(r"[^\W\d_]{4,}")
_HEAD = 1500  # characters of a long question that tell what it is about
_MOST_TOPICS = 6
_CODE = re.compile(
    r"код|функци|программ|скрипт|алгоритм|python|sql|c\+\+|code|function|program|script|algorithm", re.IGNORECASE
)


class About(msgspec.Struct, frozen=True):
    """What anyone sees who reads a question. `topics` are spelled as they are there, the longest first; never empty."""

    language: Language
    topics: tuple[str, ...]
    wants_code: bool


@lru_cache(maxsize=2048)
def about(question: str) -> About:
    """Read a question."""
    head = question[:_HEAD]
    words = dict.fromkeys(_WORD.findall(head))
    longest = sorted(words, key=lambda word: (-min(len(word), 12), head.find(word)))[:_MOST_TOPICS]
    return About(language_of(question), tuple(longest) or ("?",), _CODE.search(head) is not None)


def language_of(text: str) -> Language:
    """Russian when a fifth of the text or more is Cyrillic letters: code is Latin in any answer."""
    if text.isascii():
        return "en"
    encoded = text.encode("utf-8", "surrogatepass")
    cyrillic = encoded.count(b"\xd0") + encoded.count(b"\xd1")  # the lead bytes of nearly all Cyrillic letters
    return "ru" if cyrillic * 5 >= len(text) else "en"
