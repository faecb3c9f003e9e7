"""All judgments of a bench as folds of the page, one for each question, until the page is full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from arena_tui.safe_text import one_line, readable
from engine.bench.stored import WholeJudgment
from engine.formats.selection import Selection

MOST_TEXT = 16_000_000  # characters of the judgments in one page; browsers open that, and little more, quickly


@dataclass(frozen=True)
class FoldText:
    """A whole text under a title."""

    title: str
    text: str


@dataclass(frozen=True)
class Fold:
    """What opens under a title: texts, then further folds."""

    title: str
    about: str
    texts: list[FoldText]
    folds: list[Fold] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The characters of all texts."""
        return sum(len(each.text) for each in self.texts) + sum(fold.size for fold in self.folds)


def judgment_folds(selection: Selection, most_text: int = MOST_TEXT) -> Iterator[Fold | str]:
    """Yield a fold for each judged question until there is no room, then a sentence on how many are not shown."""
    has_judgment = selection.judged_questions()
    judged = [key for key in selection.questions if key in has_judgment]
    room, shown = most_text, 0
    for question_id in judged:
        fold = _of_question(selection, question_id)
        room -= fold.size
        if room < 0:
            break
        shown += 1
        yield fold
    if shown < len(judged):
        yield (
            f"{len(judged) - shown} more questions are not shown: the page would be too large. Choose --models, or see "
            "all of them in arena-tui."
        )


def _of_question(selection: Selection, question_id: str) -> Fold:
    question = selection.questions[question_id]
    topic = " · ".join(part for part in (question.category, question.cluster) if part)
    baseline = selection.baseline_of(question_id)
    texts = [_text("Question", "\n\n".join(question.shown)), _answer(selection, baseline, question_id, " (baseline)")]
    models = [_of_model(selection, model, question_id) for model in selection.models if model != baseline]
    return Fold(one_line(question_id), one_line(topic), texts, [each for each in models if each is not None])


def _of_model(selection: Selection, model: str, question_id: str) -> Fold | None:
    found = [
        (judge, judgment)
        for judge in selection.judges
        if (judgment := selection.judgment(judge, model, question_id)) is not None
    ]
    if not found:
        return None
    texts = [_answer(selection, model, question_id, "")]
    for judge, judgment in found:
        for number, game in enumerate(judgment.games, start=1):
            if game is not None:
                places = "baseline is A" if number % 2 else "baseline is B"
                texts.append(_text(f"{judge}, game {number} ({places}): {game.label or 'no verdict'}", game.judgment))
    labels = ", ".join(_labels(judgment) for _, judgment in found)
    return Fold(one_line(model), one_line(labels), texts)


def _answer(selection: Selection, model: str, question_id: str, role: str) -> FoldText:
    answer = selection.answer(model, question_id)
    text = "\n\n".join(answer.turns) if answer is not None else "(the answer is not on disk)"
    return _text(f"Answer of {model}{role}", text)


def _text(title: str, text: str) -> FoldText:
    return FoldText(one_line(title), readable(text))


def _labels(judgment: WholeJudgment) -> str:
    return " / ".join("not played" if game is None else game.label or "no verdict" for game in judgment.games)
