"""Token counts, language and topics of a text. The tokenizer is a stand-in: plausible counts, and pieces to match."""

from __future__ import annotations

import re
from functools import lru_cache
from zlib import crc32

import msgspec

from engine.simulator.wording import Language

_VOCABULARY = 151_936


def count_tokens(text: str) -> int:
    """About what a BPE vocabulary gives: a token for four ASCII characters, or for two others; 0 only for no text."""
    if not text:
        return 0
    if text.isascii():
        return (len(text) + 3) // 4
    beyond_ascii = len(text.encode("utf-8", "surrogatepass")) - len(
        text
    )  # one too many for each wide character: no harm
    return max(1, (max(0, len(text) - beyond_ascii) + 2 * beyond_ascii + 3) // 4)


def pieces(text: str) -> list[str]:
    """The text in `count_tokens(text)` pieces (fewer if it has fewer characters) of nearly equal length."""
    count = min(count_tokens(text), len(text))
    return [text[len(text) * index // count : len(text) * (index + 1) // count] for index in range(count)]


def cut(text: str, limit: int) -> tuple[str, int, bool]:
    """The text within `limit` tokens, its token count, and whether anything had to go."""
    count = count_tokens(text)
    if count <= limit:
        return text, count, False
    return text[: len(text) * limit // count], limit, True


def token_id(piece: str) -> int:
    """A number for a piece; the same piece always has the same one."""
    return crc32(piece.encode("utf-8", "surrogatepass")) % _VOCABULARY


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
