"""What has become of answers whose question was edited or taken out since: that must be said, or nobody sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from engine.bench.answers import StoredAnswer
from engine.bench.digest import text_digest
from engine.records import Question

_NAMED = 3  # questions named in a message


def is_edited(answer: StoredAnswer, question: Question) -> bool:
    """Whether the answer was given to another text of its question; answers of other programs do not tell."""
    return answer.inputs is not None and answer.inputs != text_digest(question.turns)


def changed_questions(
    model: str, answers: Mapping[str, StoredAnswer], questions: Mapping[str, Question], coming: Collection[str]
) -> Iterator[str]:
    """What to tell of a model's answers, given the whole question set; those of `coming` are just being made again."""
    edited = [
        key
        for key, answer in answers.items()
        if key in questions and key not in coming and is_edited(answer, questions[key])
    ]
    if edited:
        yield (
            f"{model}: {len(edited)} answers were given to another text of their question ({_some(edited)}); "
            "--refresh stale asks for them again"
        )
    strangers = [key for key in answers if key not in questions]
    if strangers:
        yield (
            f"{model}: {len(strangers)} answers are to questions that are not in the set ({_some(strangers)}); "
            "they are left alone and have no part in anything"
        )


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")
