"""`export --to html`: the report of a bench with all judgments in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from arena_tui.advice import phrase_all
from arena_tui.output.report.content import DEFAULT_EXAMPLES, ReportRequest, gather
from arena_tui.output.report.judgments import judgment_folds
from arena_tui.output.report.page import html_page
from arena_tui.output.report.writing import is_report, today, write_text
from engine.api import JudgedSource
from engine.auditing.known_bad import with_known_bad
from engine.errors import BenchError
from engine.formats.export import ExportReport, WrittenFile, refuse_overwriting
from engine.formats.selection import ExportChoice, Selection
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config


def export_page(config: Config, bench: Bench, choice: ExportChoice, out: Path, *, force: bool = False) -> ExportReport:
    """Write the page to `out`. Raises UsageProblem, BenchError (no judgment to rate) and StorageError."""
    refuse_overwriting(out, force=force or is_report(out), is_folder=False)
    choice = msgspec.structs.replace(choice, others=())  # the page shows one leaderboard
    selection = Selection(bench, choice)
    if not selection.judges:
        raise BenchError(f"{bench.paths.root}: no judgments to show", "create them with `arena-tui run`")
    judged = judged_bench(bench, selection.judges, selection.pairing, strict=choice.strict)
    judged = with_known_bad(replace(judged, warnings=phrase_all(judged.warnings)), bench, config)
    anchor = judged.facts.baselines[0]
    request = ReportRequest(
        source=JudgedSource(judged, anchor, DEFAULT_WEIGHT, bench, bench, strict=choice.strict),
        origin=config.with_baselines([] if choice.by_category else [choice.baseline]),
        options=LeaderboardOptions(baseline=anchor, weight=DEFAULT_WEIGHT),
        judges=selection.judges,
        models=choice.models,
        examples=DEFAULT_EXAMPLES,
    )
    content = gather(request)
    lines = write_text(out, html_page(content, today(), judgment_folds(selection)))
    return ExportReport(out, (WrittenFile(out.name, lines),), (*selection.notes, *content.notes))
