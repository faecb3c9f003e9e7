"""Which answers of a bench are in another language than their question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engine.bench.answers import StoredAnswer
from engine.language import LanguageDetector, near
from engine.ratings.battles import FloatArray
from engine.records import Question


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
