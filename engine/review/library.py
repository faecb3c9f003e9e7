"""The judgments of a bench for reading: what there is, and one of them whole. The one door to the files behind both.

All methods that read files say so; call them in a thread, one at a time (the library holds a lock for that).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.bench import Bench
from engine.bench.answer_places import AnswerPlaces
from engine.bench.games import JudgmentIndex
from engine.bench.whole import read_judgment
from engine.language import LanguageDetector, near
from engine.records import Question
from engine.review.comparison import Comparison, compare
from engine.review.labels import HumanLabel, Pair, outcomes
from engine.review.listing import Listed, Marks, listed
from engine.review.outcomes import Outcome
from engine.review.store import load_all_labels
from engine.review.texts import SearchTexts

_TELLING_SECONDS = 0.2


class Library:
    """Reads one bench. `entries` and `marks` are replaced, never changed, so they may be used while files are read.

    `baseline` stands in where judgments do not name theirs.
    """

    def __init__(self, bench: Bench, baseline: str | None = None) -> None:
        self.bench = bench
        self.baseline = baseline
        self.entries: Sequence[Listed] = ()
        self.marks = Marks()
        self.texts = SearchTexts(bench)
        self.questions: dict[str, tuple[int, Question]] = {}
        self._index = JudgmentIndex(bench.paths)
        self._answers = AnswerPlaces(bench.paths)
        self._questions_stamp: tuple[int, int] | None = None
        self._settings: dict[str, Any] = {}
        self._lock = threading.Lock()

    def refresh(self, on_change: Callable[[], None] | None = None) -> bool:
        """Read what is new in the files; whether there was anything. While that takes time, `on_change` is called
        whenever there are more entries. Raises BenchError if a file cannot be read."""
        told_at = time.monotonic()

        def tell() -> None:
            nonlocal told_at
            if on_change is not None and time.monotonic() - told_at > _TELLING_SECONDS:
                self.entries = listed(self._index.rows, self.questions, self.baseline)
                on_change()
                told_at = time.monotonic()

        with self._lock:
            asked_anew = self._refresh_questions()
            changed = self._index.refresh(tell) or asked_anew
            if changed:
                self.entries = listed(self._index.rows, self.questions, self.baseline)
                self._settings = dict(self.bench.settings())
            return self._refresh_human() or changed

    def open(self, entry: Listed) -> Comparison:
        """Everything about one judgment. Reads files; raises BenchError if the record is not there any more."""
        with self._lock:
            judgment = read_judgment(entry.row.file, entry.row.place)
            known = self.questions.get(entry.row.question_id)
            return compare(
                known[1] if known else None,
                entry.row.model,
                entry.baseline,
                judgment,
                self._answers.read(entry.row.model, entry.row.question_id),
                self._answers.read(entry.baseline, entry.row.question_id) if entry.baseline else None,
                self._settings.get(judgment.settings or ""),
            )

    def open_answers(self, pair: Pair) -> Comparison:
        """A pair that nobody has judged: its answers only. Reads files; raises BenchError."""
        question_id, model = pair
        with self._lock:
            known = self.questions.get(question_id)
            return compare(
                known[1] if known else None,
                model,
                self.baseline or "",
                None,
                self._answers.read(model, question_id),
                self._answers.read(self.baseline, question_id) if self.baseline else None,
            )

    def answered(self, model: str) -> set[str]:
        """The questions that have an answer of `model`. Reads files; raises BenchError."""
        with self._lock:
            return self._answers.question_ids(model)

    def find_other_languages(self, on_progress: Callable[[int, int], bool]) -> None:
        """Tell for every listed answer whether it is in its question's language; takes 2 ms each.

        `on_progress(done, of)` is called every now and then, and ends the work by returning False. Reads files.
        """
        detector = LanguageDetector()
        pairs = sorted({entry.pair for entry in self.entries})
        asked: dict[str, str | None] = {}
        found: set[Pair] = set()
        for done, (question_id, model) in enumerate(pairs):
            if done % 50 == 0:
                self.marks = Marks(self.marks.human, frozenset(found))
                if not on_progress(done, len(pairs)):
                    return
            known = self.questions.get(question_id)
            if known is None:
                continue
            if question_id not in asked:
                asked[question_id] = detector.language(known[1].turns)
            language = asked[question_id]
            if language is None:
                continue
            with self._lock:
                answer = self._answers.read(model, question_id)
            replied = detector.language(answer.turns) if answer else None
            if replied is not None and not near(language, replied):
                found.add((question_id, model))
        self.marks = Marks(self.marks.human, frozenset(found))
        on_progress(len(pairs), len(pairs))

    def add_human(self, label: HumanLabel) -> None:
        """Count a label that was just given, without reading the files again."""
        told = label.outcome
        if told is not None:
            human = {**self.marks.human, label.pair: self.marks.human.get(label.pair, frozenset()) | {told}}
            self.marks = Marks(human, self.marks.other_language)

    def _refresh_human(self) -> bool:
        human: dict[Pair, set[Outcome]] = {}
        for said in load_all_labels(self.bench.paths).values():
            for pair, told in outcomes(said).items():
                human.setdefault(pair, set()).add(told)
        frozen = {pair: frozenset(told) for pair, told in human.items()}
        if frozen == self.marks.human:
            return False
        self.marks = Marks(frozen, self.marks.other_language)
        return True

    def _refresh_questions(self) -> bool:
        stamp = _stamp(self.bench.paths.questions)
        if stamp == self._questions_stamp:
            return False
        self._questions_stamp = stamp
        loaded = self.bench.questions().items
        self.questions = {question.id: (number, question) for number, question in enumerate(loaded, start=1)}
        self.texts.set_questions(loaded)
        return True


def _stamp(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_size, told.st_mtime_ns
