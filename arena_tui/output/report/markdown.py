"""The report in Markdown for a pull request, a comment or a model card: the answer, the table, and the rest in folds.

GitHub takes 65,536 characters in a comment or the text of a pull request. What does not fit is left out from the end of
a fixed order of importance, and named. The examples are no part of it: their texts are in the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arena_tui.output.leaderboard_columns import headline
from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.page import unique_warnings
from arena_tui.output.report.parts import (
    ReportFacts,
    ReportHeading,
    ReportPart,
    ReportSection,
    ReportTable,
    ReportWords,
)
from arena_tui.output.report.sections import sections
from arena_tui.output.tables import TableColumn, escaped, markdown_table
from arena_tui.output.verdict import answer_words
from arena_tui.safe_text import one_line
from engine.version import __version__

MOST_CHARACTERS = 65_000
"""Of the whole text: what GitHub takes in a comment, with room for a line of the user's own."""
_OPEN = "leaderboard"
_NOT_IN_TEXT = "examples"
_DROPPED_FIRST = ("method", "noise", "length", "flips", "pairs", "categories", "judge", "curve")


def markdown_report(content: ReportContent, made: str, most: int = MOST_CHARACTERS) -> str:
    """Return the report as Markdown that ends with a newline, of at most `most` characters."""
    chosen = [section for section in sections(content) if section.id != _NOT_IN_TEXT]
    rendered = {section.id: _section(section) for section in chosen}
    titles = {section.id: section.title for section in chosen}
    start, end = "\n\n".join(_opening(content)), f"<sub>Made by arena-tui {__version__} on {made}.</sub>"
    left_out: list[str] = []
    for key in (*_DROPPED_FIRST, _OPEN):
        if _size(start, end, rendered, left_out) <= most:
            break
        if rendered.pop(key, None) is not None:
            left_out.append(titles[key])
    text = _joined(start, end, rendered, left_out)
    return text if len(text) <= most else text[: most - 2].rpartition("\n")[0] + "\n"


def _opening(content: ReportContent) -> Iterator[str]:
    lines = answer_words(content.board)
    yield f"## {escaped(one_line(content.board.bench))}"
    if lines:
        yield f"**{escaped(lines[0])}**"
    yield from map(escaped, lines[1:])
    yield escaped(" · ".join(headline(content.board)[1:]))
    yield from (f"> {escaped(warning)}" for warning in unique_warnings(content))


def _section(section: ReportSection) -> str:
    parts = [text for part in section.parts for text in _part(part)]
    if section.id == _OPEN:
        return "\n\n".join(parts)
    # The line between is needed: without it GitHub takes Markdown inside of the fold for HTML.
    return "\n\n".join([f"<details><summary>{section.title}</summary>", *parts, "</details>"])


def _part(part: ReportPart) -> Iterator[str]:
    if isinstance(part, ReportWords):
        yield escaped(part.text)
    elif isinstance(part, ReportHeading):
        yield f"#### {escaped(part.text)}"
    elif isinstance(part, ReportFacts):
        yield "\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in part.facts)
    elif isinstance(part, ReportTable):
        if part.caption:
            yield escaped(part.caption)
        yield markdown_table(list(_columns(part)))


def _columns(table: ReportTable) -> Iterator[TableColumn]:
    for at, head in enumerate(table.heads):
        cells = [row[at] for row in table.rows]
        texts = [f"{cell.text} {cell.below}".strip() + _mark(cell.style) for cell in cells]
        yield TableColumn(head.text, texts, right=not head.is_left)


def _mark(style: str) -> str:
    """Stand for the colours of the page, which Markdown has not: ▲ better, ▼ worse."""
    return " ▲" if style.endswith("better") else " ▼" if style.endswith("worse") else ""


def _size(start: str, end: str, rendered: dict[str, str], left_out: Sequence[str]) -> int:
    return len(_joined(start, end, rendered, left_out))


def _joined(start: str, end: str, rendered: dict[str, str], left_out: Sequence[str]) -> str:
    omitted = [f"Left out, since the text would be too long: {', '.join(left_out)}."] if left_out else []
    return "\n\n".join([start, *rendered.values(), *omitted, end]) + "\n"
