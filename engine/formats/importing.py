"""Imports existing data: a bench folder, the `data` folder around several, a single file, answers of other programs.

Arena-hard files of either generation are copied byte for byte, after every one of them was read. Nothing that exists is
overwritten: the same content stays, other content is refused before anything is copied.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from engine.bench.atomic import atomic_file, make_folder, storage_error
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, ProblemLog
from engine.bench.lock import BenchLock
from engine.bench.names import LONGEST, file_stem, is_shortened, model_name
from engine.bench.packed import UNPACK, is_packed
from engine.bench.settings import load_settings, register_settings
from engine.bench.shapes import Kind, kind_of
from engine.bench.stored import load_answers, load_judgments, load_questions
from engine.errors import Advice, AdviceKind, BenchError
from engine.formats.foreign_answers import convert, is_foreign, records_of
from engine.formats.foreign_judgments import convert_pairs, pair_file
from engine.formats.foreign_pairs import PairFormat, pair_format
from engine.formats.row_files import FileRow
from engine.opening import check_tree, open_regular

_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("questions", "question.jsonl"),
    ("answers", "model_answer/*.jsonl"),
    ("judgments", "model_judgment/*/*.jsonl"),
    ("judgments", "judgment_repeats/*/*.jsonl"),
)
_MOST_REASONS = 3  # problems shown of a file without one usable record
_MARKS = ("question.jsonl", "model_answer", "model_judgment")


class SourceFile(msgspec.Struct, frozen=True):
    """A file to import, and its path under the bench's folder."""

    kind: Kind
    file: Path
    target: Path


class BenchSource(msgspec.Struct, frozen=True):
    """All files for one bench. `left_out` are JSONL files of its folder that do not belong to a bench.

    `settings` is the file that explains the settings digests in the records, where there is one.
    """

    name: str
    sources: tuple[SourceFile, ...]
    left_out: tuple[Path, ...] = ()
    settings: Path | None = None


def find_sources(src: Path, name: str | None = None) -> list[BenchSource]:
    """Return what `src` holds: a bench folder, a folder of benches (or one with `data/` in it), or one JSONL file.

    `name` names the bench, by default the folder does. Raises BenchError if there is nothing to import, if `name` is
    no name for a folder, or if it is needed or cannot be used.
    """
    if name is not None:
        check_bench_name(name)
    if src.is_file():
        return [_single(src, name)]
    if not src.is_dir():
        raise BenchError(f"{src}: is neither a file nor a folder", "give the path of a file or a folder")
    folders = bench_folders(src)
    if not folders:
        raise BenchError(f"{src}: no bench in it", "a bench has a question.jsonl, model_answer/ or model_judgment/")
    if name is not None and len(folders) > 1:
        raise BenchError(
            f"{src}: {len(folders)} benches cannot all be named {name!r}",
            f"leave the name out, or import one of {', '.join(sorted(folder.name for folder in folders))}",
        )
    for folder in folders:
        check_tree(folder, src)
        if name is None:
            check_bench_name(folder.resolve().name)
    return [_folder(folder, name or folder.resolve().name) for folder in folders]


def bench_folders(src: Path) -> list[Path]:
    """Return `src` if it is a bench folder, else the bench folders in it and in its `data/`, sorted."""
    if _is_bench(src):
        return [src]
    entries = [*src.iterdir(), *(src / "data").glob("*")] if src.is_dir() else []
    return sorted(entry for entry in entries if entry.is_dir() and entry.name[:1] != "." and _is_bench(entry))


def check_bench_name(name: str) -> None:
    """Raise BenchError if `name` cannot name a folder."""
    if not name or file_stem(name) != name or "%" in name:
        hint = Advice(f"name the bench with at most {LONGEST} letters, digits, '-', '_' and '.'", AdviceKind.BENCH_NAME)
        raise BenchError(f"{name!r} cannot name a bench", hint)


def _is_bench(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _MARKS)


def _folder(folder: Path, name: str) -> BenchSource:
    sources = [
        SourceFile(kind, file, file.relative_to(folder))
        for kind, pattern in _PATTERNS
        for file in sorted(folder.glob(pattern))
        if file.is_file() and all(_is_found_again(part) for part in file.relative_to(folder).parts)
    ]
    settings = BenchPaths(folder).settings
    taken = {settings, *(source.file for source in sources)}
    others = (file for file in sorted(folder.rglob("*")) if file.suffix == ".jsonl" or is_packed(file))
    left_out = (file for file in others if file not in taken)
    return BenchSource(name, tuple(sources), tuple(left_out), settings if settings.is_file() else None)


def _is_found_again(part: str) -> bool:
    """Whether a file of this name is found under the name of a model."""
    stem = part.removesuffix(".jsonl")
    return not part.startswith(".") and (is_shortened(stem) or model_name(stem) is not None)


def _single(file: Path, name: str | None) -> BenchSource:
    log = ProblemLog(file)
    record = next(records_of(file, log), None)
    if record is None:
        first = "".join(f"{problem.message}; " for problem in log.result()[:1])
        raise BenchError(f"{file}: no record in it", f"{first}it must hold one JSON object per line")
    if "winner" in record and "model_a" in record:
        raise BenchError(
            f"{file}: it holds battles, which have no place in a bench",
            Advice("rate them as they are", AdviceKind.RATE_BATTLES, values=(str(file),)),
        )
    paths, kind = BenchPaths(Path()), kind_of(record)
    if kind == "judgments":
        judge = _text(record, "judge") or model_name(file.parent.name) or file.parent.name
        target = paths.judgments(judge, _text(record, "model") or file.stem)
    elif kind == "answers":
        named = (_text(record, key) for key in ("model_id", "model", "generator"))
        target = paths.answers(next(filter(None, named), file.stem))
    elif kind == "questions":
        target = paths.questions
    else:
        raise BenchError(f"{file}: neither questions, answers nor judgments", "check its first line")
    return BenchSource(name or _bench_around(file, len(target.parts)), (SourceFile(kind, file, target),))


def _bench_around(file: Path, depth: int) -> str:
    """Return the name of the bench that a file lies in by its path, `depth` levels up."""
    folder = file.resolve().parents[depth - 1]
    if not _is_bench(folder) or (depth == 1 and file.name != "question.jsonl"):
        raise _unnamed(file)
    return folder.name


def _unnamed(file: Path) -> BenchError:
    return BenchError(f"{file}: the bench is not named in it", Advice("name the bench", AdviceKind.BENCH_NAME))


def _text(record: dict[str, object], key: str) -> str | None:
    value = record.get(key)
    return value if isinstance(value, str) and value else None


class ImportedFile(msgspec.Struct, frozen=True):
    """An imported file: the questions of its usable records, and whether it had to be copied."""

    source: SourceFile
    question_ids: frozenset[str]
    problems: tuple[FileProblem, ...]
    copied: bool = False


class ImportedBench(msgspec.Struct, frozen=True):
    """The import of one bench; `notes` say how its files fit together, `left_out` do not belong to a bench.

    `labels` are files with labels of people, and the number of labels in each.
    """

    root: Path
    files: tuple[ImportedFile, ...]
    left_out: tuple[Path, ...]
    notes: tuple[FileProblem, ...]
    labels: tuple[tuple[Path, int], ...] = ()


class ImportReport(msgspec.Struct, frozen=True):
    """The benches of one import."""

    benches: tuple[ImportedBench, ...]

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """Return everything that is wrong, with file and line."""
        of_files = (problem for bench in self.benches for file in bench.files for problem in file.problems)
        return (*of_files, *(note for bench in self.benches for note in bench.notes))

    def lines(self) -> Iterator[str]:
        """Yield the report for people, one line per file."""
        for bench in self.benches:
            yield f"{bench.root}"
            for file in bench.files:
                kept = "" if file.copied else ", there already"
                yield f"  {file.source.target}: {len(file.question_ids)} {file.source.kind}{kept}"
            yield from (
                f"  {path}: {count} labels, which an audit compares the judge with" for path, count in bench.labels
            )
            for path in bench.left_out:
                yield f"  left out, {_why_left_out(path)}: {path}"


def _why_left_out(path: Path) -> str:
    if is_packed(path):
        return f"as it is packed ({UNPACK})"
    if path.parent.name == "model_judgment":
        with suppress(BenchError):
            if pair_format(next(records_of(path), {})) is not None:
                return "as it holds judgments of pairs: import this file on its own, into the same bench"
        return "as grades compare nothing (judge the answers here)"
    return "as it has no place in a bench"


def import_bench(src: Path, data_dir: Path, name: str | None = None) -> ImportReport:
    """Copy what `src` holds into `data_dir` (see `find_sources` for what it may be, and for `name`).

    A file of another program is converted first, and needs a `name`. Raises BenchError if there is nothing to import,
    or if a file exists with other content (all of them are named); nothing is copied then. Raises BenchLocked while a
    run writes to the bench, StorageError for a full disk.
    """
    if src.is_file() and (pairs := pair_file(src)) is not None:
        return _import_pairs(src, pairs, data_dir, name)
    if not (src.is_file() and is_foreign(src)):
        return ImportReport(tuple([_import(found, data_dir / found.name) for found in find_sources(src, name)]))
    if name is None:
        raise _unnamed(src)
    check_bench_name(name)
    with TemporaryDirectory(prefix="arena-tui-") as folder:
        converted = convert(src, BenchPaths(data_dir / name), Path(folder))
        return ImportReport(tuple([_import(_single(file, name), data_dir / name) for file in converted]))


def _import_pairs(
    src: Path, pairs: tuple[PairFormat, list[FileRow], ProblemLog], data_dir: Path, name: str | None
) -> ImportReport:
    """Import a file of judgments of pairs, with what it holds of questions, answers and labels of people."""
    if name is None:
        raise _unnamed(src)
    check_bench_name(name)
    with TemporaryDirectory(prefix="arena-tui-") as temporary:
        bench, folder = BenchPaths(data_dir / name), Path(temporary)
        problems = convert_pairs(src, *pairs, bench, folder)
        files = sorted(BenchPaths(folder).review_dir.glob("*.jsonl"))
        labels = [SourceFile("judgments", each, Path(bench.review_dir.name, each.name)) for each in files]
        _refuse_conflicts(labels, bench.root)
        found = msgspec.structs.replace(_folder(folder, name), left_out=())
        imported = _import(found, bench.root)
        for each in labels:
            _copy(each, bench.root)
        counts = tuple((each.target, each.file.read_bytes().count(b"\n")) for each in labels)
    return ImportReport((msgspec.structs.replace(imported, notes=(*problems, *imported.notes), labels=counts),))


def _import(found: BenchSource, root: Path) -> ImportedBench:
    read = [_read(source) for source in found.sources]
    files = [file for file in read if file.question_ids]
    unusable = [file for file in read if not file.question_ids]
    if not files or any(file.source.kind == "questions" for file in unusable):
        raise _nothing_usable(unusable, found)
    try:
        make_folder(root)
    except OSError as error:
        raise storage_error(root, error) from error
    with BenchLock(BenchPaths(root)):
        _refuse_conflicts([file.source for file in files], root)
        imported = tuple([msgspec.structs.replace(file, copied=_copy(file.source, root)) for file in files])
        if found.settings is not None:  # added to those of the bench: the digests name their own contents
            register_settings(BenchPaths(root).settings, load_settings(found.settings))
    problems = (problem for file in unusable for problem in (*_refused(file), *file.problems))
    return ImportedBench(root, imported, found.left_out, (*problems, *_notes(imported, root)))


def _refused(file: ImportedFile) -> Iterator[FileProblem]:
    yield FileProblem(str(file.source.file), None, f"no usable {file.source.kind} in it; the file was not imported")


def _nothing_usable(files: Collection[ImportedFile], found: BenchSource) -> BenchError:
    """Return the error for an import without questions, answers or judgments that can be used."""
    if not files:
        return BenchError(f"{found.name}: no questions, answers or judgments in it", "nothing was imported")
    reasons = [f"{file.source.file}: no usable {file.source.kind} in it" for file in files]
    reasons += [str(problem) for file in files for problem in file.problems[:_MOST_REASONS]]
    return BenchError("\n  ".join(reasons), "nothing was imported; see docs/files.md for the shapes that are read")


def _read(source: SourceFile) -> ImportedFile:
    if source.kind == "questions":
        questions = load_questions(source.file)
        return ImportedFile(source, frozenset(question.id for question in questions.items), questions.problems)
    if source.kind == "answers":
        answers = load_answers(source.file)
        return ImportedFile(source, frozenset(answers.items), answers.problems)
    judgments = load_judgments(source.file)
    return ImportedFile(source, frozenset(judgments.items), judgments.problems)


def _refuse_conflicts(sources: Collection[SourceFile], root: Path) -> None:
    existing = [source for source in sources if (root / source.target).exists()]
    differing = [
        str(source.target) for source in existing if not filecmp.cmp(source.file, root / source.target, shallow=False)
    ]
    if differing:
        raise BenchError(
            f"{root}: {', '.join(differing)}: exists with other content; nothing was imported",
            Advice("import under another name, or move these files away", AdviceKind.BENCH_NAME),
        )


def _copy(source: SourceFile, root: Path) -> bool:
    """Copy the file unless it exists."""
    target = root / source.target
    if target.exists():
        return False
    with atomic_file(target) as copy, open_regular(source.file) as original:
        shutil.copyfileobj(original, copy, 1 << 20)
    return True


def _notes(files: Collection[ImportedFile], root: Path) -> Iterator[FileProblem]:
    """Yield how the files do not fit the question set, which may be older than the import."""
    questions = BenchPaths(root).questions
    if not questions.exists():
        yield FileProblem(str(questions), None, "there is no question set yet; import one into this bench")
        return
    ids = {question.id for question in load_questions(questions).items}
    for file in files:
        path = str(root / file.source.target)
        orphans = len(file.question_ids - ids)
        if orphans:
            yield FileProblem(path, None, f"{orphans} {file.source.kind} are to questions that are not in the set")
        missing = len(ids - file.question_ids)
        if missing and file.source.kind == "answers":
            yield FileProblem(path, None, f"{missing} of {len(ids)} questions have no answer")
