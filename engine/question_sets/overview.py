"""What the benches of a data folder hold, one by one and as a list."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec

from engine.bench import Bench
from engine.bench.lines import FileProblem
from engine.bench.question_source import QuestionSource, read_source
from engine.bench.store import benches
from engine.errors import ArenaError
from engine.question_sets.duplicates import find_duplicates


class BenchLine(msgspec.Struct, frozen=True):
    """One bench of a list; `problem` says why it cannot be read."""

    bench: str
    questions: int = 0
    categories: int = 0
    models: int = 0
    judges: int = 0
    source: str = ""
    problem: str = ""


class BenchOverview(msgspec.Struct, frozen=True):
    """One bench: its questions, what was made from them, and what is odd about the set."""

    bench: str
    folder: str
    questions: int
    categories: dict[str, int]
    several_turns: int
    with_context: int
    median_characters: int
    most_characters: int
    source: QuestionSource | None
    answers: dict[str, int]
    judgments: dict[str, dict[str, int]]
    labels_of_people: int
    same: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    problems: tuple[FileProblem, ...]


def list_benches(data: Path) -> list[BenchLine]:
    """Return every bench of a data folder, sorted by name."""
    found = []
    for name in benches(data):
        try:
            bench = Bench.open(data, name)
            questions = bench.index.questions().frame
            source = read_source(bench.paths)
            found.append(
                BenchLine(
                    name,
                    len(questions),
                    questions["category"].n_unique(),
                    len(bench.models_with_answers()),
                    len(bench.judges()),
                    source.named if source is not None else "",
                )
            )
        except ArenaError as error:
            found.append(BenchLine(name, problem=error.title))
    return found


def describe_bench(bench: Bench) -> BenchOverview:
    """Return what a bench holds. Raises BenchError if its files cannot be read."""
    loaded = bench.questions()
    questions = loaded.items
    sizes = [sum(map(len, question.shown)) for question in questions] or [0]
    duplicates = find_duplicates(["\n".join(question.shown) for question in questions])
    categories: dict[str, int] = {}
    for question in questions:
        categories[question.category] = categories.get(question.category, 0) + 1
    return BenchOverview(
        bench=bench.name,
        folder=str(bench.paths.root),
        questions=len(questions),
        categories=dict(sorted(categories.items(), key=lambda item: (-item[1], item[0]))),
        several_turns=sum(len(question.turns) > 1 for question in questions),
        with_context=sum(bool(question.context) for question in questions),
        median_characters=int(median(sizes)),
        most_characters=max(sizes),
        source=read_source(bench.paths),
        answers={
            model: len(bench.index.answers(model).frame.drop_nulls("digest")) for model in bench.models_with_answers()
        },
        judgments={
            judge: {model: len(bench.index.judgments(judge, model).frame) for model in bench.judged_models(judge)}
            for judge in bench.judges()
        },
        labels_of_people=_labels(bench),
        same=tuple(tuple(questions[place].id for place in group) for group in duplicates.exact),
        near=tuple(tuple(questions[place].id for place in group) for group in duplicates.near),
        problems=loaded.problems,
    )


def _labels(bench: Bench) -> int:
    return sum(path.read_bytes().count(b"\n") for path in bench.paths.review_dir.glob("*.jsonl"))
