"""One export: what of a bench goes where in which format. Nothing is overwritten unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from engine.bench import Bench
from engine.bench.atomic import atomic_folder
from engine.errors import UsageProblem
from engine.exporting.alpaca_eval import export_alpaca_eval
from engine.exporting.arena_hard_v01 import export_arena_hard_v01
from engine.exporting.arena_hard_v2 import export_arena_hard_v2
from engine.exporting.games_table import export_csv, export_parquet
from engine.exporting.lengths import Count, Lengths
from engine.exporting.output import Output, WrittenFile
from engine.exporting.selection import Choice, Selection

DataFormat: TypeAlias = Literal["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet"]
FOLDERS = ("arena-hard-v0.1", "arena-hard-v2", "alpaca-eval")


class ExportReport(msgspec.Struct, frozen=True):
    """What an export wrote under `out` (one file, or a folder of `files`), and what stayed behind."""

    out: Path
    files: tuple[WrittenFile, ...]
    notes: tuple[str, ...]


def export_bench(
    bench: Bench,
    choice: Choice,
    form: DataFormat,
    out: Path,
    *,
    force: bool = False,
    count_tokens: Callable[[], Count | None] = lambda: None,
) -> ExportReport:
    """Write the current part of a bench in a format. `count_tokens` brings a tokenizer if one is needed.

    Raises UsageProblem for an `out` that is there already (unless `force`) or a name that is unknown, BenchError for
    files that cannot be read, StorageError.
    """
    assert form in get_args(DataFormat)
    refuse_overwriting(out, force=force, is_folder=form in FOLDERS)
    selection = Selection(bench, choice)
    if form in FOLDERS:
        lengths = Lengths(count_tokens)
        with atomic_folder(out) as folder:
            output = Output(folder)
            if form == "alpaca-eval":
                export_alpaca_eval(selection, output)
            else:
                write = export_arena_hard_v2 if form == "arena-hard-v2" else export_arena_hard_v01
                write(selection, output, lengths)
        note = lengths.note()
        return ExportReport(out, tuple(output.written), (*selection.notes, *([note] if note else [])))
    rows = (export_csv if form == "csv" else export_parquet)(selection, out)
    return ExportReport(out, (WrittenFile(out.name, rows),), tuple(selection.notes))


def refuse_overwriting(out: Path, *, force: bool, is_folder: bool) -> None:
    """Raise UsageProblem if an export to `out` would overwrite something that it must not."""
    if not out.exists():
        return
    if out.is_dir() != is_folder:
        wanted = "a folder" if is_folder else "a file"
        raise UsageProblem(f"{out}: is there already and is not {wanted}", "name another place with --out")
    if not force and not (is_folder and not any(out.iterdir())):
        raise UsageProblem(f"{out}: is there already", "name another place with --out, or overwrite it with --force")
