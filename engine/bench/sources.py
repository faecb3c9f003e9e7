"""Finds what an import may bring in: which files of a folder or a single file belong where in which bench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench.layout import BenchPaths
from engine.bench.lines import ProblemLog, json_lines
from engine.bench.names import file_stem, is_shortened, model_name
from engine.errors import BenchError

Kind: TypeAlias = Literal["questions", "answers", "judgments"]

_PLACES: tuple[tuple[Kind, str], ...] = (
    ("questions", "question.jsonl"),
    ("answers", "model_answer/*.jsonl"),
    ("judgments", "model_judgment/*/*.jsonl"),
)
_MARKS = ("question.jsonl", "model_answer", "model_judgment")


class Source(msgspec.Struct, frozen=True):
    """A file to bring in, and its place under the bench's folder."""

    kind: Kind
    file: Path
    place: Path


class BenchSource(msgspec.Struct, frozen=True):
    """All files for one bench. `left_out` are entries of its folder that have no place in a bench.

    `settings` is the file that says what the settings digests in the records stand for, where there is one.
    """

    name: str
    sources: tuple[Source, ...]
    left_out: tuple[Path, ...] = ()
    settings: Path | None = None


def find_sources(src: Path, name: str | None = None) -> list[BenchSource]:
    """What `src` holds: a bench folder, a folder of benches (or one with `data/` in it), or a single JSONL file.

    `name` names the bench, by default the folder does. Raises BenchError if there is nothing to bring in, if `name` is
    no name for a folder, or if it is needed or cannot be used.
    """
    if name is not None:
        check_bench_name(name)
    if src.is_file():
        return [_single(src, name)]
    folders = [src] if _is_bench(src) else [folder for folder in _inner_folders(src) if _is_bench(folder)]
    if not folders:
        raise BenchError(
            f"{src}: there is no bench in it", "a bench has a question.jsonl, model_answer/ or model_judgment/"
        )
    if name is not None and len(folders) > 1:
        raise BenchError(
            f"{src}: {len(folders)} benches cannot all be named {name!r}",
            f"leave the name out, or import one of {', '.join(sorted(folder.name for folder in folders))}",
        )
    return [_folder(folder, name or folder.resolve().name) for folder in folders]


def check_bench_name(name: str) -> None:
    """Raise BenchError for what is no name of a folder."""
    if not name or file_stem(name) != name or "%" in name:
        raise BenchError(f"{name!r} is no name for a bench", "use letters, digits, '-', '_' and '.'")


def _is_bench(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _MARKS)


def _inner_folders(src: Path) -> list[Path]:
    candidates = [*src.iterdir(), *(src / "data").glob("*")] if src.is_dir() else []
    return sorted(entry for entry in candidates if entry.is_dir() and not entry.name.startswith("."))


def _folder(folder: Path, name: str) -> BenchSource:
    sources = [
        Source(kind, file, file.relative_to(folder))
        for kind, pattern in _PLACES
        for file in sorted(folder.glob(pattern))
        if file.is_file() and all(_leads_somewhere(part) for part in file.relative_to(folder).parts)
    ]
    settings = BenchPaths(folder).settings
    taken = {settings, *(source.file for source in sources)}
    left_out = (file for file in sorted(folder.rglob("*.jsonl")) if file not in taken)
    return BenchSource(name, tuple(sources), tuple(left_out), settings if settings.is_file() else None)


def _leads_somewhere(part: str) -> bool:
    """Whether a file of this name would be found again under the name of a model."""
    stem = part.removesuffix(".jsonl")
    return not part.startswith(".") and (is_shortened(stem) or model_name(stem) is not None)


def _single(file: Path, name: str | None) -> BenchSource:
    record = next(_records(file), None)
    if record is None:
        raise BenchError(f"{file}: there is no record in it", "it must hold one JSON object a line")
    if "winner" in record and "model_a" in record:
        raise BenchError(
            f"{file}: it holds battles, which have no place in a bench", f"see `arena-tui leaderboard --battles {file}`"
        )
    paths = BenchPaths(Path())
    if "games" in record:
        kind: Kind = "judgments"
        judge = _text(record, "judge") or model_name(file.parent.name) or file.parent.name
        place = paths.judgments(judge, _text(record, "model") or file.stem)
    elif "choices" in record or "messages" in record:
        kind = "answers"
        place = paths.answers(_text(record, "model_id") or _text(record, "model") or file.stem)
    elif "turns" in record or "prompt" in record:
        kind, place = "questions", paths.questions
    else:
        raise BenchError(f"{file}: neither questions, answers nor judgments", "see the first line of it")
    return BenchSource(name or _bench_around(file, len(place.parts)), (Source(kind, file, place),))


def _bench_around(file: Path, depth: int) -> str:
    """The bench that a file lies in by its path, `depth` levels up."""
    folder = file.resolve().parents[depth - 1]
    if not _is_bench(folder) or (depth == 1 and file.name != "question.jsonl"):
        raise BenchError(f"{file}: it does not say which bench it is for", "name the bench with --name")
    return folder.name


def _records(file: Path) -> Iterator[dict[str, object]]:
    log = ProblemLog(file)
    decoder = msgspec.json.Decoder(dict[str, object])
    return (decoder.decode(line) for _, line in json_lines(file, log))


def _text(record: dict[str, object], key: str) -> str | None:
    value = record.get(key)
    return value if isinstance(value, str) and value else None
