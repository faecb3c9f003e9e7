"""The noise of scores, and mixes of repeats for a half-width, as text for stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from arena_tui.output.clock import money
from arena_tui.output.json_text import json_text
from arena_tui.output.tables import TableColumn, fitted, text_table
from arena_tui.safe_text import one_line
from engine.ratings.mix import Mix, MixPlan
from engine.ratings.noise import NoiseReport, NoiseRow, NoiseSource

NoiseFormat: TypeAlias = Literal["table", "json"]
_DROPPED_FIRST = ("(95% limits)", "without it", "spread of one")


def format_noise(report: NoiseReport, form: NoiseFormat, *, width: int = 200, ascii_only: bool = False) -> str:
    """Return text that ends with a newline. Only the JSON contains the warnings; `width` (columns) shapes the table."""
    if form == "json":
        return json_text(report)
    blocks = [_headline(report), *(_block(row, width) for row in report.rows)]
    notes = (
        "half-width: of the 95% interval if this were the only source; they add up in squares.\n"
        "without it: by how much the half-width would shrink.\n"
        "spread of one: standard deviation of a single question, of an answer to it, or of a judgment of that."
    )
    return _plain("\n\n".join([*blocks, notes]) + "\n", ascii_only)


def _headline(report: NoiseReport) -> str:
    judges = f"judge{'s' if len(report.judges) > 1 else ''} {', '.join(map(one_line, report.judges))}"
    soft = ["by expected points"] if report.soft is True else []
    return " · ".join([f"noise on {one_line(report.bench)}", f"baseline {one_line(report.baseline)}", judges, *soft])


def _block(row: NoiseRow, width: int) -> str:
    head = (
        f"{one_line(row.model)} against {one_line(row.opponent)}: ±{row.half_width:.2f} points with {noise_counts(row)}"
    )
    table = text_table(fitted(_columns(row.sources), width, _DROPPED_FIRST))
    return f"{head}\n{table}"


def noise_counts(row: NoiseRow) -> str:
    """Return how much was asked and judged."""
    return f"{row.questions} questions, {row.answers:.3g} answers and {row.judgments:.3g} judgments of each"


def _columns(sources: Sequence[NoiseSource]) -> list[TableColumn]:
    return [
        TableColumn("source", [each.source for each in sources], right=False),
        TableColumn("share", [f"{100 * each.share:.0f}%" for each in sources]),
        TableColumn("half-width", [f"±{each.half_width:.2f}" for each in sources]),
        TableColumn("without it", [f"-{each.saved:.2f}" for each in sources]),
        TableColumn("spread of one", [f"{each.deviation:.1f}" for each in sources]),
        TableColumn("(95% limits)", [f"({each.lower:.1f} - {each.upper:.1f})" for each in sources]),
    ]


def format_mix(plan: MixPlan, form: NoiseFormat, *, width: int = 200, ascii_only: bool = False) -> str:
    """Return text that ends with a newline; `width` (columns) shapes the table."""
    if form == "json":
        return json_text(plan)
    table = text_table(fitted(_mix_columns(plan), width, ("share", "judge calls", "answers"), narrowest=width))
    return _plain("\n\n".join([_mix_headline(plan), table, *_mix_notes(plan)]) + "\n", ascii_only)


def _mix_headline(plan: MixPlan) -> str:
    noise = plan.components
    spreads = ", ".join(
        f"{name} {value**0.5:.1f}"
        for name, value in (("question", noise.question), ("answer", noise.answer), ("judge", noise.judge))
    )
    return f"±{plan.half_width:g} points for the least {plan.goal} · standard deviations in points: {spreads}"


def _mix_columns(plan: MixPlan) -> list[TableColumn]:
    mixes = plan.mixes
    columns = [
        TableColumn("mix", [each.name for each in mixes], right=False),
        TableColumn("questions", [f"{each.questions:,}" for each in mixes]),
        TableColumn("answers each", [str(each.answers) for each in mixes]),
        TableColumn("judgments each", [str(each.judgments) for each in mixes]),
        TableColumn("half-width", [f"±{each.half_width:.2f}" for each in mixes]),
        TableColumn("answers", [f"{each.answer_calls:,}" for each in mixes]),
        TableColumn("judge calls", [f"{each.judge_calls:,}" for each in mixes]),
        TableColumn("calls", [f"{each.calls:,}" for each in mixes]),
    ]
    if any(each.seconds is not None for each in mixes):
        columns.append(TableColumn("time", [_duration(each) for each in mixes]))
    if any(each.cost is not None for each in mixes):
        columns.append(TableColumn("cost", ["-" if each.cost is None else money(each.cost) for each in mixes]))
    columns.append(TableColumn("share", [f"{100 * each.share:.0f}%" for each in mixes]))
    return columns


def _mix_notes(plan: MixPlan) -> Iterator[str]:
    best = plan.mixes[0]
    limit = f" --limit {best.questions}"
    if plan.questions_in_set is None or best.questions <= plan.questions_in_set:
        repeats = f" --repeats {best.repeats}" if best.repeats != "1x1" else ""
        yield f"The cheapest mix: `arena-tui run{repeats}{limit}`. Calls are all of it, what is on disk included."
    else:
        yield f"The set has {plan.questions_in_set:,} questions; the cheapest mix needs {best.questions:,}."
    if plan.reachable is not None:
        yield (
            f"With any number of answers and judgments, the {plan.questions_in_set:,} questions of the set reach "
            f"±{plan.reachable:.2f} points."
        )


def _duration(mix: Mix) -> str:
    if mix.seconds is None:
        return "-"
    minutes = mix.seconds / 60.0
    if minutes < 1.0:
        return f"{mix.seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100.0 else f"{minutes / 60.0:.1f} h"


def _plain(text: str, ascii_only: bool) -> str:
    return text.replace("·", "|").replace("±", "+-").encode("ascii", "replace").decode() if ascii_only else text
