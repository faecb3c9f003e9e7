"""The plots of the report: matplotlib draws them as SVG, in colours that the style sheet of the page defines.

matplotlib writes colours and fonts as style attributes, which the policy of the page forbids. `_for_page` makes
attributes of them, names the colours of the page instead of placeholders, and drops what only programs read. Texts stay
texts: they can be selected, and no name is parsed as a formula.
"""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

import msgspec

from arena_tui.safe_text import one_line, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from engine.ratings.curve_result import Curve

# Placeholders, which no other part of a plot has, for the colours of the page.
TEXT, SOFT, LINE, ACCENT, MARK, BACK = (f"#0000{number:02x}" for number in range(1, 7))
_NAMES: Final = {TEXT: "text", SOFT: "soft", LINE: "line", ACCENT: "accent", MARK: "mark", BACK: "back"}

_WIDTH = 9.0  # inches
_ROW = 0.27  # inches
_LONGEST_NAME = 36
_MOST_NAMED = 14  # points with their names beside them; more are numbered
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d+")
_DROPPED = ("font-family", "font", "font-weight", "stroke-linejoin", "stroke-linecap", "stroke-miterlimit")


class PlotPoint(msgspec.Struct, frozen=True):
    """An estimate with its limits; without limits it is drawn as a point."""

    name: str
    value: float
    lower: float
    upper: float
    at: float = 0.0
    """The position on the other axis, where that has a scale."""
    number: int = 0
    """The rank, which stands for the name where there are many."""


def forest_plot(points: Sequence[PlotPoint], middle: float, axis: str, caption: str) -> str:
    """Return intervals one below the other around a line at `middle`, as SVG."""
    return _rows_plot(points, ((middle, ""),), axis, caption, limits=None)


def share_plot(points: Sequence[PlotPoint], lines: Sequence[tuple[float, str]], axis: str, caption: str) -> str:
    """Return percentages with intervals one below the other, from 0 on, and named vertical lines, as SVG."""
    highest = max((each for point in points for each in (point.value, point.upper) if math.isfinite(each)), default=0.0)
    return _rows_plot(points, lines, axis, caption, limits=(0.0, max(highest, *(at for at, _ in lines)) * 1.08))


def scatter_plot(points: Sequence[PlotPoint], middle: float, axes: tuple[str, str], caption: str) -> str:
    """Return estimates with vertical intervals over `at`, as SVG. `axes` are the titles of both axes."""
    figure, plot = _figure(4.6)
    plot.axhline(middle, color=MARK, linewidth=1.0, linestyle=(0, (4, 3)))
    for point in points:
        _interval(plot, (point.at, point.at), (point.lower, point.upper))
    plot.plot([point.at for point in points], [point.value for point in points], "o", color=ACCENT, markersize=6)
    named = len(points) <= _MOST_NAMED
    for point in points:
        text = shorten(one_line(point.name), _LONGEST_NAME) if named else str(point.number)
        plot.annotate(
            text, (point.at, point.value), (7, 4), textcoords="offset points", color=TEXT, fontsize=9, parse_math=False
        )
    plot.margins(x=0.12, y=0.12)
    plot.grid(color=LINE, linewidth=0.8)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    return _svg(figure, caption)


def curve_plot_svg(curve: Curve, baseline: str, caption: str) -> str:
    """Return the curve of a training, as SVG."""
    from arena_tui.output.curve_svg import CurveInks, draw_curve

    figure, plot = _figure(3.8)
    draw_curve(plot, curve, baseline, CurveInks(TEXT, SOFT, LINE, ACCENT, MARK, BACK))
    return _svg(figure, caption)


def _rows_plot(
    points: Sequence[PlotPoint],
    lines: Sequence[tuple[float, str]],
    axis: str,
    caption: str,
    limits: tuple[float, float] | None,
) -> str:
    figure, plot = _figure(_ROW * len(points) + 0.9)
    rows = range(len(points))
    for row, point in zip(rows, points, strict=True):
        _interval(plot, (point.lower, point.upper), (row, row))
    plot.plot([point.value for point in points], list(rows), "o", color=ACCENT, markersize=6)
    plot.set_yticks(
        list(rows), [shorten(one_line(point.name), _LONGEST_NAME) for point in points], parse_math=False, color=TEXT
    )
    plot.set_ylim(len(points) - 0.4, -0.6)
    if limits is not None:
        plot.set_xlim(*limits)
    else:
        plot.margins(x=0.04)
    plot.tick_params(axis="y", length=0)
    plot.grid(axis="x", color=LINE, linewidth=0.8)
    for at, name in lines:
        plot.axvline(at, color=MARK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
        if name:
            plot.annotate(
                name,
                (at, 1.0),
                (3, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=SOFT,
                fontsize=8.5,
            )
    plot.set_xlabel(axis)
    return _svg(figure, caption)


def _figure(height: float) -> tuple[Figure, Axes]:
    """Return an empty plot in the colours of the page."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its fonts and folders concern no reader of a report
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    figure.patch.set_visible(False)
    plot = figure.add_subplot()
    plot.patch.set_visible(False)
    plot.set_axisbelow(True)
    plot.tick_params(colors=SOFT, labelsize=9.5)
    plot.xaxis.label.set_color(SOFT)
    plot.yaxis.label.set_color(SOFT)
    for side, spine in plot.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)
    return figure, plot


def _interval(plot: Axes, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Draw a line between two finite points that differ."""
    if all(map(math.isfinite, (*across, *up))) and (across[0] != across[1] or up[0] != up[1]):
        plot.plot(across, up, color=ACCENT, linewidth=2.0, solid_capstyle="butt")


def _svg(figure: Figure, caption: str) -> str:
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": caption}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that its font lacks is drawn in a font of the browser
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return _for_page(stream.getvalue(), caption)


def _for_page(svg: str, caption: str) -> str:
    """Return the SVG as part of a page. `caption` is the id of the element that describes it."""
    ElementTree.register_namespace("", _SVG[1:-1])
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        _plain_attributes(element, f"{caption}-")
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", caption)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _plain_attributes(element: ElementTree.Element, prefix: str) -> None:
    """Make attributes of the styles, name the colours of the page, shorten numbers and make ids unique in the page."""
    for part in element.attrib.pop("style", "").split(";"):
        name, _, value = part.partition(":")
        if value and name.strip() not in _DROPPED:
            element.set(name.strip(), value.strip())
    if (target := element.attrib.pop(_HREF, None)) is not None:
        element.set("href", target)
    if element.tag == f"{_SVG}g" and "id" in element.attrib:
        del element.attrib["id"]
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name, value in element.attrib.items():
        element.set(name, prefix + value if name == "id" else _plain_value(value, prefix))
    for text in ("text", "tail"):
        if not (getattr(element, text) or "").strip():
            setattr(element, text, None)


def _plain_value(value: str, prefix: str) -> str:
    if value in _NAMES:
        return f"var(--{_NAMES[value]})"
    if value.startswith(("#", "url(#")):
        return value.replace("#", f"#{prefix}", 1)
    return _DECIMALS.sub(_short, " ".join(value.split()))


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
