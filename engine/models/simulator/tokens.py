"""A stand-in for a tokenizer: a token count that is plausible, and pieces of the text to match it."""

from __future__ import annotations

from zlib import crc32

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
