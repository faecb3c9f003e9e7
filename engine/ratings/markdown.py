"""The Markdown of an answer, counted as arena-hard-auto v2 counts it.

The definitions are those of `utils/add_markdown_info.py` in lmarena/arena-hard-auto (Apache-2.0), so the counts equal
those in the `metadata` of its published answers.
"""

from __future__ import annotations

import re

import msgspec

_CODE_BLOCK = re.compile(r"```([^`]*)```")
_MOST_BLOCKS = 500  # removed by content; a text with more of them is hardly an answer
_HEADER = re.compile(r"^(#{1,6})\s", re.MULTILINE)
# v2 has `\s*` before a list marker, which spans blank lines and takes quadratic time on many of them. White space of
# the marker's own line matches the same markers.
_ORDERED = re.compile(r"^[^\S\n]*\d+\.\s", re.MULTILINE)
_UNORDERED = re.compile(r"^[^\S\n]*[-*+]\s", re.MULTILINE)
_BOLD_STARS = re.compile(r"\*\*[^*\n]+\*\*")
_BOLD_UNDERSCORES = re.compile(r"__[^_\n]+__")


class MarkdownCounts(msgspec.Struct, frozen=True):
    """Elements of an answer; `headers` has one count for each level from h1 to h6."""

    headers: tuple[int, int, int, int, int, int] = (0, 0, 0, 0, 0, 0)
    ordered: int = 0
    unordered: int = 0
    bold_stars: int = 0
    bold_underscores: int = 0

    @property
    def header_count(self) -> int:
        return sum(self.headers)

    @property
    def list_count(self) -> int:
        return self.ordered + self.unordered

    @property
    def bold_count(self) -> int:
        return self.bold_stars + self.bold_underscores


def count_markdown(answer: str) -> MarkdownCounts:
    """Count headers, list items and bold spans outside of fenced code."""
    text = _without_code(answer)
    levels = [len(marks) for marks in _HEADER.findall(text)]
    one, two, three, four, five, six = (levels.count(level) for level in range(1, 7))
    return MarkdownCounts(
        (one, two, three, four, five, six),
        ordered=len(_ORDERED.findall(text)),
        unordered=len(_UNORDERED.findall(text)),
        bold_stars=len(_BOLD_STARS.findall(text)),
        bold_underscores=len(_BOLD_UNDERSCORES.findall(text)),
    )


def _without_code(answer: str) -> str:
    """Return the answer without the contents of its code blocks.

    They are removed by content, as v2 does it: removing them by position gives the same counts except for a block whose
    text occurs inside another one (1 of the 1,498 published answers).
    """
    blocks = _CODE_BLOCK.findall(answer)
    if len(blocks) > _MOST_BLOCKS:
        return _CODE_BLOCK.sub("", answer)
    for block in blocks:
        answer = answer.replace(block, "")
    return answer
