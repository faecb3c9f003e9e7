"""Two models question by question."""

from __future__ import annotations

from pathlib import Path

from engine.bench.judgment_rows import JudgmentRow
from engine.bench.lines import LineSpan
from engine.labels import Label
from engine.records import Question
from engine.review.contrast import Contrast, contrasts, of_kind
from engine.review.listing import Listed

QUESTIONS = {f"q{number}": (number, Question(f"q{number}", ("?",))) for number in range(1, 6)}


def entry(model: str, question: str, one: Label | None, two: Label | None, judge: str = "judge") -> Listed:
    return Listed(
        JudgmentRow(question, model, judge, "base", (one, two), (True, True), Path("f"), LineSpan(0, 1)),
        QUESTIONS[question][0],
        "",
        "?",
        "base",
        None,
        one == two == "A>B",
        False,
    )


ENTRIES = [
    entry("a", "q1", "B>A", "A>B"),
    entry("b", "q1", "A>B", "B>A"),
    entry("a", "q2", "A=B", "A=B"),
    entry("b", "q2", "B>>A", "A=B"),
    entry("a", "q3", "A>B", "A>B"),
    entry("b", "q3", "A=B", "A=B"),
    entry("a", "q4", None, None),
    entry("b", "q4", "A>B", "B>A"),
    entry("a", "q5", "B>A", "A>B"),
]


def margins(rows: list[Contrast]) -> dict[str, float]:
    return {row.a.row.question_id: row.margin for row in rows}


def test_common_questions_are_sorted_by_margin():
    rows = contrasts(ENTRIES, "a", "b", judges=("judge",))
    assert margins(rows) == {"q1": 100.0, "q3": 0.0, "q2": -37.5}  # a strong label counts three games
    assert list(margins(rows)) == ["q1", "q3", "q2"]
    assert margins(contrasts(ENTRIES, "a", "b", judges=("judge",), weight=1))["q2"] == -25.0
    assert margins(contrasts(ENTRIES, "a", "b", judges=("judge",), first_game_only=True))["q3"] == -50.0
    assert contrasts(ENTRIES, "a", "b", judges=("other",)) == []
    assert list(margins(contrasts(ENTRIES, "a", "b", judges=("judge",), questions={"q2"}))) == ["q2"]


def test_the_kinds_of_questions():
    rows = contrasts(ENTRIES, "a", "b", judges=("judge",))
    assert [list(margins(of_kind(rows, kind))) for kind in ("won", "lost", "flips", "differ")] == [
        ["q1"],
        ["q2"],
        ["q3"],
        ["q1", "q2"],
    ]


def test_against_the_baseline_itself_every_question_of_the_model_counts():
    rows = contrasts(ENTRIES, "a", "base", judges=("judge",))
    assert margins(rows) == {"q1": 50.0, "q2": 0.0, "q3": 0.0, "q5": 50.0}
    assert all(row.b is None for row in rows)
