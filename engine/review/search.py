"""Full-text search over a bench, case-insensitive, in what a person sees: questions, answers, and what the judge wrote.

Words are looked for as they stand: one after the other in one text. Only if no text has them so, a judgment is found
that has every word in any of its texts. A number is found as a whole: 77 is not found in 1770. `#77` is the question of
that number. Ids and prompts are no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.decoding import answer_lines, judgment_lines
from engine.bench.index import Table
from engine.bench.lines import unreadable
from engine.opening import open_regular
from engine.records import Question
from engine.review.labels import Pair
from engine.review.listing import Listed

Report: TypeAlias = Callable[[int, int], bool]
"""Called with how many of how many records were read; False ends the reading."""
HitPlace: TypeAlias = Literal["question", "answer", "baseline", "verdict", "model", "number"]

_NUMBERED = re.compile(r"(?:#|question\s+|№\s*)(\d{1,9})\Z")
_REPORTED = 1000  # records, between two reports
_AROUND = 8  # characters of an excerpt before the hit: columns of lists are narrow
_EXCERPT = 400  # characters


def hit_pattern(words: Collection[str]) -> re.Pattern[str]:
    """Return the pattern of words one after the other, however they are spaced and cased; numbers are whole."""
    first, *_, last = [*words, *words]
    pattern = r"\s+".join(map(re.escape, words))
    before, after = r"(?<!\d)" if first[0].isdigit() else "", r"(?!\d)" if last[-1].isdigit() else ""
    return re.compile(before + pattern + after, re.IGNORECASE)


class _Needle(msgspec.Struct, frozen=True):
    """Words in one text whose blanks are single and whose case is folded."""

    text: str
    pattern: re.Pattern[str]

    def is_in(self, text: str) -> bool:
        return self.text in text and (not self._has_number or self.pattern.search(text) is not None)

    @property
    def _has_number(self) -> bool:
        return self.text[0].isdigit() or self.text[-1].isdigit()


class _Places(msgspec.Struct, frozen=True):
    """Which texts contain a needle."""

    needle: _Needle
    questions: frozenset[str]
    answers: frozenset[Pair]
    judged: frozenset[tuple[Path, int]]

    def of(self, entry: Listed) -> HitPlace | None:
        row = entry.row
        if row.question_id in self.questions:
            return "question"
        if (row.question_id, row.model) in self.answers:
            return "answer"
        if (row.question_id, entry.baseline) in self.answers:
            return "baseline"
        if (row.file, row.place.start) in self.judged:
            return "verdict"
        return "model" if self.needle.is_in(row.model.casefold()) else None


class Found(msgspec.Struct, frozen=True):
    """What a search found. `pattern` finds the hits in a text; `is_phrase`: the words stand one after the other."""

    pattern: re.Pattern[str]
    is_phrase: bool
    places: tuple[_Places, ...]
    number: int | None = None

    def matches(self, entry: Listed) -> bool:
        if self.number is not None:
            return entry.number == self.number
        return all(place.of(entry) is not None for place in self.places)

    def place(self, entry: Listed) -> HitPlace | None:
        """Return where the (first) words are in a judgment."""
        return "number" if self.number is not None else self.places[0].of(entry)


class SearchTexts:
    """Holds the texts of a bench, some 30 MB for ten thousand judgments. `refresh` and `search` belong in a thread.

    Before the first refresh a search covers questions and names only.
    """

    def __init__(self, bench: Bench) -> None:
        self.is_loaded = False
        self._bench = bench
        self._questions: Mapping[str, str] = {}
        self._answers: dict[str, _FileTexts] = {}  # by model
        self._judged: dict[Path, _FileTexts] = {}

    def set_questions(self, questions: Collection[Question]) -> None:
        self._questions = {
            question.id: folded("\n".join((question.category, question.cluster, *question.shown)))
            for question in questions
        }

    def refresh(self, report: Report | None = None) -> bool:
        """Read what is new in the files; return False if `report` ended it. Raises BenchError if one cannot be read."""
        paths, index = self._bench.paths, self._bench.index
        waiting: list[tuple[_FileTexts, Table]] = []
        for model in self._bench.models_with_answers():
            waiting.append((self._answers.setdefault(model, _FileTexts(_answer_text, "digest")), index.answers(model)))
        for judge in paths.judges():
            for model in paths.judged_models(judge):
                path = paths.judgments(judge, model)
                table = index.judgments(judge, model)
                waiting.append((self._judged.setdefault(path, _FileTexts(_judge_text, "mark")), table))
        total = sum(table.frame.height for _, table in waiting)
        done = 0
        for texts, table in waiting:
            for _ in texts.refresh(table):
                done += 1
                if report is not None and done % _REPORTED == 0 and not report(done, total):
                    return False
        self.is_loaded = True
        return True

    def search(self, text: str, is_wanted: Callable[[], bool] = lambda: True) -> Found | None:
        """Search all texts; None without any word, or once `is_wanted` returns False."""
        words = text.casefold().split()
        if not words:
            return None
        pattern = hit_pattern(words)
        numbered = _NUMBERED.match(" ".join(words))
        if numbered and words[0].startswith(("#", "№")):
            return Found(pattern, True, (), int(numbered[1]))
        phrase = self._places(_Needle(" ".join(words), pattern), is_wanted)
        if phrase is None:
            return None
        if phrase.questions or phrase.answers or phrase.judged or len(words) == 1:
            return Found(pattern, True, (phrase,))
        if numbered:
            return Found(pattern, True, (), int(numbered[1]))
        places = []
        for word in dict.fromkeys(words):
            place = self._places(_Needle(word, hit_pattern([word])), is_wanted)
            if place is None:
                return None
            places.append(place)
        each = "|".join(place.needle.pattern.pattern for place in places)
        return Found(re.compile(each, re.IGNORECASE), False, tuple(places))

    def excerpt(self, found: Found, entry: Listed) -> str:
        """Return the text around the first hit of a judgment, in folded case; empty if it is in no text."""
        row, place = entry.row, found.place(entry)
        text: str | None = None
        if place == "question":
            text = self._questions.get(row.question_id)
        elif place in ("answer", "baseline"):
            texts = self._answers.get(row.model if place == "answer" else entry.baseline)
            text = texts.by_key.get(row.question_id) if texts else None
        elif place == "verdict":
            judged = self._judged.get(row.file)
            text = judged.by_start.get(row.place.start) if judged else None
        hit = found.pattern.search(text) if text else None
        if text is None or hit is None:
            return ""
        start = max(0, hit.start() - _AROUND)
        return ("…" if start else "") + text[start : start + _EXCERPT]

    def _places(self, needle: _Needle, is_wanted: Callable[[], bool]) -> _Places | None:
        """Search each text once, however many judgments it is part of."""
        answers: set[Pair] = set()
        judged: set[tuple[Path, int]] = set()
        questions = frozenset(key for key, text in self._questions.items() if needle.is_in(text))
        for model, texts in list(self._answers.items()):
            if not is_wanted():
                return None
            answers.update((key, model) for key, text in list(texts.by_key.items()) if needle.is_in(text))
        for path, texts in list(self._judged.items()):
            if not is_wanted():
                return None
            judged.update((path, start) for start, text in list(texts.by_start.items()) if needle.is_in(text))
        return _Places(needle, questions, frozenset(answers), frozenset(judged))


class _FileTexts:
    """The texts of one file, by key and by the byte where each record begins."""

    def __init__(self, text_of: Callable[[bytes], str], mark: str) -> None:
        """`mark` is the column of the table that differs between records that begin at the same byte."""
        self.by_key: dict[str, str] = {}
        self.by_start: dict[int, str] = {}
        self._text_of = text_of
        self._mark = mark
        self._marks: dict[int, object] = {}  # by start
        self._table: Table | None = None

    def refresh(self, table: Table) -> Iterator[None]:
        """Read the records that are new in the table of the file; yield after each record."""
        if table is self._table:
            return
        known, marks = self.by_start, self._marks
        self.by_key, self.by_start, self._marks = {}, {}, {}
        rows = table.frame.select("key", "start", "length", self._mark).iter_rows()
        try:
            with open_regular(table.path) if table.frame.height else nullcontext() as stream:
                for key, start, length, mark in rows:
                    text = known.get(start) if marks.get(start) == mark else None
                    if text is None and stream is not None:
                        stream.seek(start)
                        text = folded(self._text_of(stream.read(length)))
                    self.by_key[key] = self.by_start[start] = text or ""
                    self._marks[start] = mark
                    yield
        except OSError as error:
            raise unreadable(table.path, error) from error
        self._table = table


def folded(text: str) -> str:
    """Return a text with its case folded and each run of blanks and line breaks as one blank."""
    return " ".join(text.casefold().split())


def _answer_text(line: bytes) -> str:
    answer, _ = answer_lines.decode(line)
    return "\n".join(answer.usable() or ()) if answer is not None else ""


def _judge_text(line: bytes) -> str:
    judgment, _ = judgment_lines.decode(line)
    games = judgment.games or () if judgment is not None else ()
    return "\n".join(game.written() or "" for game in games if game is not None)


def file_stamp(path: Path) -> tuple[int, int]:
    """Return size and time of a file, which change when it does; zeros if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
