"""The sections that only some benches have: curves of trainings, and noise where something was repeated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from arena_tui.advice import phrase
from arena_tui.output.curve import curve_columns
from arena_tui.output.curve_words import HOLDS, curve_words, title_words
from arena_tui.output.noise import noise_counts
from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.parts import (
    ReportCell,
    ReportHead,
    ReportHeading,
    ReportPart,
    ReportPlot,
    ReportTable,
    ReportWords,
    table_of,
)
from arena_tui.output.report.plots import curve_plot_svg
from arena_tui.safe_text import one_line
from engine.ratings.noise import NoiseSource


def curve_parts(content: ReportContent) -> Iterator[ReportPart]:
    """Yield words, plot and table of each training."""
    if content.curves is None:
        return
    for number, curve in enumerate(content.curves.curves):
        yield ReportHeading(title_words(curve))
        yield ReportWords(" ".join(f"{each[0].upper()}{each[1:]}." for each in map(one_line, curve_words(curve))))
        yield ReportPlot(
            f"curve-caption-{number}",
            f"Scores of {one_line(curve.series)} over its steps, with a 95% band that holds for all steps at once. "
            "The table below has the same numbers.",
            partial(curve_plot_svg, curve, content.curves.baseline),
        )
        yield table_of(
            curve_columns(curve),
            f"Table of the checkpoints of {one_line(curve.series)}",
            "Differences over the first step, and whether a step can be the best.",
            head="step",
        )
        for warning in curve.warnings:
            yield ReportWords(f"Warning: {one_line(phrase(warning))}.")
    yield ReportWords(HOLDS)


def noise_parts(content: ReportContent) -> Iterator[ReportPart]:
    """Yield what questions, answers and the judge add to the interval of each model."""
    found = content.noise
    if found is None:
        return
    names = list(dict.fromkeys(each.source for row in found.rows for each in row.sources))
    rows = []
    for row in found.rows:
        known = {each.source: each for each in row.sources}
        cells = [ReportCell(one_line(row.model), is_head=True), ReportCell(f"±{row.half_width:.2f}")]
        cells += [_of_source(known.get(name)) for name in names]
        rows.append([*cells, ReportCell(noise_counts(row), style="left")])
    heads = [ReportHead("model", True), ReportHead("half-width"), *map(ReportHead, names), ReportHead("from", True)]
    yield ReportTable(
        "Noise by source",
        "Half of the width of the 95% interval in points, and its sources: the share of each, below it the half-width "
        "if it were the only one (they add up in squares).",
        heads,
        rows,
    )


def _of_source(source: NoiseSource | None) -> ReportCell:
    if source is None:
        return ReportCell("–")
    return ReportCell(f"{100.0 * source.share:.0f}%", f"±{source.half_width:.2f}")
