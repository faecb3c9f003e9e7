"""Full-text search over a bench, case-insensitive: questions, answers, model names and what the judge wrote."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from engine.bench import Bench
from engine.bench.decoding import judgment_lines
from engine.bench.index import Table
from engine.bench.lines import LineSpan
from engine.records import Question
from engine.review.labels import Pair
from engine.review.listing import Listed


class SearchTexts:
    """Holds the texts of a bench, some 100 MB for ten thousand judgments. `refresh` reads files: call it in a thread.

    Before the first refresh a search covers questions, names and topics only.
    """

    def __init__(self, bench: Bench) -> None:
        self.is_loaded = False
        self._bench = bench
        self._questions: Mapping[str, str] = {}
        self._answers: dict[Pair, str] = {}
        self._judge_texts: dict[Path, _JudgeTexts] = {}
        self._stamps: dict[str, tuple[int, int]] = {}  # of the files of answers that were read

    def set_questions(self, questions: Collection[Question]) -> None:
        self._questions = {
            question.id: "\n".join((question.id, question.category, question.cluster, *question.shown)).casefold()
            for question in questions
        }

    def refresh(self) -> None:
        """Read what is new in the files. Raises BenchError if one cannot be read."""
        paths = self._bench.paths
        for model in self._bench.models_with_answers():
            stamp = file_stamp(paths.answers(model))
            if self._stamps.get(model) != stamp:
                self._stamps[model] = stamp
                for answer in self._bench.answers(model).items.values():
                    self._answers[answer.question_id, model] = "\n".join(answer.turns).casefold()
        for judge in paths.judges():
            for model in paths.judged_models(judge):
                path = paths.judgments(judge, model)
                self._judge_texts.setdefault(path, _JudgeTexts()).refresh(self._bench.index.judgments(judge, model))
        self.is_loaded = True

    def search(self, text: str) -> Callable[[Listed], bool] | None:
        """Return the test whether a judgment contains every word of `text`, anywhere; None without any word."""
        words = text.casefold().split()
        if not words:
            return None
        tests = [self._test(word) for word in words]
        return tests[0] if len(tests) == 1 else lambda entry: all(test(entry) for test in tests)

    def _test(self, word: str) -> Callable[[Listed], bool]:
        """Search each text once, however many judgments it is part of."""
        questions = {key for key, text in self._questions.items() if word in text}
        answers = {key for key, text in self._answers.items() if word in text}
        judged = {(path, start) for path, texts in self._judge_texts.items() for start in texts.containing(word)}

        def contains(entry: Listed) -> bool:
            row = entry.row
            return (
                row.question_id in questions
                or (row.question_id, row.model) in answers
                or (row.question_id, entry.baseline) in answers
                or (row.file, row.place.start) in judged
                or word in row.model.casefold()
            )

        return contains


class _JudgeTexts:
    """What a judge wrote in the records of one file, by the byte where each begins."""

    def __init__(self) -> None:
        self._table: Table | None = None
        self._texts: dict[tuple[int, int], str] = {}  # by first byte and mark

    def refresh(self, table: Table) -> None:
        """Read the records that are new in the table of the file."""
        if table is self._table:
            return
        texts = {}
        for key, start, length, mark in table.frame.select("key", "start", "length", "mark").iter_rows():
            text = self._texts.get((start, mark))
            if text is None:
                games = judgment_lines.read_at(table.path, LineSpan(start, length), key).games or ()
                text = "\n".join(game.written() or "" for game in games if game is not None).casefold()
            texts[start, mark] = text
        self._table, self._texts = table, texts

    def containing(self, word: str) -> list[int]:
        return [start for (start, _), text in self._texts.items() if word in text]


def file_stamp(path: Path) -> tuple[int, int]:
    """Return size and time of a file, which change when it does; zeros if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
