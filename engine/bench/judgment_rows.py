"""All judgments of a bench as rows to list and filter: ids, labels, and where the rest of each record is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from engine.bench.index import BenchIndex, Table, TableHeader
from engine.bench.layout import BenchPaths
from engine.bench.lines import LineSpan
from engine.labels import Label, labels_of


class JudgmentRow(msgspec.Struct, frozen=True, gc=False):
    """One judgment. `labels` and `played` have one entry per game: in game 1 the baseline is A, in game 2 the model is.

    `baseline` is None where the file does not name it. `further` counts the judgments of other answers to the question,
    and the repeated ones.
    """

    question_id: str
    model: str
    judge: str
    baseline: str | None
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...]
    file: Path
    place: LineSpan
    further: int = 0


class JudgmentRows:
    """The last judgment of every judge, model, question and baseline. `refresh` reads files: call it in a thread."""

    def __init__(self, paths: BenchPaths, index: BenchIndex) -> None:
        self.files: dict[Path, Sequence[JudgmentRow]] = {}
        """The rows by file, in the order of judges and models. Those of a file are replaced when it changes."""
        self._paths = paths
        self._index = index
        self._tables: dict[Path, tuple[Table, TableHeader | None]] = {}

    @property
    def rows(self) -> Iterator[JudgmentRow]:
        """By judge, model and place in the file."""
        return (row for rows in self.files.values() for row in rows)

    def refresh(self, on_news: Callable[[], None] | None = None) -> bool:
        """Bring `files` up to date; return whether that changed them. `on_news` is called after each file that did.

        Raises BenchError if a file cannot be read.
        """
        changed = False
        files = [
            (self._paths.judgments(judge, model), judge, model)
            for judge in self._paths.judges()
            for model in self._paths.judged_models(judge)
        ]
        gone = self.files.keys() - {path for path, _, _ in files}
        for path in gone:
            del self.files[path]
        if list(self.files) != [path for path, _, _ in files]:  # keep the order when a file has come between
            self.files = {path: self.files.get(path, ()) for path, _, _ in files}
        for path, judge, model in files:
            table, repeats = self._index.judgments(judge, model), self._index.repeats(judge, model)
            held = self._tables.get(path)
            if held is None or held[0] is not table or held[1] != repeats.header:
                self._tables[path] = table, repeats.header
                self.files[path] = _rows(table, repeats, judge, model)
                changed = True
                if on_news is not None:
                    on_news()
        return changed or bool(gone)


def _rows(table: Table, repeats: Table, judge: str, model: str) -> list[JudgmentRow]:
    further = Counter(zip(repeats.frame["key"], repeats.frame["baseline"], strict=True))
    columns = table.frame.select("key", "start", "length", "baseline", "games").iter_rows()
    return [
        JudgmentRow(
            key,
            model,
            judge,
            baseline,
            *labels_of(games),
            table.path,
            LineSpan(start, length),
            further[key, baseline] if further else 0,
        )
        for key, start, length, baseline, games in columns
    ]
