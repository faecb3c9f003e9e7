"""Token counts, language and topics of a text. The tokenizer is a stand-in: plausible counts, and pieces to match."""

from __future__ import annotations

import re
from functools import lru_cache
from zlib import crc32

import msgspec

from engine.simulator.wording import Language

_VOCABULARY = 151_936
_WORD = re.compile(r"[^\W\d_]{4,}")
_HEAD = 1500  # characters of a long question that its topics are taken from
_MOST_TOPICS = 6
_CODE = re.compile(
    r"код|функци|программ|скрипт|алгоритм|python|sql|c\+\+|code|function|program|script|algorithm", re.IGNORECASE
)


def count_tokens(text: str) -> int:
    """Return about the tokens of a BPE vocabulary: one for four ASCII characters or two others; 0 only for no text."""
    if not text:
        return 0
    if text.isascii():
        return (len(text) + 3) // 4
    others = len(text.encode("utf-8", "surrogatepass")) - len(text)  # counts wide characters twice, which is harmless
    return max(1, (max(0, len(text) - others) + 2 * others + 3) // 4)


def pieces(text: str) -> list[str]:
    """Split a text into `count_tokens(text)` pieces (fewer if it has fewer characters) of nearly equal length."""
    count = min(count_tokens(text), len(text))
    return [text[len(text) * index // count : len(text) * (index + 1) // count] for index in range(count)]


def cut(text: str, limit: int) -> tuple[str, int, bool]:
    """Return the text within `limit` tokens, its token count, and whether it was cut."""
    count = count_tokens(text)
    if count <= limit:
        return text, count, False
    return text[: len(text) * limit // count], limit, True


def token_id(piece: str) -> int:
    """Return the number of a piece, always the same one."""
    return crc32(piece.encode("utf-8", "surrogatepass")) % _VOCABULARY


class QuestionTraits(msgspec.Struct, frozen=True):
    """The language of a question, its longest words (as spelled, never none), and whether it asks for code."""

    language: Language
    topics: tuple[str, ...]
    wants_code: bool


@lru_cache(maxsize=2048)
def traits_of(question: str) -> QuestionTraits:
    head = question[:_HEAD]
    words = dict.fromkeys(_WORD.findall(head))
    longest = sorted(words, key=lambda word: (-min(len(word), 12), head.find(word)))[:_MOST_TOPICS]
    return QuestionTraits(language_of(question), tuple(longest) or ("?",), _CODE.search(head) is not None)


def language_of(text: str) -> Language:
    """Return Russian when at least a fifth of the text is Cyrillic letters: code is Latin in any answer."""
    if text.isascii():
        return "en"
    encoded = text.encode("utf-8", "surrogatepass")
    cyrillic = encoded.count(b"\xd0") + encoded.count(b"\xd1")  # the lead bytes of nearly all Cyrillic letters
    return "ru" if cyrillic * 5 >= len(text) else "en"
