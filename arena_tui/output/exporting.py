"""Writes a bench in one of the formats of `export`, for the command and for the terminal UI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageProblem
from engine.formats.catalogue import EXPORTS, FormatEntry

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.formats.arena_hard import CountTokens
    from engine.formats.export import ExportReport
    from engine.ratings.leaderboard import GroupKind, Leaderboard

HTML = FormatEntry("html", "one page to read: scores, plots, audit, examples, judgments", ".html")
FORMATS: tuple[FormatEntry, ...] = (HTML, *EXPORTS)
"""Every format, in the order in which they are offered."""


def usual_target(bench: str, form: str) -> Path:
    """Return the path of an export for which none was named, after the bench and the format."""
    ending = next(entry.ending for entry in FORMATS if entry.name == form)
    named = form.removesuffix(ending[1:]).rstrip("-") if ending else form
    return Path("-".join(filter(None, (bench, named))) + ending)


def write_export(
    config: Config,
    bench: Bench,
    form: str,
    out: Path | None = None,
    *,
    judges: Sequence[str] = (),
    models: Sequence[str] = (),
    baselines: Sequence[str] = (),
    force: bool = False,
    strict: bool = False,
) -> ExportReport:
    """Write what `judges` (by default those of the config) decided against `baselines`. Raises ArenaError."""
    from engine.formats.export import export_bench
    from engine.formats.selection import ExportChoice

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
    if form == HTML.name:
        from arena_tui.output.report.exporting import export_page

        return export_page(config, bench, choice, out, force=force)

    def rate() -> Leaderboard:
        from engine.api import leaderboard, open_source

        if not chosen:
            raise UsageProblem(f"{bench.name}: no judgments, so there are no scores to export", "judge answers first")
        groups: GroupKind | None = "category" if form == "lm-eval" else None
        return leaderboard(open_source(config, chosen, tuple(baselines), strict=strict), by=groups)

    return export_bench(bench, choice, form, out, rate=rate, force=force, count_tokens=_tokenizer)


def _tokenizer() -> CountTokens | None:
    import asyncio

    from engine.models.tokens import load_counter

    counter = asyncio.run(load_counter())
    return counter.count if counter is not None else None
