"""The groups of questions of one model: score, interval and counts of each; those of few questions are folded."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from arena_tui.board.rating import GroupRow
from arena_tui.output.forest import Scale, terminal_strokes
from arena_tui.safe_text import one_line, text_width
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.virtual_list import VirtualList

FEW = 10  # questions; the score of a group with fewer says little
FOLDED = ""  # the name of the row that stands for all such groups


def arranged(groups: Sequence[GroupRow], *, unfolded: bool = False) -> list[GroupRow]:
    """Return the groups by the upper limit of their interval, those of few questions as one row at the end.

    Nothing is folded if no group has more questions. `unfolded` shows them below that row.
    """
    large = sorted((group for group in groups if group.questions >= FEW), key=_upper)
    small = sorted((group for group in groups if group.questions < FEW), key=_upper)
    if not large or len(small) < 2:
        return sorted(groups, key=_upper)
    return [*large, GroupRow(FOLDED, len(small), None), *(small if unfolded else [])]


def _upper(group: GroupRow) -> tuple[float, str]:
    return (group.row.upper if group.row is not None else 101.0), group.name


def _name(row: GroupRow, width: int = 80) -> str:
    if row.name != FOLDED:
        return one_line(row.name)
    text = f"+ {row.questions} with under {FEW} questions"
    return text if len(text) <= width else f"+ {row.questions} under {FEW}"


def _unparsed(row: GroupRow) -> str:
    return str(row.row.unparsed) if row.row else "" if row.name == FOLDED else "-"


_LONGEST_NAME, _WIDEST_BAR = 40, 61


class GroupTable(VirtualList[GroupRow]):
    """The groups, on one scale from 0 to 100."""

    def __init__(self) -> None:
        self._strokes = terminal_strokes()
        self._forest: Column[GroupRow] = Column("", self._bar, width=None, least=17, most=_WIDEST_BAR, need=8)
        self._columns = self._make_columns(12, ())
        super().__init__(
            self._row,
            key=lambda row: row.name,
            header=self._header_line,
            empty="the questions have no categories",
            id="groups",
        )

    def show(self, rows: Sequence[GroupRow]) -> None:
        """Show `rows`, without the columns that say the same of all of them."""
        longest = max((text_width(_name(row)) for row in rows), default=12)
        self._columns = self._make_columns(min(_LONGEST_NAME, longest), [row for row in rows if row.name != FOLDED])
        self.repaint()
        self.set_rows(rows)

    def _row(self, row: GroupRow, width: int) -> Text:
        return self._columns.row(row, width)

    def _header_line(self, width: int) -> Text:
        header, place = self._columns.header(width), self._columns.place(self._forest, width)
        if place is None or not self.rows:
            return header
        at, columns = place
        plain = header.plain
        return Text(plain[:at] + _scale(columns).numbers() + plain[at + columns :], no_wrap=True)

    def _make_columns(self, longest: int, rows: Sequence[GroupRow]) -> Columns[GroupRow]:
        least = max(10, min(longest, 16))
        counts: list[Column[GroupRow]] = [
            Column("judged", lambda row, _: _judged(row), width=6, right=True, need=3),
            Column("won", lambda row, _: _stat(row, "question_wins"), width=4, right=True, need=8),
            Column("tied", lambda row, _: _stat(row, "question_ties"), width=4, right=True, need=7),
            Column("lost", lambda row, _: _stat(row, "question_losses"), width=4, right=True, need=8),
            Column("flips", lambda row, _: _stat(row, "flips"), width=5, right=True, need=6),
            Column("unparsed", lambda row, _: _unparsed(row), width=8, narrow=4, short="unp.", right=True, need=2),
        ]
        differing = [column for column in counts if len({str(column.cell(row, 8)) for row in rows}) > 1]
        return Columns(
            [
                Column(
                    "category",
                    _name,
                    width=None,
                    least=least,
                    most=max(least, longest),
                    need=10,
                ),
                Column("score", lambda row, _: _score(row), width=5, right=True, need=9),
                Column("95% CI", lambda row, _: _limits(row), width=13, right=True, need=1),
                self._forest,
                *differing,
            ],
            gap=1,
        )

    def _bar(self, row: GroupRow, width: int) -> Text:
        scale, ink = _scale(width), inks(self.app)
        if row.name == FOLDED:
            return Text()
        if row.row is None:
            return Text("no label".ljust(width)[:width], ink.muted)
        lower, upper = row.row.lower, row.row.upper
        text = Text(scale.bar(lower, row.row.score, upper, self._strokes))
        style = ink.good if lower > 50.0 else ink.bad if upper < 50.0 else ink.bar
        text.stylize(style, scale.place(lower), scale.place(upper) + 1)
        return text


def _scale(columns: int) -> Scale:
    return Scale(0.0, 100.0, columns, 50.0)


def _judged(row: GroupRow) -> str:
    return str(row.row.questions) if row.row else "" if row.name == FOLDED else "0"


def _score(row: GroupRow) -> str:
    return ("" if row.name == FOLDED else "-") if row.row is None else f"{row.row.score:.1f}"


def _limits(row: GroupRow) -> str:
    return "" if row.row is None else f"[{row.row.lower:.1f}, {row.row.upper:.1f}]"


def _stat(row: GroupRow, name: str) -> str:
    if row.name == FOLDED:
        return ""
    return "-" if row.stats is None else str(getattr(row.stats, name))
