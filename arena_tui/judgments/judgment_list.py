"""The rows of judgments: model, labels of both games, result, flags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, TypeAlias

from rich.text import Text
from textual.binding import BindingType

from arena_tui.keys import bind
from arena_tui.safe_text import brief, one_line, text_width
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.virtual_list import VirtualList
from engine.review.listing import Flag, Listed, Marks
from engine.review.search import Found

FLAG_WORDS: dict[Flag, str] = {"flip": "flip", "unparsed": "none", "human": "human", "language": "lang"}
_LEAST_NAME, _NARROW_NAME, _MOST_NAME = 8, 12, 20  # columns
OUTCOME_MARKS = {"win": "+", "tie": "=", "loss": "-", None: "?"}


_Cell: TypeAlias = Callable[[Listed, int], Text]


class JudgmentList(VirtualList[Listed]):
    """Judgments of all models; `marks` holds what is known beside them (labels by people, languages)."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select")]

    def __init__(self) -> None:
        self._all: Sequence[Listed] = ()  # that the columns are made for
        self._columns = _columns_for((), self._outcome, self._flags, self._question)
        self._found: Found | None = None
        self._excerpt: Callable[[Found, Listed], str] | None = None
        super().__init__(self._judgment, key=lambda row: row.key, header=self._titles, id="judgments")
        self.marks = Marks()

    def show(
        self,
        rows: Sequence[Listed],
        of: Sequence[Listed],
        marks: Marks,
        *,
        empty: str,
        found: Found | None = None,
        excerpt: Callable[[Found, Listed], str] | None = None,
    ) -> None:
        """Show `rows` out of `of`, or `empty` if there are none; the cursor stays with its judgment.

        What was `found` is marked in the question; if it is in another text, its `excerpt` takes the question's place.
        """
        if of is not self._all:
            self._all = of
            self._columns = _columns_for(of, self._outcome, self._flags, self._question)
            self.repaint()
        if found is not self._found:
            self._found, self._excerpt = found, excerpt
            self.repaint()
        if empty != self.empty:
            self.empty = empty
            self.repaint()
        if marks != self.marks:
            self.marks = marks
            self.repaint()
        self.set_rows(rows)

    def _judgment(self, row: Listed, width: int) -> Text:
        return self._columns.row(row, width)

    def _titles(self, width: int) -> Text:
        return self._columns.header(width)

    def _outcome(self, row: Listed, width: int) -> Text:
        ink = inks(self.app)
        style = {"win": ink.good, "loss": ink.bad}.get(row.outcome or "", ink.muted)
        return Text(f"{OUTCOME_MARKS[row.outcome]} {row.outcome or '?'}"[:6], style)

    def _question(self, row: Listed, width: int) -> Text:
        shown = Text(brief(row.question, width))
        found = self._found
        if found is None or self._excerpt is None:
            return shown
        ink = inks(self.app)
        if not shown.highlight_regex(found.pattern, style=ink.found) and (text := self._excerpt(found, row)):
            place = found.place(row)
            prefix = "" if place == "question" else f"{place}: "
            shown = Text(brief(text, max(1, width - len(prefix))))
            shown.highlight_regex(found.pattern, style=ink.found)
            shown = Text.assemble((prefix, ink.muted), shown)
        return shown

    def _flags(self, row: Listed, width: int) -> Text:
        words = " ".join(FLAG_WORDS[flag] for flag in self.marks.flags(row))
        return Text(words[:width], inks(self.app).warning)


def counted(judgments: int, of: int | None = None) -> str:
    """Format a count: "1 judgment", "3 of 10 judgments"."""
    words = "judgment" if (judgments if of is None else of) == 1 else "judgments"
    return f"{judgments:,} {words}" if of is None else f"{judgments:,} of {of:,} {words}"


def _columns_for(rows: Sequence[Listed], outcome: _Cell, flags: _Cell, question: _Cell) -> Columns[Listed]:
    """Return columns as wide as their names, without those that are equal in all rows."""
    models, judges = {row.row.model for row in rows}, {row.row.judge for row in rows}
    columns: list[Column[Listed]] = [
        Column(
            "model",
            lambda row, _: one_line(row.row.model),
            width=_name_width(models),
            narrow=min(_name_width(models), _NARROW_NAME),
            middle=True,
            need=9,
        ),
        Column("#", lambda row, _: str(row.number or "-"), width=4, right=True, need=4),
        Column("game 1", lambda row, _: _label(row, 0), width=6, narrow=4, short="1st", need=8),
        Column("game 2", lambda row, _: _label(row, 1), width=6, narrow=4, short="2nd", need=7),
        Column("result", outcome, width=6, need=6),
        Column("marks", flags, width=10, narrow=5, need=5),
    ]
    if len(judges) > 1:
        width = _name_width(judges)
        columns.insert(1, Column("judge", lambda row, _: one_line(row.row.judge), width=width, middle=True, need=4))
    if len({row.category for row in rows}) > 1:
        columns.append(Column("category", lambda row, _: one_line(row.category), width=14, need=1))
    columns.append(Column("question", question, width=None, least=12, need=3))
    return Columns(columns)


def _name_width(names: Collection[str]) -> int:
    """Return the width of a column of names, within bounds."""
    longest = max((text_width(one_line(name)) for name in names), default=0)
    return max(_LEAST_NAME, min(longest, _MOST_NAME))


def _label(row: Listed, game: int) -> str:
    labels, played = row.row.labels, row.row.played
    if game >= len(labels) or not played[game]:
        return "-"
    return labels[game] or "none"
