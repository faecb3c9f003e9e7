"""Writes a bench in one of the formats of `export`, for the command and for the terminal UI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.formats.export import FOLDERS, ExportReport, export_bench
from engine.formats.selection import ExportChoice
from engine.models.tokens import load_counter

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.formats.arena_hard import CountTokens

ExportFormat: TypeAlias = Literal["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet", "html"]


def usual_target(bench: str, form: ExportFormat) -> Path:
    """Return the path of an export for which none was named: a folder, or a file with the format as its ending."""
    return Path(f"{bench}-{form}" if form in FOLDERS else f"{bench}.{form}")


def write_export(
    config: Config,
    bench: Bench,
    form: ExportFormat,
    out: Path | None = None,
    *,
    judges: Sequence[str] = (),
    models: Sequence[str] = (),
    baselines: Sequence[str] = (),
    force: bool = False,
    strict: bool = False,
) -> ExportReport:
    """Write what `judges` (by default those of the config) decided against `baselines`. Raises ArenaError."""
    available = bench.judges()
    chosen = tuple(judges) or tuple(judge for judge in config.judge.model if judge in available)
    pairing = config.with_baselines(baselines).judge.pairing
    choice = ExportChoice(
        baseline=pairing.baselines[0],
        by_category=pairing.rules,
        others=pairing.baselines[1:] if baselines else None,
        judges=chosen,
        models=tuple(models),
        strict=strict,
    )
    out = out or usual_target(bench.name, form)
    if form == "html":
        from arena_tui.output.html_report import export_html

        return export_html(bench, choice, out, force=force)
    return export_bench(bench, choice, form, out, force=force, count_tokens=_tokenizer)


def _tokenizer() -> CountTokens | None:
    counter = asyncio.run(load_counter())
    return counter.count if counter is not None else None
