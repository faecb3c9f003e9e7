"""One export: which part of a bench is written where in which format. Nothing is overwritten unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from engine.bench import Bench
from engine.bench.atomic import atomic_folder, write_file
from engine.bench.lines import encode_json
from engine.errors import Advice, AdviceKind, UsageProblem
from engine.formats.alpaca_eval import alpaca_eval_files
from engine.formats.arena_hard import CountTokens, TokenLengths, generation_1_files, generation_2_files
from engine.formats.catalogue import BY_NAME
from engine.formats.data_set import write_data_set
from engine.formats.every_eval_ever import every_eval_ever_files
from engine.formats.leaderboard_files import CSV_COLUMNS, arena_hard_rows, lm_eval_files
from engine.formats.model_card import model_card_files
from engine.formats.published import PublishedBench
from engine.formats.selection import ExportChoice, RawRecord, Selection
from engine.formats.tables import export_csv, export_parquet, write_csv
from engine.ratings.leaderboard import Leaderboard


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
    form: str,
    out: Path,
    *,
    rate: Callable[[], Leaderboard] | None = None,
    force: bool = False,
    count_tokens: Callable[[], CountTokens | None] = lambda: None,
) -> ExportReport:
    """Write the current part of a bench in a format of `catalogue.EXPORTS`.

    `rate` computes the leaderboard and `count_tokens` loads a tokenizer where a format needs them. Raises
    UsageProblem for an `out` that exists (unless `force`) or an unknown name, BenchError for files that cannot be read,
    StorageError.
    """
    entry = BY_NAME[form]
    refuse_overwriting(out, force=force, is_folder=entry.is_folder)
    if form == "alpaca-eval" or (entry.rated and choice.others is None):  # their win rates are against one reference
        choice = msgspec.structs.replace(choice, others=())
    selection = Selection(bench, choice)
    if entry.rated:
        if rate is None:
            raise TypeError(f"{form} holds scores: it needs `rate`")
        return _export_rated(PublishedBench(selection, rate()), form, out)
    if not entry.is_folder:
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


def _export_rated(published: PublishedBench, form: str, out: Path) -> ExportReport:
    """Write a format that holds scores."""
    if form == "arena-hard-csv":
        count = write_csv(out, CSV_COLUMNS, arena_hard_rows(published))
        written: tuple[WrittenFile, ...] = (WrittenFile(out.name, count),)
    else:
        with atomic_folder(out) as folder:
            if form == "datasets":
                written = tuple(WrittenFile(path, count) for path, count in write_data_set(published, folder))
            else:
                written = tuple(_write(folder, _RATED[form](published)))
    return ExportReport(out, written, (*published.selection.notes, *published.notes()))


_RATED: dict[str, Callable[[PublishedBench], Iterable[tuple[Path, Iterator[RawRecord] | bytes]]]] = {
    "every-eval-ever": every_eval_ever_files,
    "lm-eval": lm_eval_files,
    "model-index": model_card_files,
}


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


def _write(folder: Path, files: Iterable[tuple[Path, Iterator[RawRecord] | bytes]]) -> Iterator[WrittenFile]:
    """Write each file that has records, one record at a time; a document is one record."""
    for path, content in files:
        first = content if isinstance(content, bytes) else next(content, None)
        if first is None:
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            write_file(folder / path, content)
            yield WrittenFile(path.as_posix(), 1)
        else:
            assert not isinstance(first, bytes)
            yield WrittenFile(path.as_posix(), _write_records(folder / path, first, content))


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
