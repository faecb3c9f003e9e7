"""The judgments of a report, question by question: what was asked, what was answered, what the judges said."""

from __future__ import annotations

from collections.abc import Iterator

from arena_tui.output.html_report.markup import name, passage
from engine.bench.stored import WholeJudgment
from engine.exporting.selection import Selection

MOST_TEXT = 16_000_000  # characters of the judgments in one page; browsers open that, and little more, at ease


def judgments_section(selection: Selection, most_text: int = MOST_TEXT) -> Iterator[str]:
    """A fold for each judged question, until the page is full; the last line tells how many are not shown."""
    counted = {
        (judge, model): selection.counted(judge, model)
        for judge in selection.judges
        for model in selection.judged_models(judge)
    }
    judged = [key for key in selection.questions if any(key in of_one_model for of_one_model in counted.values())]
    room, shown = most_text, 0
    for question_id in judged:
        fold = "\n".join(_fold(selection, question_id))
        room -= len(fold)
        if room < 0:
            break
        shown += 1
        yield fold
    if shown < len(judged):
        yield (
            f'<p class="soft">{len(judged) - shown} more questions are not shown: the page would be too large. '
            "Choose --models, or see all of them in arena-tui.</p>"
        )


def _fold(selection: Selection, question_id: str) -> Iterator[str]:
    question = selection.questions[question_id]
    topic = " · ".join(part for part in (question.category, question.cluster) if part)
    yield f'<details><summary>{name(question_id)} <span class="soft">{name(topic)}</span></summary>'
    yield from _pane("Question", "\n\n".join(question.turns))
    yield from _answer(selection, selection.baseline, question_id, " (baseline)")
    for model in selection.models:
        found = [
            (judge, judgment)
            for judge in selection.judges
            if model != selection.baseline and (judgment := selection.judgment(judge, model, question_id)) is not None
        ]
        if not found:
            continue
        labels = ", ".join(_labels(judgment) for _, judgment in found)
        yield f'<details><summary>{name(model)} <span class="soft">{name(labels)}</span></summary>'
        yield from _answer(selection, model, question_id, "")
        for judge, judgment in found:
            for number, game in enumerate(judgment.games, start=1):
                if game is not None:
                    places = "baseline is A" if number % 2 else "baseline is B"
                    title = f"{judge}, game {number} ({places}): {game.label or 'no verdict'}"
                    yield from _pane(title, game.judgment)
        yield "</details>"
    yield "</details>"


def _answer(selection: Selection, model: str, question_id: str, role: str) -> Iterator[str]:
    answer = selection.answer(model, question_id)
    text = "\n\n".join(answer.turns) if answer is not None else "(the answer is not on disk)"
    yield from _pane(f"Answer of {model}{role}", text)


def _pane(title: str, text: str) -> Iterator[str]:
    yield f"<h3>{name(title)}</h3>"
    yield f"<pre>{passage(text)}</pre>"


def _labels(judgment: WholeJudgment) -> str:
    return " / ".join("not played" if game is None else game.label or "no verdict" for game in judgment.games)
