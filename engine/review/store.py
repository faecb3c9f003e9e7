"""The files of human labels: read whole, written one line at a time.

They belong to the reviewer, not to a run, so no lock is taken: lines are appended in one write each, which also works
beside a run of another process.
"""

from __future__ import annotations

import getpass
import time
from pathlib import Path

import msgspec

from engine.bench.appender import append_lines
from engine.bench.layout import BenchPaths
from engine.bench.lines import Loaded, encode_line, load_structs
from engine.records import Label
from engine.review.labels import HumanLabel, Pair, ReviewLine, SkippedLabel, UndoneLabel, standing

_decoder = msgspec.json.Decoder(ReviewLine)


def load_labels(path: Path) -> Loaded[dict[Pair, HumanLabel]]:
    """What one reviewer's file says after all of its lines, see `standing`. A file that is not there says nothing.

    Raises BenchError if it cannot be read.
    """
    loaded = load_structs(path, _decoder)
    return Loaded(standing(loaded.items), loaded.problems)


def load_all_labels(paths: BenchPaths) -> dict[str, dict[Pair, HumanLabel]]:
    """Every reviewer's labels, by the stem of the file. Raises BenchError if a file cannot be read."""
    if not paths.review_dir.is_dir():
        return {}
    files = sorted(file for file in paths.review_dir.glob("*.jsonl") if not file.name.startswith("."))
    return {file.stem: load_labels(file).items for file in files}


def default_reviewer() -> str:
    """The name of the user of this machine, as far as it has one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "reviewer"


class ReviewStore:
    """One reviewer's labels on a bench. What was said stands in `said`, the last said comes last.

    Opening reads the file and each change is written before it is returned, so call both in a thread. They raise
    BenchError and StorageError.
    """

    def __init__(self, paths: BenchPaths, reviewer: str) -> None:
        self.reviewer = reviewer
        self._path = paths.review(reviewer)
        loaded = load_labels(self._path)
        self.said: dict[Pair, HumanLabel] = loaded.items
        self.problems = loaded.problems
        self._lines_of: dict[Pair, int] = {}  # lines of this session since the pair was last taken back

    def label(
        self, pair: Pair, label: Label, *, game: int, judge: str | None, baseline: str, note: str = ""
    ) -> HumanLabel:
        """Append a label in the order that was shown, with a note."""
        return self._say(HumanLabel(*pair, judge, baseline, game, label, note, time.time(), self.reviewer))

    def skip(self, pair: Pair, *, game: int, judge: str | None, baseline: str, note: str = "") -> HumanLabel:
        """Append that the pair was set aside."""
        return self._say(SkippedLabel(*pair, judge, baseline, game, None, note, time.time(), self.reviewer))

    def note(self, pair: Pair, note: str) -> HumanLabel:
        """Say again what was said of the pair, with another note. Raises KeyError if nothing was."""
        return self._say(msgspec.structs.replace(self.said[pair], note=note, tstamp=time.time()))

    def undo(self) -> HumanLabel | None:
        """Take back what was said last, in this session or an earlier one; returns it, None if nothing is left."""
        if not self.said:
            return None
        pair = next(reversed(self.said))
        # A pair that was said twice (a note came later) is taken back twice, for readers that go back line by line.
        for _ in range(max(1, self._lines_of.pop(pair, 1))):
            self._append(UndoneLabel(*pair, time.time(), self.reviewer))
        return self.said.pop(pair)

    def _say(self, label: HumanLabel) -> HumanLabel:
        self._append(label)
        self.said.pop(label.pair, None)
        self.said[label.pair] = label
        self._lines_of[label.pair] = self._lines_of.get(label.pair, 0) + 1
        return label

    def _append(self, line: msgspec.Struct) -> None:
        append_lines(self._path, [encode_line(line)])
