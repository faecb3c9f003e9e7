"""Paths of the files of a bench: the ecosystem's own layout, so existing arena-hard folders work as they are.

data/<bench>/question.jsonl
data/<bench>/model_answer/<model>.jsonl
data/<bench>/model_judgment/<judge>/<model>.jsonl
data/<bench>/judgment_repeats/<judge>/<model>.jsonl   judgments of further answers, and repeated ones
data/<bench>/errors.jsonl          failures, never mixed with answers or judgments
data/<bench>/review/<reviewer>.jsonl
data/<bench>/source.json           where the questions come from
data/<bench>/settings.jsonl        the settings behind the digests in the records
data/<bench>/watch.jsonl           which models are checkpoints of a training: step, folder
data/<bench>/.watch.lock           held by a watch while it lasts
data/<bench>/probes.jsonl          what a judge gave to answers that must lose
data/<bench>/runs/<id>.json        each run: versions, flags, sampling, counts
data/<bench>/runs/<id>.log         the output of a run without a terminal
data/<bench>/.run.sock             while a run lasts: where other processes of its user attach to it
data/<bench>/logs/<server>.log     output of the servers that a run started
data/<bench>/journal.jsonl         finished parts of records that are not whole yet
data/<bench>/.index/               a cache of the files above; deleting it changes no output
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from engine.bench.names import file_stem, is_shortened, model_name
from engine.opening import open_regular

SUFFIX = ".jsonl"
_LONGEST_FIRST = 64 << 20  # bytes read of a first record for the name in it


class BenchPaths:
    """The paths of one bench folder. Reads no contents, except the first record of files with shortened names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.name
        self.questions = root / "question.jsonl"
        self.source = root / "source.json"
        self.answers_dir = root / "model_answer"
        self.judgments_dir = root / "model_judgment"
        self.repeats_dir = root / "judgment_repeats"
        self.review_dir = root / "review"
        self.logs = root / "logs"
        self.runs = root / "runs"
        self.errors = root / "errors.jsonl"
        self.journal = root / "journal.jsonl"
        self.settings = root / "settings.jsonl"
        self.watched = root / "watch.jsonl"
        self.probes = root / "probes.jsonl"
        self.lock = root / ".lock"
        self.watch_lock = root / ".watch.lock"
        self.index = root / ".index"
        self.languages = self.index / "languages"

    def ignores_case(self) -> bool:
        """Whether the file system of the bench treats `A` and `a` as one name."""
        return self.questions.with_name(self.questions.name.upper()).exists()

    def answers(self, model: str) -> Path:
        return self.answers_dir / (file_stem(model) + SUFFIX)

    def judgments(self, judge: str, model: str) -> Path:
        return self.judgments_dir / file_stem(judge) / (file_stem(model) + SUFFIX)

    def repeats(self, judge: str, model: str) -> Path:
        """Return the file of all judgments but the first of each question, see `engine.repeats`."""
        return self.repeats_dir / file_stem(judge) / (file_stem(model) + SUFFIX)

    def review(self, reviewer: str) -> Path:
        return self.review_dir / (file_stem(reviewer) + SUFFIX)

    def models_with_answers(self) -> list[str]:
        """Return every model with an answer file, sorted."""
        return _names(_record_files(self.answers_dir), ("model_id", "model"))

    def judges(self) -> list[str]:
        """Return every judge with at least one judgment file, sorted."""
        folders = [folder for folder in _visible(self.judgments_dir) if folder.is_dir()]
        names = (_name_of(folder.name, files[0], ("judge",)) for folder in folders if (files := _record_files(folder)))
        return sorted({name for name in names if name is not None})

    def judged_models(self, judge: str) -> list[str]:
        """Return every model with judgments by `judge`, sorted."""
        return _names(_record_files(self.judgments_dir / file_stem(judge)), ("model",))

    def appended_files(self) -> list[Path]:
        """Return every existing file that this program appends to (the question set is not among them), sorted."""
        by_judge = [*_visible(self.judgments_dir), *_visible(self.repeats_dir)]
        folders = [self.answers_dir, self.review_dir, *(folder for folder in by_judge if folder.is_dir())]
        single = [
            file for file in (self.errors, self.journal, self.settings, self.watched, self.probes) if file.is_file()
        ]
        return sorted([*single, *(file for folder in folders for file in _record_files(folder))])


def _visible(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted, without hidden ones (such as .ipynb_checkpoints)."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _record_files(folder: Path) -> list[Path]:
    return [entry for entry in _visible(folder) if entry.suffix == SUFFIX and entry.is_file()]


def _names(files: Iterable[Path], keys: tuple[str, ...]) -> list[str]:
    found = (_name_of(file.stem, file, keys) for file in files)
    return sorted({name for name in found if name is not None})


def _name_of(stem: str, file: Path, keys: tuple[str, ...]) -> str | None:
    """Return the name behind a file or folder; a shortened one is read from the first record of `file`."""
    if not is_shortened(stem):
        return model_name(stem)
    with open_regular(file) as stream:
        line = stream.readline(_LONGEST_FIRST)
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    given = (record.get(key) for key in keys)
    return next((name for name in given if isinstance(name, str) and file_stem(name) == stem), None)
