"""The parts that sections of a report consist of; the HTML page and the Markdown show the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from arena_tui.output.report.examples import Example
from arena_tui.output.tables import TableColumn


@dataclass(frozen=True)
class ReportWords:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class ReportHeading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class ReportPlot:
    """A plot, drawn as SVG by `draw`, which takes the id of the caption."""

    caption_id: str
    caption: str
    draw: Callable[[str], str]
    kind: ClassVar[str] = "plot"


@dataclass(frozen=True)
class ReportHead:
    """The head of a column; `hidden` is read by screen readers only."""

    text: str
    is_left: bool = False
    hidden: str = ""


@dataclass(frozen=True)
class ReportCell:
    """A cell with an optional second line; `style` is a class of the style sheet, `is_head` names the row."""

    text: str
    below: str = ""
    style: str = ""
    is_head: bool = False


@dataclass(frozen=True)
class ReportTable:
    """A table; with `fold`, it is shown on request, under these words."""

    label: str
    caption: str
    heads: Sequence[ReportHead]
    rows: Sequence[Sequence[ReportCell]]
    is_matrix: bool = False
    fold: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class ReportFacts:
    """Names with values."""

    facts: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class ReportExample:
    """One question with the answers of two models."""

    title: str
    about: str
    of: Example
    kind: ClassVar[str] = "example"


ReportPart: TypeAlias = ReportWords | ReportHeading | ReportPlot | ReportTable | ReportFacts | ReportExample


@dataclass(frozen=True)
class ReportSection:
    """A section under a title; `id` is its anchor."""

    id: str
    title: str
    parts: Sequence[ReportPart] = field(default_factory=tuple)


def table_of(
    columns: Sequence[TableColumn],
    label: str,
    caption: str,
    *,
    head: str = "model",
    texts: Sequence[str] = (),
    fold: str = "",
) -> ReportTable:
    """Return a table of columns; the cells under the title `head` name the rows, those under `texts` are sentences."""
    rows = [
        [
            ReportCell(
                column.cells[row],
                style="" if column.right else "text" if column.title in texts else "left",
                is_head=column.title == head,
            )
            for column in columns
        ]
        for row in range(len(columns[0].cells))
    ]
    return ReportTable(label, caption, [ReportHead(each.title, not each.right) for each in columns], rows, fold=fold)
