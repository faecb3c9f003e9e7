"""Single answers of a bench, read when they are wanted: which models answered what, and where in their files."""

from __future__ import annotations

from pathlib import Path

from engine.bench.decoding import answer_lines
from engine.bench.layout import BenchPaths
from engine.bench.lines import LineSpan
from engine.bench.places import PlacedLines
from engine.bench.stored import WholeAnswer, read_answer


class AnswerPlaces:
    """Finds answers by model and question. Reads files: call it in a thread, and from one at a time."""

    def __init__(self, paths: BenchPaths) -> None:
        self._paths = paths
        self._files: dict[str, _IndexedAnswers] = {}

    def question_ids(self, model: str) -> set[str]:
        """The questions that have a record of `model`. Raises BenchError if its file cannot be read."""
        return set(self._index(model).places)

    def read(self, model: str, question_id: str) -> WholeAnswer | None:
        """The last usable answer, as `load_answers` chooses it; None if there is none. Raises BenchError."""
        found = self.find(model, question_id)
        return found[0] if found is not None else None

    def find(self, model: str, question_id: str) -> tuple[WholeAnswer, LineSpan] | None:
        """The same, and where it stands in the file of the model."""
        index = self._index(model)
        for place in reversed(index.places.get(question_id, ())):
            answer = read_answer(index.path, place)
            if answer is not None:
                return answer, place
        return None

    def _index(self, model: str) -> _IndexedAnswers:
        if model not in self._files:
            self._files[model] = _IndexedAnswers(self._paths.answers(model))
        index = self._files[model]
        index.refresh()
        return index


class _IndexedAnswers:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, list[LineSpan]] = {}
        self._lines = PlacedLines(path)

    def refresh(self) -> None:
        if not self._lines.look():
            return
        if self._lines.is_fresh:
            self.places = {}
        for place, line in self._lines.read():
            record, _ = answer_lines.decode(bytes(line))
            if record is not None and record.key:
                self.places.setdefault(record.key, []).append(place)
