"""What a question is about: its language and its telling words."""

from __future__ import annotations

import re
from functools import lru_cache

from engine.models.simulator.wording import Language

_WORD = re.compile(r"[^\W\d_]{4,}")
_HEAD = 1500  # characters of a long question that tell what it is about
_MOST_TOPICS = 8
_CODE = re.compile(
    r"код|функци|программ|скрипт|алгоритм|python|sql|\bc\+\+|code|function|program|script|algorithm", re.I
)


@lru_cache(maxsize=2048)
def topics(question: str) -> tuple[str, ...]:
    """The question's longest words as they are spelled there, the longest first; never empty."""
    words = dict.fromkeys(_WORD.findall(question[:_HEAD]))
    longest = sorted(words, key=lambda word: (-min(len(word), 12), question.find(word)))[:_MOST_TOPICS]
    return tuple(longest) or ("?",)


@lru_cache(maxsize=2048)
def wants_code(question: str) -> bool:
    return _CODE.search(question[:_HEAD]) is not None


def language_of(text: str) -> Language:
    """Russian when at least a tenth of the text is Cyrillic letters (code and terms are Latin in any answer)."""
    encoded = text.encode("utf-8", "surrogatepass")
    cyrillic = encoded.count(b"\xd0") + encoded.count(b"\xd1")  # the lead bytes of nearly all Cyrillic letters
    return "ru" if cyrillic * 10 >= len(text) and cyrillic else "en"
