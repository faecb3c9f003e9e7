"""Questions in which two models differ: what each answered, the words that only one has, and what the judge wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from arena_tui.output.word_diff import DiffRun, diff_runs
from arena_tui.safe_text import one_line, readable
from engine.errors import ArenaError
from engine.review.contrast import Contrast, contrasts, of_kind
from engine.review.library import Library, OpenedPair

if TYPE_CHECKING:
    from engine.api import JudgedSource
    from engine.ratings.leaderboard import LeaderboardOptions

MOST_TEXT = 8_000  # characters of one text
NO_ANSWER = "(the answer is not on disk)"
ExampleKind = Literal["won", "lost", "flip"]


@dataclass(frozen=True)
class ExampleText:
    """A text under a title, in runs; `omitted` characters at its end are not shown."""

    title: str
    runs: Sequence[DiffRun]
    omitted: int = 0

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True)
class Example:
    """One question: whether model A won or lost more than model B, or a verdict followed the places of the answers.

    `points_a` and `points_b` are percent of the games won against the baseline. `is_marked` says whether the words that
    only one answer has are marked: not so where the answers have hardly a word in common.
    """

    kind: ExampleKind
    number: int
    question_id: str
    category: str
    points_a: float
    points_b: float
    question: ExampleText
    answers: tuple[ExampleText, ExampleText]
    verdicts: Sequence[ExampleText]
    is_marked: bool


def find_examples(
    source: JudgedSource, pair: tuple[str, str], count: int, options: LeaderboardOptions, notes: list[str]
) -> list[Example]:
    """Return up to `count` questions: those that A won and lost most clearly, and verdicts that followed the places.

    Of equally clear ones those of other categories come first. Reads files; a problem becomes a note.
    """
    if source.bench is None:
        notes.append("no examples: a file of battles has no texts")
        return []
    facts = source.judged.facts
    library = Library(source.bench, facts.baselines[0] if not facts.by_category else None)
    try:
        library.refresh()
        rows = contrasts(
            library.entries,
            *pair,
            judges=facts.judges,
            questions=set(source.judged.battles.questions),
            weight=options.weight,
            first_game_only=options.first_game_only,
        )
        chosen = list(_chosen(rows, count))
        return [_opened(library, kind, row) for kind, row in chosen]
    except ArenaError as error:
        notes.append(f"no examples: {error.title}")
        return []


def _chosen(rows: Sequence[Contrast], count: int) -> Iterator[tuple[ExampleKind, Contrast]]:
    """Take turns between won, lost and flipped questions; each question once."""
    by_kind: list[list[tuple[ExampleKind, Contrast]]] = [
        [("won", row) for row in _spread(of_kind(rows, "won"))],
        [("lost", row) for row in _spread(of_kind(rows, "lost"))],
        [("flip", row) for row in _spread(of_kind(rows, "flips"))],
    ]
    taken: set[str] = set()
    for each in (found for turn in zip_longest(*by_kind) for found in turn if found is not None):
        if len(taken) == count:
            return
        if each[1].a.row.question_id not in taken:
            taken.add(each[1].a.row.question_id)
            yield each


def _spread(rows: Iterable[Contrast]) -> list[Contrast]:
    """Sort by margin, and equal margins so that each category comes up before any comes up again."""
    seen: dict[tuple[float, str], int] = {}
    ranked = []
    for row in rows:
        key = abs(row.margin), row.a.category
        seen[key] = seen.get(key, 0) + 1
        ranked.append((-abs(row.margin), seen[key], row))
    return [row for _, _, row in sorted(ranked, key=lambda each: each[:2])]


def _opened(library: Library, kind: ExampleKind, row: Contrast) -> Example:
    first = library.open(row.a)
    second = library.open(row.b) if row.b is not None else None
    other = first.baseline if second is None else second.model
    texts = [_whole(first), _whole(second) if second is not None else _whole(first, of_baseline=True)]
    shown = [readable(text[:MOST_TEXT]).strip("\n") for text in texts]
    marked = diff_runs(*shown)
    runs = marked if marked is not None else ([DiffRun(shown[0], False)], [DiffRun(shown[1], False)])
    titles = first.model, f"{other} (baseline)" if second is None else other
    answers = [
        ExampleText(one_line(title), each, max(0, len(text) - MOST_TEXT))
        for title, each, text in zip(titles, runs, texts, strict=True)
    ]
    question = first.question.shown if first.question is not None else (row.a.question,)
    return Example(
        kind=kind,
        number=row.a.number,
        question_id=one_line(row.a.row.question_id),
        category=one_line(row.a.category),
        points_a=row.points_a,
        points_b=row.points_b,
        question=_text("Question", "\n\n".join(question)),
        answers=(answers[0], answers[1]),
        verdicts=[*_verdicts(first, row.a.row.judge), *(_verdicts(second, row.a.row.judge) if second else ())],
        is_marked=marked is not None,
    )


def _whole(opened: OpenedPair, *, of_baseline: bool = False) -> str:
    answer = opened.baseline_answer if of_baseline else opened.answer
    return NO_ANSWER if answer is None else "\n\n".join(answer.turns)


def _verdicts(opened: OpenedPair, judge: str) -> Iterator[ExampleText]:
    for number, game in enumerate(opened.judgment.games if opened.judgment is not None else (), start=1):
        if game is not None:
            title = f"{opened.side('A', number)[0]} (A) against {opened.side('B', number)[0]} (B)"
            label = game.label or "no verdict"
            yield _text(f"{judge}, game {number}: {title}: {label}", game.judgment)


def _text(title: str, text: str) -> ExampleText:
    shown = readable(text[:MOST_TEXT]).strip("\n")
    return ExampleText(one_line(title), [DiffRun(shown, False)], max(0, len(text) - MOST_TEXT))
