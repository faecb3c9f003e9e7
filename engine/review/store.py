"""The files of human labels: read whole, appended one line at a time.

They belong to the reviewer, not to a run, so no lock is taken: each line is appended in one write, which also works
while a run of another process writes to the bench.
"""

from __future__ import annotations

import getpass
import time
from pathlib import Path

import msgspec

from engine.bench.appender import append_lines
from engine.bench.layout import BenchPaths
from engine.bench.lines import Loaded, encode_line, load_structs
from engine.labels import Label
from engine.review.labels import HumanLabel, Pair, ReviewLine, UndoneLabel, current_labels

_decoder = msgspec.json.Decoder(ReviewLine)


def load_labels(path: Path) -> Loaded[dict[Pair, HumanLabel]]:
    """Read the labels of one reviewer's file that count; none if it does not exist. Raises BenchError."""
    loaded = load_structs(path, _decoder)
    return Loaded(current_labels(loaded.items), loaded.problems)


def load_all_labels(paths: BenchPaths) -> dict[str, dict[Pair, HumanLabel]]:
    """Read every reviewer's labels, by the stem of the file. Raises BenchError if a file cannot be read."""
    if not paths.review_dir.is_dir():
        return {}
    files = sorted(file for file in paths.review_dir.glob("*.jsonl") if not file.name.startswith("."))
    return {file.stem: load_labels(file).items for file in files}


def default_reviewer() -> str:
    """Return the name of the user of this machine, else "reviewer"."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "reviewer"


class ReviewStore:
    """One reviewer's labels on a bench: `labels` are those that count, the last given last.

    Opening reads the file, and each change is written before it is returned, so call both in a thread. They raise
    BenchError and StorageError.
    """

    def __init__(self, paths: BenchPaths, reviewer: str) -> None:
        self.reviewer = reviewer
        self._path = paths.review(reviewer)
        loaded = load_labels(self._path)
        self.labels: dict[Pair, HumanLabel] = loaded.items
        self.problems = loaded.problems
        self._lines_of: dict[Pair, int] = {}  # lines of this session since the pair was last undone
        self._changes: list[tuple[Pair, HumanLabel | None]] = []  # of this session, with the label of before

    def label(
        self,
        pair: Pair,
        label: Label | None,
        *,
        game: int,
        judge: str | None,
        baseline: str,
        note: str = "",
        seen: bool = False,
    ) -> HumanLabel:
        """Append a label as seen in the order shown; None skips the pair. `seen`: with names and judgment in sight."""
        before = self.labels.get(pair)
        given = HumanLabel(*pair, judge, baseline, game, label, note, time.time(), self.reviewer, label is None, seen)
        self._give(given)
        self._changes.append((pair, before))
        return given

    def note(self, pair: Pair, note: str) -> HumanLabel:
        """Append the label of the pair again with another note. Raises KeyError without a label."""
        return self._give(msgspec.structs.replace(self.labels[pair], note=note, tstamp=time.time()))

    def undo(self) -> HumanLabel | None:
        """Take back the last change: the label of before counts again, if there was one.

        After the changes of this session, the last label of an earlier one is cancelled. Returns the label that no
        longer counts; None if there is none.
        """
        if not self.labels:
            return None
        pair, before = self._changes[-1] if self._changes else (next(reversed(self.labels)), None)
        # A pair with two lines (a note came later) is undone twice, for readers that cancel line by line.
        for _ in range(max(1, self._lines_of.pop(pair, 1))):
            self._append(UndoneLabel(*pair, time.time(), self.reviewer))
        del self._changes[-1:]
        undone = self.labels.pop(pair)
        if before is not None:
            self._give(before)
        return undone

    def _give(self, label: HumanLabel) -> HumanLabel:
        self._append(label)
        self.labels.pop(label.pair, None)
        self.labels[label.pair] = label
        self._lines_of[label.pair] = self._lines_of.get(label.pair, 0) + 1
        return label

    def _append(self, line: msgspec.Struct) -> None:
        append_lines(self._path, [encode_line(line)])
