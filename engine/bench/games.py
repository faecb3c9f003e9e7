"""An index of the judgments of a bench: enough of each to list and filter, and where the rest of it is.

Ten thousand records are some 200 MB, so only ids and labels are kept, and files that grow are read on from where they
ended. Records are decoded one by one: that gives their places for free, skips what is not wanted at the speed of
memory, and leaves out a bad line without a second look at the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from engine.bench.codec import decode_line
from engine.bench.layout import BenchPaths
from engine.bench.places import Place, PlacedLines
from engine.judging.labels import normalise_label
from engine.judging.spelling import LONGEST_SPELLING
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
    place: Place


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

    def _take(self, place: Place, line: memoryview) -> None:
        record = decode_line(_decoder, line)
        if record is None:
            return
        question_id = record.question_id if record.question_id is not None else record.uid
        if not record.games or question_id in (None, ""):
            return
        baseline = record.baseline if isinstance(record.baseline, str) else None
        labels, played = _told(tuple([None if game is None else _score(game) for game in record.games]))
        key = str(question_id), baseline
        self.rows[key] = JudgmentRow(
            key[0], self._model, self._judge, baseline, labels, played, self._lines.path, place
        )


class _Score(msgspec.Struct, gc=False):
    score: Any = None


class _Record(msgspec.Struct, gc=False):
    """As much of a judgment as is listed; ids of other programs may be numbers."""

    question_id: str | int | None = None
    uid: str | int | None = None
    baseline: Any = None
    games: list[_Score | None] | None = None


_decoder = msgspec.json.Decoder(_Record)


def _score(game: _Score) -> str:
    """The label as it is written; "" where it cannot be one."""
    score = game.score
    return score if isinstance(score, str) and len(score) <= LONGEST_SPELLING else ""


@lru_cache(maxsize=1024)
def _told(scores: tuple[str | None, ...]) -> tuple[tuple[Label | None, ...], tuple[bool, ...]]:
    """The labels of the games, and which were played; None stands for a game that was not."""
    labels = tuple(normalise_label(score) if score else None for score in scores)
    return labels, tuple(score is not None for score in scores)
