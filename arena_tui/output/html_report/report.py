"""`export --to html`: rates the bench and writes the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arena_tui.advice import phrase
from arena_tui.output.html_report.forest import forest_plot
from arena_tui.output.html_report.judgments import judgments_section
from arena_tui.output.html_report.markup import name
from arena_tui.output.html_report.style import POLICY, STYLE
from arena_tui.output.leaderboard.columns import headline, score_columns
from arena_tui.output.text_table import Column
from engine.bench import Bench
from engine.bench.atomic import atomic_file
from engine.errors import BenchError
from engine.exporting.export import ExportReport, refuse_overwriting
from engine.exporting.output import WrittenFile
from engine.exporting.selection import Choice, Selection
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions
from engine.results import judged_bench, rate


def export_html(bench: Bench, choice: Choice, out: Path, *, force: bool = False) -> ExportReport:
    """Write the page to `out`. Raises UsageProblem, BenchError (no judgment to rate) and StorageError."""
    refuse_overwriting(out, force=force, is_folder=False)
    selection = Selection(bench, choice)
    if not selection.judges:
        raise BenchError(f"{bench.paths.root}: there is no judgment to show", "make them first: arena-tui --no-ui run")
    options = LeaderboardOptions(baseline=choice.baseline, weight=DEFAULT_WEIGHT)
    board, _ = rate(judged_bench(bench, selection.judges, choice.baseline), options)
    lines = 0
    with atomic_file(out) as stream:
        for line in page(board, selection):
            stream.write(line.encode("utf-8", "replace") + b"\n")
            lines += 1
    return ExportReport(out, (WrittenFile(out.name, lines),), tuple(selection.notes))


def page(board: Leaderboard, selection: Selection) -> Iterator[str]:
    """The whole page, piece by piece."""
    rows = [row for row in board.rows if row.model in selection.models or row.model == board.baseline]
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{name(board.bench)}: arena-tui</title>"
    yield f"<style>{STYLE}</style></head><body>"
    yield f"<h1>{name(board.bench)}</h1>"
    yield f'<p class="soft">{name(" · ".join(headline(board)[1:]))}</p>'
    yield from forest_plot(rows, board.baseline)
    yield "<h2>Leaderboard</h2>"
    yield from _table(score_columns(rows, board.baseline))
    if board.warnings:
        yield '<h2>To be read with it</h2><ul class="cautions">'
        yield from (f"<li>{name(phrase(warning))}</li>" for warning in board.warnings)
        yield "</ul>"
    yield "<h2>Judgments</h2>"
    yield from judgments_section(selection)
    yield "</body></html>"


def _table(columns: list[Column]) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(_cell("th", column, column.title) for column in columns)
    yield "</tr></thead><tbody>"
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield f"<tr>{''.join(_cell('td', column, cell) for column, cell in zip(columns, cells, strict=True))}</tr>"
    yield "</tbody></table></div>"


def _cell(tag: str, column: Column, text: str) -> str:
    side = "" if column.right else ' class="left"'
    return f"<{tag}{side}>{name(text)}</{tag}>"
