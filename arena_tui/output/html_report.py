"""`export --to html`: a leaderboard and its judgments as one HTML file that loads nothing and runs nothing.

Every text passes through `name` or `passage`, so nothing that a model wrote is ever markup.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

import msgspec
from msgspec import UNSET

from arena_tui.advice import phrase
from arena_tui.output.leaderboard_columns import baseline_of, group_title, headline, score_columns
from arena_tui.output.tables import TableColumn
from arena_tui.safe_text import one_line, readable, shorten
from engine.auditing.known_bad import with_known_bad
from engine.bench import Bench
from engine.bench.atomic import atomic_file
from engine.bench.stored import WholeJudgment
from engine.errors import BenchError
from engine.formats.export import ExportReport, WrittenFile, refuse_overwriting
from engine.formats.selection import ExportChoice, Selection
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions, Row
from engine.results import judged_bench, rate


def name(text: str) -> str:
    """Return a name or a message as HTML text, on one line."""
    return escape(one_line(text))


def passage(text: str) -> str:
    """Return a whole text as HTML text; lines are kept, control characters made visible."""
    return escape(readable(text))


STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5c6370; --line: #d4d7dc; --back: #ffffff; --pane: #f5f6f8;
  --accent: #1f6feb; --mark: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --soft: #9aa1ac; --line: #3a3f47; --back: #16181c;
  --pane: #1f2228; --accent: #6ea8fe; --mark: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 72rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin-top: 2.5rem; font-size: 1.2rem; } h3 { font-size: 1rem; }
.soft { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.left, td.left { text-align: left; }
ul.cautions { border-left: 3px solid var(--mark); padding-left: 2rem; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .tick { fill: var(--soft); text-anchor: middle; }
svg .grid { stroke: var(--line); } svg .base { stroke: var(--mark); stroke-dasharray: 4 3; }
svg .ci { stroke: var(--accent); stroke-width: 2; } svg .point { fill: var(--accent); }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0 0.8rem; }
summary { cursor: pointer; padding: 0.5rem 0; }
pre { background: var(--pane); border-radius: 6px; padding: 0.8rem; margin: 0.3rem 0 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; }
"""

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Allows this style sheet only: no script, picture, font, frame or request, whatever a model wrote."""


_WIDTH, _NAMES, _RIGHT = 1000, 300, 130  # of the picture, of the names at its left, of the figures at its right
_ROW, _TOP, _BOTTOM = 26, 10, 30
_LONGEST_NAME = 40
_TICKS = range(0, 101, 10)


def forest_plot(rows: Sequence[Row], baseline: str) -> Iterator[str]:
    """Yield the picture, line by line."""
    height = _TOP + _ROW * len(rows) + _BOTTOM
    below = height - _BOTTOM
    yield (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Scores with 95% intervals, baseline {name(baseline)}">'
    )
    for tick in _TICKS:
        x = _x(tick)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{below}"/>'
        yield f'<text class="tick" x="{x}" y="{below + 18}">{tick}</text>'
    yield f'<line class="base" x1="{_x(50)}" x2="{_x(50)}" y1="{_TOP}" y2="{below}"/>'
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number + _ROW // 2
        yield f'<text x="0" y="{y + 4}">{name(shorten(one_line(row.model), _LONGEST_NAME))}</text>'
        if row.lower != row.upper:
            yield f'<line class="ci" x1="{_x(row.lower)}" x2="{_x(row.upper)}" y1="{y}" y2="{y}"/>'
            for end in (row.lower, row.upper):
                yield f'<line class="ci" x1="{_x(end)}" x2="{_x(end)}" y1="{y - 4}" y2="{y + 4}"/>'
        yield f'<circle class="point" cx="{_x(row.score)}" cy="{y}" r="4"/>'
        limits = "baseline" if row.model == baseline else f"{row.score:.1f} [{row.lower:.1f}, {row.upper:.1f}]"
        yield f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 4}">{limits}</text>'
    yield "</svg>"


def _x(percent: float) -> float:
    """Return the position of a percentage; an unknown limit is drawn at the edge."""
    share = min(max(percent if math.isfinite(percent) else 0.0, 0.0), 100.0) / 100.0
    return round(_NAMES + share * (_WIDTH - _NAMES - _RIGHT), 1)


MOST_TEXT = 16_000_000  # characters of the judgments in one page; browsers open that, and little more, quickly


def judgments_section(selection: Selection, most_text: int = MOST_TEXT) -> Iterator[str]:
    """Yield a fold for each judged question until the page is full, then how many are not shown."""
    has_judgment = selection.judged_questions()
    judged = [key for key in selection.questions if key in has_judgment]
    room, shown = most_text, 0
    for question_id in judged:
        fold = "\n".join(_fold(selection, question_id))
        room -= len(fold)
        if room < 0:
            break
        shown += 1
        yield fold
    if shown < len(judged):
        yield (
            f'<p class="soft">{len(judged) - shown} more questions are not shown: the page would be too large. '
            "Choose --models, or see all of them in arena-tui.</p>"
        )


def _fold(selection: Selection, question_id: str) -> Iterator[str]:
    question = selection.questions[question_id]
    topic = " · ".join(part for part in (question.category, question.cluster) if part)
    yield f'<details><summary>{name(question_id)} <span class="soft">{name(topic)}</span></summary>'
    yield from _pane("Question", "\n\n".join(question.shown))
    baseline = selection.baseline_of(question_id)
    yield from _answer(selection, baseline, question_id, " (baseline)")
    for model in selection.models:
        found = [
            (judge, judgment)
            for judge in selection.judges
            if model != baseline and (judgment := selection.judgment(judge, model, question_id)) is not None
        ]
        if not found:
            continue
        labels = ", ".join(_labels(judgment) for _, judgment in found)
        yield f'<details><summary>{name(model)} <span class="soft">{name(labels)}</span></summary>'
        yield from _answer(selection, model, question_id, "")
        for judge, judgment in found:
            for number, game in enumerate(judgment.games, start=1):
                if game is not None:
                    places = "baseline is A" if number % 2 else "baseline is B"
                    title = f"{judge}, game {number} ({places}): {game.label or 'no verdict'}"
                    yield from _pane(title, game.judgment)
        yield "</details>"
    yield "</details>"


def _answer(selection: Selection, model: str, question_id: str, role: str) -> Iterator[str]:
    answer = selection.answer(model, question_id)
    text = "\n\n".join(answer.turns) if answer is not None else "(the answer is not on disk)"
    yield from _pane(f"Answer of {model}{role}", text)


def _pane(title: str, text: str) -> Iterator[str]:
    yield f"<h3>{name(title)}</h3>"
    yield f"<pre>{passage(text)}</pre>"


def _labels(judgment: WholeJudgment) -> str:
    return " / ".join("not played" if game is None else game.label or "no verdict" for game in judgment.games)


def export_html(bench: Bench, choice: ExportChoice, out: Path, *, force: bool = False) -> ExportReport:
    """Write the page to `out`. Raises UsageProblem, BenchError (no judgment to rate) and StorageError."""
    refuse_overwriting(out, force=force, is_folder=False)
    choice = msgspec.structs.replace(choice, others=())  # the page shows one leaderboard
    selection = Selection(bench, choice)
    if not selection.judges:
        raise BenchError(f"{bench.paths.root}: no judgments to show", "create them with `arena-tui run`")
    judged = judged_bench(bench, selection.judges, selection.pairing, strict=choice.strict)
    options = LeaderboardOptions(baseline=judged.facts.baselines[0], weight=DEFAULT_WEIGHT)
    board, _ = rate(with_known_bad(judged, bench, None), options)
    lines = 0
    with atomic_file(out) as stream:
        for line in page(board, selection):
            stream.write(line.encode("utf-8", "replace") + b"\n")
            lines += 1
    return ExportReport(out, (WrittenFile(out.name, lines),), tuple(selection.notes))


def page(board: Leaderboard, selection: Selection) -> Iterator[str]:
    """Yield the whole page, piece by piece."""
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
    yield from _table(score_columns(rows, board.baseline, board.noise))
    for group in board.groups if board.groups is not UNSET else []:
        own = baseline_of(board, group)
        shown = [row for row in group.rows if row.model in selection.models or row.model == own]
        yield f"<h3>{name(group_title(board, group))}</h3>"
        yield from _table(score_columns(shown, own))
    if board.warnings:
        yield '<h2>Warnings</h2><ul class="cautions">'
        yield from (f"<li>{name(phrase(warning))}</li>" for warning in board.warnings)
        yield "</ul>"
    yield "<h2>Judgments</h2>"
    yield from judgments_section(selection)
    yield "</body></html>"


def _table(columns: list[TableColumn]) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(_cell("th", column, column.title) for column in columns)
    yield "</tr></thead><tbody>"
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield f"<tr>{''.join(_cell('td', column, cell) for column, cell in zip(columns, cells, strict=True))}</tr>"
    yield "</tbody></table></div>"


def _cell(tag: str, column: TableColumn, text: str) -> str:
    side = "" if column.right else ' class="left"'
    return f"<{tag}{side}>{name(text)}</{tag}>"
