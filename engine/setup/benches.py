"""The benches of a data folder, and what each holds by names and numbers of lines; few records are decoded.

Also finds bench folders near the working folder that are not imported yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.bench.layout import BenchPaths
from engine.errors import ArenaError
from engine.opening import open_regular

_CHUNK = 1 << 20
_LONGEST_FIRST = 64 << 20  # bytes read of a first judgment for the baseline in it
_MOST_QUESTIONS = 5000  # whose categories are read
_MARKS = ("question.jsonl", "model_answer", "model_judgment")
MOST_FOLDERS = 2000  # looked into for benches that are not imported


class FoundBench(msgspec.Struct, frozen=True):
    """A bench and what it holds. `root` is None for one that comes with the program and is not in the folder yet.

    `answers` are the records of each model, `judged` the models judged by each judge, `baselines` those that judgments
    name, `categories` those of its questions. `changed` is the time of its question set (seconds since 1970).
    """

    name: str
    root: Path | None
    questions: int
    answers: Mapping[str, int] = {}
    judged: Mapping[str, tuple[str, ...]] = {}
    baselines: tuple[str, ...] = ()
    changed: float = 0.0
    categories: tuple[str, ...] = ()

    def is_complete(self, model: str) -> bool:
        """Whether there are as many answers of `model` as questions."""
        return self.answers.get(model, 0) >= max(1, self.questions)


def find_benches(data: Path, last: Sequence[str] = ()) -> list[FoundBench]:
    """Return the benches in `data`: the newest question set first, those named in `last` at the end, in that order."""
    try:
        folders = [entry for entry in data.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
    found = [_read(folder) for folder in folders if (folder / "question.jsonl").is_file()]
    ranks = {name: rank for rank, name in enumerate(last, start=1)}
    return sorted(found, key=lambda bench: (ranks.get(bench.name, 0), -bench.changed, bench.name))


def find_unimported(folder: Path, data: Path, depth: int = 3) -> list[Path]:
    """Return the bench folders below `folder`, at most `depth` levels down and not in `data`, sorted.

    Hidden folders, links, and what lies in a bench are left out, as is everything beyond MOST_FOLDERS folders.
    """
    own, looked = data.resolve(), 0
    found: list[Path] = []
    level = [folder]
    for _ in range(depth):
        below: list[Path] = []
        for parent in level:
            for entry in _folders(parent):
                looked += 1
                if looked > MOST_FOLDERS:
                    return sorted(found)
                if entry.resolve() == own:
                    continue
                if any((entry / mark).exists() for mark in _MARKS):
                    found.append(entry)
                else:
                    below.append(entry)
        level = below
    return sorted(found)


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            named = [entry for entry in entries if entry.name[:1] not in (".", "_")]
            return sorted(Path(entry.path) for entry in named if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _read(folder: Path) -> FoundBench:
    paths = BenchPaths(folder)
    try:
        answers = {model: count_records(paths.answers(model)) for model in paths.models_with_answers()}
        judged = {judge: tuple(paths.judged_models(judge)) for judge in paths.judges()}
        baselines = tuple(dict.fromkeys(_baselines(paths, judged)))
        changed = paths.questions.stat().st_mtime
        categories = tuple(sorted(set(_categories(paths.questions))))
    except (OSError, ArenaError):
        answers, judged, baselines, changed, categories = {}, {}, (), 0.0, ()
    questions = count_records(paths.questions)
    return FoundBench(folder.name, folder, questions, answers, judged, baselines, changed, categories)


def count_records(file: Path) -> int:
    """Return the number of lines of a file that are not empty; 0 if it cannot be read."""
    count, ends_line, is_empty = 0, True, True
    try:
        with open_regular(file) as stream:
            while chunk := stream.read(_CHUNK):
                count += chunk.count(b"\n") - chunk.count(b"\n\n")
                ends_line, is_empty = chunk.endswith(b"\n"), False
    except OSError:
        return 0
    return count + (not ends_line and not is_empty)


def _baselines(paths: BenchPaths, judged: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the baselines that the first judgment of each file names."""
    for judge, models in judged.items():
        for model in models:
            with open_regular(paths.judgments(judge, model)) as stream:
                line = stream.readline(_LONGEST_FIRST)
            try:
                record = msgspec.json.decode(line, type=_Judgment)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if record.baseline:
                yield record.baseline


def _categories(file: Path) -> Iterator[str]:
    """Yield the categories of the first questions of a set."""
    decoder = msgspec.json.Decoder(_Question)
    with open_regular(file) as stream:
        for _ in range(_MOST_QUESTIONS):
            if not (line := stream.readline(_LONGEST_FIRST)):
                return
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                yield decoder.decode(line).category or ""


class _Question(msgspec.Struct):
    category: str | None = None


class _Judgment(msgspec.Struct):
    baseline: str | None = None
