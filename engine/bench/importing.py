"""Brings existing arena-hard data in: a bench folder, the `data` folder around several, or a single file.

Files are copied byte for byte, of either generation, after every one of them was read. Nothing that is there already is
overwritten: the same content is left alone, other content is refused before anything is copied.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.bench.appender import storage_error, sync_folder
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem
from engine.bench.lock import BenchLock
from engine.bench.settings import load_settings, register_settings
from engine.bench.sources import BenchSource, Source, find_sources
from engine.bench.stored import load_judgments, load_questions, load_token_lengths
from engine.errors import BenchError


class ImportedFile(msgspec.Struct, frozen=True):
    """A file brought in: the questions its usable records are about, and whether it had to be copied."""

    source: Source
    question_ids: frozenset[str]
    problems: tuple[FileProblem, ...]
    copied: bool = False


class ImportedBench(msgspec.Struct, frozen=True):
    """What one bench got; `notes` tell how its files fit together, `left_out` what of the source has no place in it."""

    root: Path
    files: tuple[ImportedFile, ...]
    left_out: tuple[Path, ...]
    notes: tuple[FileProblem, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did."""

    benches: tuple[ImportedBench, ...]

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """Everything that is not as it should be, with file and line."""
        of_files = (problem for bench in self.benches for file in bench.files for problem in file.problems)
        return (*of_files, *(note for bench in self.benches for note in bench.notes))

    def lines(self) -> Iterator[str]:
        """The report for people, one line a file."""
        for bench in self.benches:
            yield f"{bench.root}"
            for file in bench.files:
                kept = "" if file.copied else ", there already"
                yield f"  {file.source.place}: {len(file.question_ids)} {file.source.kind}{kept}"
            for path in bench.left_out:
                yield f"  left out, as it has no place in a bench: {path}"


def import_bench(src: Path, data_dir: Path, name: str | None = None) -> ImportReport:
    """Bring what `src` holds into `data_dir` (see `find_sources` for what it may be, and for `name`).

    Raises BenchError if there is nothing to bring in, or if a file is there already with other content (all of them are
    named); nothing is copied then. Raises BenchLocked while a run writes to the bench, StorageError for a full disk.
    """
    return ImportReport(tuple([_import(source, data_dir / source.name) for source in find_sources(src, name)]))


def _import(found: BenchSource, root: Path) -> ImportedBench:
    files = [_read(source) for source in found.sources]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(root, error) from error
    with BenchLock(BenchPaths(root)):
        _refuse_conflicts(found.sources, root)
        imported = tuple([msgspec.structs.replace(file, copied=_copy(file.source, root)) for file in files])
        if found.settings is not None:  # added to what is known already: the digests name their own contents
            register_settings(BenchPaths(root).settings, load_settings(found.settings))
    return ImportedBench(root, imported, found.left_out, tuple(_notes(imported, root)))


def _read(source: Source) -> ImportedFile:
    if source.kind == "questions":
        questions = load_questions(source.file)
        return ImportedFile(source, frozenset(question.id for question in questions.items), questions.problems)
    if source.kind == "answers":
        answers = load_token_lengths(source.file)
        return ImportedFile(source, frozenset(answers.items), answers.problems)
    judgments = load_judgments(source.file, prompts=False)
    return ImportedFile(source, frozenset(judgments.items), judgments.problems)


def _refuse_conflicts(sources: Collection[Source], root: Path) -> None:
    there = [source for source in sources if (root / source.place).exists()]
    differing = [
        str(source.place) for source in there if not filecmp.cmp(source.file, root / source.place, shallow=False)
    ]
    if differing:
        raise BenchError(
            f"{root}: {', '.join(differing)}: there already with other content; nothing was imported",
            "import under another --name, or move these files away",
        )


def _copy(source: Source, root: Path) -> bool:
    """Copy unless it is there. The file appears under its name only when it is whole."""
    target = root / source.place
    if target.exists():
        return False
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.file.open("rb") as original, partial.open("wb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise storage_error(target, error) from error
    return True


def _notes(files: Collection[ImportedFile], root: Path) -> Iterator[FileProblem]:
    """Whether the files fit the question set, which may have been there before."""
    questions = BenchPaths(root).questions
    if not questions.exists():
        yield FileProblem(str(questions), None, "there is no question set yet; import one into this bench")
        return
    ids = {question.id for question in load_questions(questions).items}
    for file in files:
        place = str(root / file.source.place)
        strangers = len(file.question_ids - ids)
        if strangers:
            yield FileProblem(place, None, f"{strangers} {file.source.kind} are to questions that are not in the set")
        missing = len(ids - file.question_ids)
        if missing and file.source.kind == "answers":
            yield FileProblem(place, None, f"{missing} of {len(ids)} questions have no answer")
