"""Which language a text is in, by py3langid, and whether two texts are in different ones.

py3langid is Lui and Baldwin's langid.py (ACL 2012) kept up to date: 4.5 MB, a naive Bayes model over byte n-grams, no
network. Code, links and formulas are taken out first, since they make any text look English. Texts with too little
prose, and languages that such a model confuses with each other, are left undecided rather than guessed.

Which answers of a bench are in another language than their question.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from engine.bench.stored import StoredAnswer
from engine.ratings.battles import FloatArray
from engine.records import Question

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{0,300}`|\$\$.{0,2000}?\$\$|https?://\S{0,500}", re.DOTALL)
_LETTERS = re.compile(r"[^\W\d_]")
_LEAST_LETTERS = 20
_MOST_CHARACTERS = 1_000  # of prose looked at: half a page settles it
_LEAST_CERTAINTY = 0.9

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


class LanguageDetector:
    """Tells languages apart. The model is loaded with the first text, which takes about a second."""

    def language(self, turns: Sequence[str]) -> str | None:
        """The ISO 639 code of the prose of a text given as its turns; None if it cannot be told."""
        prose = _prose(turns)
        if len(_LETTERS.findall(prose)) < _LEAST_LETTERS:
            return None
        ranked: list[tuple[str, float]] = self._rank(prose)
        (best, score), *others = ranked
        rivals = (math.exp(min(0.0, other - score)) for code, other in others if not near(best, code))
        return best if 1.0 / (1.0 + sum(rivals)) >= _LEAST_CERTAINTY else None

    @cached_property
    def _rank(self) -> Any:
        # Imported here because its model takes a second to load, which only the audit needs; it ships no types.
        from py3langid import rank  # type: ignore[import-untyped]

        return rank


def near(one: str, other: str) -> bool:
    """Whether two languages are the same, or too alike for the model to tell apart."""
    return one == other or any(one in group and other in group for group in _NEAR)


def _prose(turns: Sequence[str]) -> str:
    return " ".join(_NOT_PROSE.sub(" ", turn[: 20 * _MOST_CHARACTERS]) for turn in turns)[:_MOST_CHARACTERS]


def mismatches(
    questions: Mapping[str, Question],
    answers: Mapping[str, Mapping[str, StoredAnswer]],
    question_ids: Sequence[str],
    models: Sequence[str],
    detector: LanguageDetector,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[FloatArray, dict[str, str]]:
    """[Q, M]: 1 for another language, 0 for the same, NaN where it cannot be told; and each model's usual other one.

    About a millisecond for each text. `tell(done, of)` is called before each question; what it raises ends the work.
    """
    told = np.full((len(question_ids), len(models)), np.nan)
    other: dict[str, Counter[str]] = {model: Counter() for model in models}
    for row, question_id in enumerate(question_ids):
        if tell is not None:
            tell(row, len(question_ids))
        question = questions.get(question_id)
        asked = detector.language(question.turns) if question is not None else None
        if asked is None:
            continue
        for column, model in enumerate(models):
            answer = answers.get(model, {}).get(question_id)
            spoken = detector.language(answer.turns) if answer is not None else None
            if spoken is None:
                continue
            same = near(asked, spoken)
            told[row, column] = float(not same)
            if not same:
                other[model][spoken] += 1
    return told, {model: counts.most_common(1)[0][0] for model, counts in other.items() if counts}
