"""One export: which part of a bench is written where in which format. Nothing is overwritten unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.atomic import atomic_folder
from engine.bench.lines import encode_json
from engine.errors import Advice, AdviceKind, UsageProblem
from engine.formats.alpaca_eval import alpaca_eval_files
from engine.formats.arena_hard import CountTokens, TokenLengths, generation_1_files, generation_2_files
from engine.formats.selection import ExportChoice, FileRecords, RawRecord, Selection
from engine.formats.tables import export_csv, export_parquet

DataFormat: TypeAlias = Literal["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet"]
FOLDERS = ("arena-hard-v0.1", "arena-hard-v2", "alpaca-eval")


class WrittenFile(msgspec.Struct, frozen=True):
    """A file of an export: its path under the export's own, and the number of its records."""

    path: str
    records: int


class ExportReport(msgspec.Struct, frozen=True):
    """What an export wrote under `out` (one file, or a folder of `files`); `notes` say what was left out."""

    out: Path
    files: tuple[WrittenFile, ...]
    notes: tuple[str, ...]


def export_bench(
    bench: Bench,
    choice: ExportChoice,
    form: DataFormat,
    out: Path,
    *,
    force: bool = False,
    count_tokens: Callable[[], CountTokens | None] = lambda: None,
) -> ExportReport:
    """Write the current part of a bench in a format. `count_tokens` loads a tokenizer if one is needed.

    Raises UsageProblem for an `out` that exists (unless `force`) or an unknown name, BenchError for files that cannot
    be read, StorageError.
    """
    refuse_overwriting(out, force=force, is_folder=form in FOLDERS)
    if form == "alpaca-eval":  # its win rates are against one reference
        choice = msgspec.structs.replace(choice, others=())
    selection = Selection(bench, choice)
    if form not in FOLDERS:
        rows = (export_csv if form == "csv" else export_parquet)(selection, out)
        return ExportReport(out, (WrittenFile(out.name, rows),), tuple(selection.notes))
    lengths = TokenLengths(count_tokens)
    if form == "alpaca-eval":
        files = alpaca_eval_files(selection)
    else:
        files = (generation_1_files if form == "arena-hard-v0.1" else generation_2_files)(selection, lengths)
    with atomic_folder(out) as folder:
        written = tuple(_write(folder, files))
    return ExportReport(out, written, (*selection.notes, *filter(None, [lengths.note()])))


def refuse_overwriting(out: Path, *, force: bool, is_folder: bool) -> None:
    """Raise UsageProblem if an export to `out` would overwrite something that it must not."""
    if not out.exists():
        return
    if out.is_dir() != is_folder:
        wanted = "a folder" if is_folder else "a file"
        raise UsageProblem(f"{out}: exists and is not {wanted}", Advice("choose another path", AdviceKind.OUT))
    if not force and not (is_folder and not any(out.iterdir())):
        hint = Advice("choose another path, or overwrite it", AdviceKind.OUT, AdviceKind.OVERWRITE)
        raise UsageProblem(f"{out}: exists", hint)


def _write(folder: Path, files: Iterable[FileRecords]) -> Iterator[WrittenFile]:
    """Write each file that has records, one record at a time."""
    for path, records in files:
        first = next(records, None)
        if first is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            yield WrittenFile(path.as_posix(), _write_records(folder / path, first, records))


def _write_records(path: Path, first: RawRecord, others: Iterable[RawRecord]) -> int:
    """Write `.jsonl` as one JSON object a line, `.json` as one array; return the number of records."""
    start, between, end = (b"", b"\n", b"\n") if path.suffix == ".jsonl" else (b"[\n", b",\n", b"\n]\n")
    count = 1
    with path.open("wb") as stream:
        stream.write(start + encode_json(first))
        for record in others:
            stream.write(between + encode_json(record))
            count += 1
        stream.write(end)
    return count
