"""The language check: is an answer in another language than its question?

Languages are detected by py3langid, which is Lui and Baldwin's langid.py (ACL 2012) kept up to date: 4.5 MB, a naive
Bayes model over byte n-grams, no network. Code, links and formulas are taken out first, since they make any text look
English. Texts with too little prose, and languages that such a model confuses with each other, are left undecided.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.bench.digest import text_digest
from engine.bench.index import read_cache, write_cache
from engine.records import Question

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{0,300}`|\$\$.{0,2000}?\$\$|https?://\S{0,500}", re.DOTALL)
_LETTERS = re.compile(r"[^\W\d_]")
_LEAST_LETTERS = 20
_MOST_CHARACTERS = 1_000  # of prose: half a page is enough
_LEAST_CERTAINTY = 0.9
_RULES = 1  # counts the changes of all above and of _NEAR, which languages that are kept do not show

_NEAR = (
    {"ru", "uk", "be", "bg", "mk", "sr", "rue"},
    {"hr", "sr", "bs", "sl", "sh"},
    {"cs", "sk"},
    {"no", "nb", "nn", "da", "sv"},
    {"es", "gl", "pt", "ca", "an", "ast", "oc"},
    {"id", "ms", "jv", "su"},
    {"nl", "af"},
    {"de", "lb"},
    {"en", "pcm", "sco"},
    {"hi", "ne", "mr", "bh"},
    {"zh", "yue", "wuu"},
    {"fa", "ps", "ur"},
    {"kk", "ky", "tt", "ba"},
    {"az", "tr"},
)


class CheckedLanguage(NamedTuple):
    """The language of an answer (ISO 639 code), and whether it is another one than that of its question."""

    language: str
    is_other: bool


class Languages(msgspec.Struct, frozen=True):
    """The languages that a version of the detector found, by the digests of the texts."""

    detector: str
    found: dict[str, str | None]


class LanguageCheck:
    """Compares answers with their questions; 1 to 2 ms for each new text.

    With `cache`, a file in the index of the bench, the languages of texts that were checked before are read from it.
    Call `save` at the end to keep those that are new.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._detector = LanguageDetector()
        self._cache = cache
        held = read_cache(cache, Languages) if cache is not None else None
        is_valid = held is not None and held[0].detector == _detector_version()
        self._found = held[0].found if held is not None and is_valid else {}
        self._count = len(self._found)

    def save(self) -> None:
        """Keep the languages that were found in the cache."""
        if self._cache is not None and len(self._found) > self._count:
            write_cache(self._cache, Languages(_detector_version(), self._found), b"")
            self._count = len(self._found)

    def of_question(self, question: Question) -> str | None:
        """Return the language of a question; None if it is undecided."""
        return self._language(question.turns)

    def check(self, question: Question, answer: Sequence[str]) -> CheckedLanguage | None:
        """Check the turns of an answer; None if its language or the question's is undecided."""
        asked = self.of_question(question)
        replied = None if asked is None else self._language(answer)
        if asked is None or replied is None:
            return None
        return CheckedLanguage(replied, not near(asked, replied))

    def _language(self, turns: Sequence[str]) -> str | None:
        key = text_digest(turns)
        if key not in self._found:
            self._found[key] = self._detector.language(turns)
        return self._found[key]


class LanguageDetector:
    """Detects the language of a text. The model is loaded with the first text, which takes about a second."""

    def language(self, turns: Sequence[str]) -> str | None:
        """Return the ISO 639 code of the prose of a text given as its turns; None if it is undecided."""
        prose = _prose(turns)
        if len(_LETTERS.findall(prose)) < _LEAST_LETTERS:
            return None
        ranked: list[tuple[str, float]] = self._rank(prose)
        (best, score), *others = ranked
        rivals = (math.exp(min(0.0, other - score)) for code, other in others if not near(best, code))
        return best if 1.0 / (1.0 + sum(rivals)) >= _LEAST_CERTAINTY else None

    @cached_property
    def _rank(self) -> Any:
        # Imported here because its model takes a second to load, which only the language check needs; it has no types.
        from py3langid import rank  # type: ignore[import-untyped]

        return rank


def _detector_version() -> str:
    return f"{_RULES} {version('py3langid')}"


def near(one: str, other: str) -> bool:
    """Whether two languages are the same, or too similar for the model to distinguish."""
    return one == other or any(one in group and other in group for group in _NEAR)


def _prose(turns: Sequence[str]) -> str:
    return " ".join(_NOT_PROSE.sub(" ", turn[: 20 * _MOST_CHARACTERS]) for turn in turns)[:_MOST_CHARACTERS]
