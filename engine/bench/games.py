"""An index of the judgments of a bench: enough of each to list and filter, and where the rest of it is.

Ten thousand records are some 200 MB, so only ids and labels are kept, and files that grow are read on from where they
ended. Records are decoded one by one: that gives their places for free, skips what is not wanted at the speed of
memory, and leaves out a bad line without a second look at the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.bench.decoding import judgment_lines
from engine.bench.layout import BenchPaths
from engine.bench.lines import LineSpan
from engine.bench.places import PlacedLines
from engine.records import Label


class JudgmentRow(msgspec.Struct, frozen=True, gc=False):
    """One judgment. `labels` and `played` have one entry per game: in game 1 the baseline is A, in game 2 the model is.

    `baseline` is None where the file does not tell it.
    """

    question_id: str
    model: str
    judge: str
    baseline: str | None
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...]
    file: Path
    place: LineSpan


class JudgmentIndex:
    """The last judgment of every judge, model, question and baseline. `refresh` reads files: call it in a thread."""

    def __init__(self, paths: BenchPaths) -> None:
        self._paths = paths
        self._files: dict[Path, _IndexedFile] = {}

    @property
    def rows(self) -> Iterator[JudgmentRow]:
        """By judge, model and place in the file."""
        return (row for file in self._files.values() for row in file.rows.values())

    def refresh(self, on_news: Callable[[], None] | None = None) -> bool:
        """Bring `rows` up to date; whether that changed them. `on_news` is called after each file that did.

        Raises BenchError if a file cannot be read.
        """
        changed = False
        gone = set(self._files)
        for judge in self._paths.judges():
            for model in self._paths.judged_models(judge):
                path = self._paths.judgments(judge, model)
                gone.discard(path)
                if path not in self._files:
                    self._files[path] = _IndexedFile(path, judge, model)
                if self._files[path].refresh():
                    changed = True
                    if on_news is not None:
                        on_news()
        for path in gone:
            del self._files[path]
        return changed or bool(gone)


class _IndexedFile:
    def __init__(self, path: Path, judge: str, model: str) -> None:
        self.rows: dict[tuple[str, str | None], JudgmentRow] = {}
        self._lines = PlacedLines(path)
        self._judge = judge
        self._model = model

    def refresh(self) -> bool:
        if not self._lines.look():
            return False
        if self._lines.is_fresh:
            self.rows = {}
        for place, line in self._lines.read():
            self._take(place, line)
        return True

    def _take(self, place: LineSpan, line: memoryview) -> None:
        record, _ = judgment_lines.decode(bytes(line))
        if record is None or not record.games or not record.key:
            return
        baseline = record.baseline
        labels = tuple(None if game is None else game.label() for game in record.games)
        played = tuple(game is not None for game in record.games)
        key = record.key, baseline
        self.rows[key] = JudgmentRow(
            key[0], self._model, self._judge, baseline, labels, played, self._lines.path, place
        )
