"""Curves as a picture: an SVG file by matplotlib, one plot for each training. Texts stay texts."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, NamedTuple

from arena_tui.output.curve_words import best_words, keep_words, plateau_words, short_step, title_words
from arena_tui.safe_text import one_line, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from engine.ratings.curve_result import Curve, CurveReport

_WIDTH, _HEIGHT = 9.0, 4.4  # inches of a plot
_LONGEST = 110  # characters of a line
_MOST_NUMBERED = 16  # steps


class CurveInks(NamedTuple):
    """The colours of a plot: words, numbers, lines, bands, the checkpoint to keep, and what is behind all of them."""

    text: str = "#1b1e22"
    soft: str = "#5f656d"
    line: str = "#d5d8dc"
    band: str = "#5f87d7"
    mark: str = "#af0000"
    back: str = "#ffffff"


def curves_svg(report: CurveReport) -> str:
    """Return the curves as SVG, the same bytes for the same report. No name is read as a formula or as markup."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its fonts and folders concern no reader
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT * len(report.curves)), layout="constrained")
    plots = figure.subplots(len(report.curves), 1, squeeze=False)
    for curve, (plot,) in zip(report.curves, plots, strict=True):
        draw_curve(plot, curve, report.baseline, inks := CurveInks())
        words = [title_words(curve), best_words(curve), plateau_words(curve), *keep_words(curve).split("; ", 1)]
        lines = [shorten(one_line(text), _LONGEST) for text in words]
        plot.set_title("\n".join(lines), loc="left", fontsize=9, color=inks.text, parse_math=False)
    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "curve"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that its font lacks is drawn in a font of the reader
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def draw_curve(plot: Axes, curve: Curve, baseline: str, inks: CurveInks) -> None:
    """Draw the points of a curve with their bands, and what its axes and marks mean."""
    steps = [point.step for point in curve.points]
    lower, upper = [point.lower for point in curve.points], [point.upper for point in curve.points]
    plot.fill_between(steps, lower, upper, color=inks.band, alpha=0.15, lw=0)
    plot.axhline(50.0, color=inks.soft, linewidth=1.0, linestyle=(0, (2, 3)))
    plot.plot(steps, [point.score for point in curve.points], color=inks.band, linewidth=1.0, zorder=2.5)
    for point in curve.points:
        is_best = point.model == curve.keep.model
        plot.plot([point.step] * 2, [point.lower, point.upper], color=inks.band, linewidth=1.6, solid_capstyle="butt")
        plot.plot(
            [point.step],
            [point.score],
            "D" if is_best else "o",
            markersize=8 if is_best else 6,
            color=inks.mark if is_best else inks.band,
            markerfacecolor=(inks.mark if is_best else inks.band) if point.can_be_best else inks.back,
            zorder=3,
        )
    if curve.plateau.since is not None:
        plot.axvspan(curve.plateau.since, steps[-1], color=inks.line, alpha=0.4, lw=0, zorder=0)
    _label(plot, curve, baseline, steps, inks)


def _label(plot: Axes, curve: Curve, baseline: str, steps: list[int], inks: CurveInks) -> None:
    grey = "" if curve.plateau.since is None else ", grey: no further improvement"
    plot.set_xlabel(f"training step; filled: can be the best, diamond: keep{grey}", color=inks.soft, fontsize=9)
    against = shorten(one_line(baseline), _LONGEST // 3)
    plot.set_ylabel(f"score against {against}, 95% band", color=inks.soft, fontsize=9, parse_math=False)
    stride = -(-len(steps) // _MOST_NUMBERED)
    shown = steps[::-1][::stride][::-1]
    plot.set_xticks(shown, [short_step(step) for step in shown])
    plot.tick_params(colors=inks.soft, labelsize=8.5)
    plot.grid(axis="y", color=inks.line, linewidth=0.8)
    plot.set_axisbelow(True)
    for side, spine in plot.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(inks.line)
