"""The curves of trainings as text for stdout: words, a plot and a table; JSON; CSV; SVG."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from arena_tui.output.curve_plot import ASCII_MARKS, UNICODE_MARKS, curve_plot, legend
from arena_tui.output.curve_words import HOLDS, curve_words, gain_words, step_words, title_words
from arena_tui.output.json_text import json_text, rounded
from arena_tui.output.tables import TableColumn, fitted, text_table
from arena_tui.output.verdict import without_unicode
from arena_tui.safe_text import one_line
from engine.formats.tables import neutral

if TYPE_CHECKING:
    from engine.ratings.curve_result import Curve, CurvePoint, CurveReport

CurveFormat: TypeAlias = Literal["table", "json", "csv", "svg"]
_DROPPED_FIRST = ("model", "highest in", "questions", "p")
_WIDEST_PLOT, _PLOT_ROWS = 100, 11
_CSV_GAIN = ("over", "difference", "lower", "upper", "p_value", "verdict", "questions")


def format_curves(report: CurveReport, form: CurveFormat, *, width: int = 120, ascii_only: bool = False) -> str:
    """Return text that ends with a newline. Only the JSON contains the warnings.

    Names can neither control a terminal, nor break a line, nor run as a spreadsheet formula, nor be markup.
    """
    match form:
        case "json":
            return json_text(report)
        case "csv":
            return _csv(report)
        case "svg":
            from arena_tui.output.curve_svg import curves_svg

            return curves_svg(report)
        case "table":
            text = "\n\n".join([*(_section(curve, report, width, ascii_only) for curve in report.curves), _foot(width)])
            return without_unicode(text + "\n") if ascii_only else text + "\n"


def _section(curve: Curve, report: CurveReport, width: int, ascii_only: bool) -> str:
    marks = ASCII_MARKS if ascii_only else UNICODE_MARKS
    words = [
        line
        for sentence in curve_words(curve)
        for line in textwrap.wrap(sentence[0].upper() + sentence[1:] + ".", width, subsequent_indent="  ")
    ]
    plot = [
        "".join(text for text, _ in line).rstrip()
        for line in (*curve_plot(curve, min(width, _WIDEST_PLOT), _PLOT_ROWS, marks=marks), legend(marks))
    ]
    columns = fitted(curve_columns(curve), width, _DROPPED_FIRST, ellipsis="~" if ascii_only else "…")
    headline = textwrap.wrap(_headline(curve, report), width, break_on_hyphens=False)
    return "\n".join([*words, "", *headline, "", *plot, "", text_table(columns)])


def _headline(curve: Curve, report: CurveReport) -> str:
    judges = f"judge{'s' if len(report.judges) > 1 else ''} {', '.join(map(one_line, report.judges))}"
    parts = [title_words(curve), one_line(report.bench), *([judges] if report.judges else [])]
    return " · ".join([*parts, f"scores against {one_line(report.baseline)}"])


def _foot(width: int) -> str:
    return "\n".join(textwrap.wrap(HOLDS, width))


def curve_columns(curve: Curve) -> list[TableColumn]:
    def column(title: str, cell: Callable[[CurvePoint], str], *, right: bool = True) -> TableColumn:
        return TableColumn(title, [cell(point) for point in curve.points], right=right)

    first = step_words(curve.points[0].step)
    return [
        column("step", lambda point: step_words(point.step)),
        column("score", lambda point: f"{point.score:.1f}"),
        column("95% band", lambda point: f"[{point.lower:.1f}, {point.upper:.1f}]" + _early(point)),
        column(
            f"over {first}", lambda point: "-" if point.gain is None else gain_words(point.gain).replace(" points", "")
        ),
        column("p", lambda point: "-" if point.gain is None or point.gain.p_value is None else _p(point.gain.p_value)),
        column("verdict", lambda point: "-" if point.gain is None else point.gain.verdict, right=False),
        column("best", lambda point: _standing(curve, point), right=False),
        column("highest in", lambda point: f"{point.first_share:.0%}"),
        column("questions", lambda point: str(point.questions)),
        column("model", lambda point: one_line(point.model), right=False),
    ]


def _early(point: CurvePoint) -> str:
    return "*" if point.limits == "any time" else ""


def _standing(curve: Curve, point: CurvePoint) -> str:
    if point.model == curve.keep.model:
        return "keep"
    return "can be" if point.can_be_best else "no"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def _csv(report: CurveReport) -> str:
    """Return one line a checkpoint under the JSON's names; details of its gain become `gain_...`, those of its curve
    repeat. No spreadsheet can take a text for a formula."""
    records = [_record(curve, point) for curve in report.curves for point in curve.points]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(records[0])
    writer.writerows([_cell(value) for value in record.values()] for record in records)
    return buffer.getvalue()


def _record(curve: Curve, point: CurvePoint) -> dict[str, Any]:
    gain = msgspec.structs.asdict(point.gain) if point.gain is not None else {}
    known = {name: value for name, value in msgspec.structs.asdict(point).items() if name != "gain"}
    record = {
        "series": curve.series,
        **known,
        **{f"gain_{name}": gain.get(name) for name in _CSV_GAIN},
        "keep": point.model == curve.keep.model,
        "plateau_since": curve.plateau.since,
        "plateau_margin": curve.plateau.margin,
    }
    plain: dict[str, Any] = rounded(record)
    return plain


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return neutral(one_line(value))
