"""Adds a question set to a data folder: from files or from a hub, shown before anything is written.

`propose` reads and checks, `write_proposal` writes what was proposed. A set is written as `question.jsonl` in the
generation that its rows are in (`uid` and `prompt`: generation 2), beside a record of where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from statistics import median

import msgspec

from engine.bench.atomic import make_folder, storage_error, write_file
from engine.bench.generation_2 import is_generation_2
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, ProblemLog, encode_json
from engine.bench.lock import BenchLock
from engine.bench.question_source import QuestionSource, SourceFileRecord, read_source, write_source
from engine.bench.stored import load_questions
from engine.errors import Advice, AdviceKind, BenchError, UsageProblem
from engine.formats.arena_hard import question_of_generation_1, question_of_generation_2
from engine.formats.importing import check_bench_name
from engine.formats.row_files import FileRow, read_rows
from engine.opening import open_regular
from engine.question_sets import hub
from engine.question_sets.duplicates import Duplicates, find_duplicates
from engine.question_sets.reading import ColumnMap, read_questions
from engine.records import Question

_SHOWN = 5
_MOST_PROBLEMS = 20


class AddRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to add: a path or `hub:OWNER/NAME[@REVISION]`; `subset`, `split` and `file` choose in a data set of a hub.

    `columns` are pairs of a column and the field that it is; `append` adds to a bench that exists.
    """

    source: str
    name: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    encoding: str | None = None
    subset: str = ""
    split: str = ""
    file: str = ""
    skip_bad: bool = False
    drop_duplicates: bool = False
    append: bool = False


class SetProposal(msgspec.Struct, frozen=True, kw_only=True):
    """A question set that could be written, and what there is to know about it before.

    `questions` are those to write, `known` the number of those that the bench holds already. `problems` are rows that
    are left out. `duplicates` gives groups of ids.
    """

    bench: str
    source: QuestionSource
    questions: tuple[Question, ...]
    known: int
    forms: tuple[str, ...]
    encoding: str
    is_generation_2: bool
    problems: tuple[FileProblem, ...]
    same: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    dropped: int
    notes: tuple[str, ...]
    appends: bool

    @property
    def categories(self) -> dict[str, int]:
        """Return the number of questions by category, most first."""
        counts: dict[str, int] = {}
        for question in self.questions:
            counts[question.category] = counts.get(question.category, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def lengths(self) -> tuple[int, int]:
        """Return the median and the largest length of a question, in characters."""
        sizes = [sum(map(len, question.shown)) for question in self.questions]
        return int(median(sizes)), max(sizes)


def propose(request: AddRequest, data: Path) -> SetProposal:
    """Read and check what `request` names. Writes nothing.

    Raises BenchError for files that cannot be used, with file and line, for rows that cannot (unless `skip_bad`), and
    for a bench that exists with other questions (unless `append`); UsageProblem for a wrong request.
    """
    name = request.name or _name_of(request)
    check_bench_name(name)
    paths = BenchPaths(data / name)
    files, origin, notes = _files(request)
    rows: list[FileRow] = []
    columns = ColumnMap(request.columns)
    found: list[tuple[Path, int, Question]] = []
    problems: list[FileProblem] = []
    bad, forms, encodings, records = 0, list[str](), list[str](), list[SourceFileRecord]()
    for named, path in files:
        log = ProblemLog(Path(named))
        read = read_rows(path, log, request.encoding)
        rows = read.rows
        found += [(Path(named), line, question) for line, question in _pairs(rows, columns, log)]
        problems += log.result()
        bad += log.count
        forms.append(read.form)
        encodings.append(read.encoding)
        records.append(SourceFileRecord(named, _sha256(path), len(rows)))
    read_in_all = len(found)
    found, clashes = _one_each(found)
    problems += clashes
    bad += len(clashes)
    if not found or (bad and not request.skip_bad):
        raise _unusable(request.source, bad, len(found), problems, rows)
    questions = [question for _, _, question in found]
    duplicates = find_duplicates(["\n".join(question.shown) for question in questions])
    dropped = {*duplicates.repeated} if request.drop_duplicates else set[int]()
    kept = tuple(question for place, question in enumerate(questions) if place not in dropped)
    kept, known = _new_only(kept, paths, request)
    return SetProposal(
        bench=name,
        source=msgspec.structs.replace(
            origin, files=tuple(records), questions=len(kept) + known, columns=dict(request.columns)
        ),
        questions=kept,
        known=known,
        forms=tuple(dict.fromkeys(forms)),
        encoding=encodings[0],
        is_generation_2=_is_of_2(rows, paths),
        problems=tuple(problems),
        same=_ids(duplicates.exact, questions),
        near=_ids(duplicates.near, questions),
        dropped=len(dropped),
        notes=(*notes, *_notes(request, duplicates, kept, read_in_all - len(found) - len(clashes))),
        appends=known > 0 or paths.questions.exists(),
    )


def write_proposal(proposal: SetProposal, data: Path) -> Path:
    """Write the question set and its source; return the path of the questions.

    Raises BenchLocked while a run writes to the bench, BenchError if the bench has changed since, StorageError.
    """
    paths = BenchPaths(data / proposal.bench)
    try:
        make_folder(paths.root)
    except OSError as error:
        raise storage_error(paths.root, error) from error
    with BenchLock(paths):
        if paths.questions.exists() != proposal.appends:
            raise BenchError(f"{paths.questions}: was written meanwhile", "run the same command again")
        record = question_of_generation_2 if proposal.is_generation_2 else question_of_generation_1
        lines = b"".join(encode_json(record(question)) + b"\n" for question in proposal.questions)
        if proposal.appends:
            before = paths.questions.read_bytes()
            lines = before + (b"" if before.endswith(b"\n") else b"\n") + lines
        write_file(paths.questions, lines)
        write_source(paths, _joined(read_source(paths), proposal.source) if proposal.appends else proposal.source)
    return paths.questions


def _joined(before: QuestionSource | None, added: QuestionSource) -> QuestionSource:
    """Return the source of a set that was added to: what it was, with the files that came later."""
    if before is None:
        return added
    return msgspec.structs.replace(before, questions=added.questions, files=(*before.files, *added.files))


def _files(request: AddRequest) -> tuple[list[tuple[str, Path]], QuestionSource, list[str]]:
    """Return the files to read under the names to report them by, where they come from, and notes about that."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017  # one spelling for all versions
    if not request.source.startswith(hub.PREFIX):
        if request.subset or request.split or request.file:
            raise UsageProblem("a file has no subsets and splits: they belong to a data set of a hub", "leave them out")
        path = Path(request.source).expanduser()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            hint = Advice("give a file of prompts; a folder of a bench is imported", AdviceKind.IMPORT)
            raise UsageProblem(f"{path}: {what}", hint)
        return [(str(path), path)], QuestionSource(source="file", added=now, questions=0), []
    name = hub.parse_name(request.source)
    found = hub.download(name, subset=request.subset, split=request.split, file=request.file)
    origin = QuestionSource(
        source=f"{hub.PREFIX}{name.repository}",
        added=now,
        questions=0,
        revision=found.revision,
        endpoint=found.endpoint,
        subset=found.subset,
        split=found.split,
    )
    files = [(f"{name.repository}/{path}", local) for path, local in found.files]
    return files, origin, list(found.notes)


def _name_of(request: AddRequest) -> str:
    """Return the name of a bench for which none was given."""
    if request.source.startswith(hub.PREFIX):
        own = hub.parse_name(request.source).repository.partition("/")[2]
        return "-".join(filter(None, (own, request.subset.replace("/", "-"))))
    stem = Path(request.source).name
    while (path := Path(stem)).suffix and stem != path.stem:
        stem = path.stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "questions"


def _pairs(rows: Sequence[FileRow], columns: ColumnMap, log: ProblemLog) -> list[tuple[int, Question]]:
    return [(each.line, each.question) for each in read_questions(rows, columns, log)]


def _one_each(
    found: Sequence[tuple[Path, int, Question]],
) -> tuple[list[tuple[Path, int, Question]], list[FileProblem]]:
    """Return one question for each id and text over all files; an id with two texts is a problem."""
    first: dict[str, tuple[Path, int, Question]] = {}
    clashes = []
    for file, line, question in found:
        earlier = first.setdefault(question.id, (file, line, question))
        if earlier[2].shown != question.shown:
            text = f"the id {question.id} stands in {earlier[0]}:{earlier[1]} already, with another text"
            clashes.append(FileProblem(str(file), line, text))
    return list(first.values()), clashes


def _unusable(source: str, bad: int, good: int, problems: Sequence[FileProblem], rows: Sequence[FileRow]) -> BenchError:
    shown = [str(problem) for problem in problems[:_MOST_PROBLEMS]]
    if not good and not bad:
        return BenchError(f"{source}: no rows in it", "check that it is the right file")
    if not good and rows and all("no question in it" in problem.message for problem in problems[:_SHOWN]):
        named = ", ".join(f"{str(column)[:30]}" for column in list(rows[0].fields)[:10])
        return BenchError(
            f"{source}: no column holds the question (columns: {named})",
            Advice("say which one does", AdviceKind.COLUMNS),
        )
    title = f"{bad} of {bad + good} rows of {source} cannot be used:\n  " + "\n  ".join(shown)
    hint = "nothing was written; correct them" if not good else "nothing was written; correct them, or leave them out"
    return BenchError(title, Advice(hint, *([AdviceKind.SKIP_BAD] if good else [])))


def _new_only(
    questions: tuple[Question, ...], paths: BenchPaths, request: AddRequest
) -> tuple[tuple[Question, ...], int]:
    """Return the questions that the bench does not hold, and how many it does. Raises BenchError for another set."""
    if not paths.questions.exists():
        if request.append:
            raise BenchError(f"{paths.root}: no such bench to add to", "leave out to append, or name one that exists")
        return questions, 0
    held = {question.id: question for question in load_questions(paths.questions).items}
    changed = [each.id for each in questions if each.id in held and held[each.id].shown != each.shown]
    new = tuple(each for each in questions if each.id not in held)
    if changed:
        raise BenchError(
            f"{paths.root}: holds {len(changed)} of these questions with other texts, the first is {changed[0]}",
            Advice("choose another name", AdviceKind.BENCH_NAME),
        )
    if new and not request.append:
        hint = Advice("choose another name, or add them to it", AdviceKind.BENCH_NAME, AdviceKind.APPEND)
        raise BenchError(f"{paths.root}: exists, and has not {len(new)} of these questions", hint)
    return new, len(held)


def _is_of_2(rows: Sequence[FileRow], paths: BenchPaths) -> bool:
    if paths.questions.exists():
        return is_generation_2(paths.questions)
    return bool(rows) and rows[0].fields.keys() >= {"uid", "prompt"}


def _notes(request: AddRequest, found: Duplicates, kept: Sequence[Question], repeats: int) -> list[str]:
    several = sum(len(question.turns) > 1 for question in kept)
    context = sum(bool(question.context) for question in kept)
    notes = []
    if repeats:
        notes.append(f"rows left out, which repeat id and text of an earlier one: {repeats}")
    if found.exact and not request.drop_duplicates:
        notes.append(f"questions that repeat another one and weigh twice in every score: {len(found.repeated)}")
    if several:
        notes.append(f"questions with several turns, which are asked one after another: {several}")
    if context:
        notes.append(f"questions that begin with a system prompt or earlier turns, which are sent with them: {context}")
    return notes


def _ids(groups: Sequence[tuple[int, ...]], questions: Sequence[Question]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(questions[place].id for place in group) for group in groups)


def _sha256(path: Path) -> str:
    digest = sha256()
    with open_regular(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
