"""The rows of a leaderboard, with intervals drawn to one scale, and the lines above and below the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UnsetType
from rich.text import Text
from textual.binding import BindingType
from textual.message import Message

from arena_tui.board.choices import BoardChoices
from arena_tui.keys import bind
from arena_tui.output.forest import UNICODE, Scale, terminal_strokes
from arena_tui.output.leaderboard_columns import own_baselines
from arena_tui.output.stop_rule import control_words, standing_words, verdict_words
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.session.arena_session import SessionStatus
from arena_tui.theme import Inks, inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.virtual_list import GUTTER, VirtualList
from engine.ratings.leaderboard import Leaderboard, Noise, Row
from engine.ratings.stop_rule import Standing
from engine.work.progress import RunState

SortKey: TypeAlias = Literal["rank", "model", "interval", "tokens", "questions", "unparsed", "missing"]
SORT_KEYS: tuple[SortKey, ...] = ("rank", "model", "interval", "tokens", "questions", "unparsed", "missing")

_SORTS: Mapping[SortKey, Callable[[BoardRow], tuple[object, ...]]] = {
    "rank": lambda row: (row.row.rank,),
    "model": lambda row: (row.row.model.casefold(),),
    "interval": lambda row: (row.row.lower - row.row.upper,),
    "tokens": lambda row: (-(row.row.avg_tokens or 0),),
    "questions": lambda row: (-row.row.questions,),
    "unparsed": lambda row: (-row.row.unparsed,),
    "missing": lambda row: (-row.row.missing,),
}  # first: the best, the widest, the most; equal rows by rank
_LONGEST_NAME, _WIDEST_BAR = 46, 61


class BoardRow(msgspec.Struct, frozen=True):
    """One model. `ranks` is its range of possible ranks, `mark` the letter of a model marked for comparison."""

    row: Row
    is_baseline: bool = False
    ranks: tuple[int, int] | None = None
    mark: str = ""
    standing: Standing | None = None  # by the stop rule of the current run
    noise: Noise | None = None


def board_rows(
    rows: Sequence[Row],
    baseline: str,
    ranges: Mapping[str, tuple[int, int]],
    marked: Sequence[str],
    *,
    sort: SortKey,
    reverse: bool,
    name: str,
    standings: Mapping[str, Standing],
    noise: Mapping[str, Noise],
) -> list[BoardRow]:
    """Return the rows whose model contains `name`, sorted."""
    wanted = name.strip().casefold()
    found = [
        BoardRow(
            row,
            row.model == baseline,
            ranges.get(row.model),
            "AB"[marked.index(row.model)] if row.model in marked else "",
            standings.get(row.model),
            noise.get(row.model),
        )
        for row in rows
        if wanted in row.model.casefold()
    ]
    return sorted(found, key=_SORTS[sort], reverse=reverse)


class BoardTable(VirtualList[BoardRow]):
    """The rows; the cursor stays with its model. `LayoutChanged` is posted when the axis must be drawn again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "select", title="Model", tooltip="Everything about this model")
    ]

    class LayoutChanged(Message):
        """Rows or width have changed."""

    def __init__(self) -> None:
        self._scale_of: tuple[float, float, float] = (0.0, 100.0, 50.0)  # from, to, and the score of the baseline
        self._sorted: tuple[SortKey, bool] = ("rank", False)
        self._strokes = terminal_strokes()
        self._forest: Column[BoardRow] = Column("", self._bar, width=None, least=15, most=_WIDEST_BAR, need=8)
        self._layout_of: tuple[object, ...] = ()
        self._columns = self._make_columns(14, stops=False, constant=frozenset())
        super().__init__(
            self._row,
            key=lambda row: row.row.model,
            header=self._header_line,
            empty="reading the judgments ...",
            id="board",
        )

    def show(self, rows: Sequence[BoardRow], every: Sequence[Row], baseline: str, sort: SortKey, reverse: bool) -> None:
        """Show `rows` on the scale of `every` row, so that a filter does not change it."""
        if every:
            middle = next((row.score for row in every if row.model == baseline), 50.0)
            limits = [limit for row in every for limit in (row.lower, row.upper)]
            scale = min(middle, *limits), max(middle, *limits), middle
            longest = min(_LONGEST_NAME, max(text_width(one_line(row.model)) for row in every))
            stops = any(row.standing is not None for row in rows)
            constant = _constant(every, baseline) - {sort}
            layout = scale, (sort, reverse), longest, stops, constant
            if layout != self._layout_of:
                self._layout_of = layout
                self._scale_of, self._sorted = scale, (sort, reverse)
                self._columns = self._make_columns(longest, stops, constant)
                self.repaint()
        self.set_rows(rows)
        self.post_message(self.LayoutChanged())

    def explain(self, empty: str) -> None:
        """Set the text shown if there are no rows."""
        if empty != self.empty:
            self.empty = empty
            self.repaint()

    def axis(self) -> Text:
        """Return the axis, aligned with the intervals; empty if their column is dropped."""
        place = self._columns.place(self._forest, max(1, self._width - GUTTER)) if self.rows else None
        if place is None:
            return Text()
        return Text(" " * (GUTTER + place[0]) + self._scale(place[1]).axis(self._strokes), inks(self.app).muted)

    def on_resize(self) -> None:
        super().on_resize()
        self.post_message(self.LayoutChanged())

    def _scale(self, columns: int) -> Scale:
        low, high, middle = self._scale_of
        return Scale(low, high, columns, middle)

    def _row(self, row: BoardRow, width: int) -> Text:
        return self._columns.row(row, width)

    def _header_line(self, width: int) -> Text:
        header = self._columns.header(width)
        place = self._columns.place(self._forest, width)
        if place is None or not self.rows:
            return header
        at, columns = place
        plain = header.plain
        return Text(plain[:at] + self._scale(columns).numbers() + plain[at + columns :], no_wrap=True)

    def _make_columns(self, longest: int, stops: bool, constant: Collection[SortKey]) -> Columns[BoardRow]:
        """Return the columns; those in `constant`, which would say the same in all rows, leave their room to names."""
        least = max(12, min(longest, 14))
        verdict: Column[BoardRow] = Column("verdict", self._verdict, width=8, narrow=7, need=9)
        numbers: dict[SortKey, Column[BoardRow]] = {
            "tokens": Column(
                self._title("tokens", "tokens"),
                lambda row, _: _tokens(row),
                width=7,
                narrow=6,
                short=self._title("tokens", "tok"),
                right=True,
                need=3,
            ),
            "questions": Column(
                self._title("questions", "questions"),
                lambda row, _: _count(row, row.row.questions),
                width=10,
                narrow=5,
                short=self._title("questions", "qu."),
                right=True,
                need=4,
            ),
            "unparsed": Column(
                self._title("unparsed", "unparsed"),
                self._unparsed,
                width=9,
                narrow=5,
                short=self._title("unparsed", "unp."),
                right=True,
                need=6,
            ),
            "missing": Column(
                self._title("missing", "missing"),
                self._missing,
                width=8,
                narrow=5,
                short=self._title("missing", "mis."),
                right=True,
                need=7,
            ),
        }
        return Columns(
            [
                Column("", self._mark, width=1, need=10),
                Column(
                    self._title("rank", "#"), lambda row, _: str(row.row.rank), width=3, narrow=2, right=True, need=9
                ),
                Column("ranks", lambda row, _: _ranks(row), width=5, right=True, need=5),
                Column(
                    self._title("model", "model"),
                    lambda row, _: one_line(row.row.model),
                    width=None,
                    least=least,
                    most=max(least, longest),
                    eager=True,
                    middle=True,
                    need=11,
                ),
                Column("score", lambda row, _: f"{row.row.score:.1f}", width=5, right=True, need=10),
                Column(self._title("interval", "95% CI"), _limits, width=13, right=True, need=1),
                self._forest,
                *([verdict] if stops else []),
                *(column for key, column in numbers.items() if key in ("tokens", "questions") and key not in constant),
                Column("flips", lambda row, _: _share(row.noise, "flips"), width=5, right=True),
                Column("ties", lambda row, _: _share(row.noise, "ties"), width=4, right=True),
                *(column for key, column in numbers.items() if key in ("unparsed", "missing") and key not in constant),
            ],
            gap=1,
        )

    def _title(self, key: SortKey, title: str) -> str:
        """Return the title, with an arrow if the rows are sorted by it."""
        if key != self._sorted[0]:
            return title
        arrows = "↓↑" if self._strokes is UNICODE else "v^"
        return title + arrows[self._sorted[1]]

    def _mark(self, row: BoardRow, width: int) -> Text:
        return Text(row.mark, inks(self.app).accent)

    def _bar(self, row: BoardRow, width: int) -> Text:
        ink, scale = inks(self.app), self._scale(width)
        line = scale.bar(row.row.lower, row.row.score, row.row.upper, self._strokes)
        if row.is_baseline:
            return Text(line, ink.muted)
        style = ink.good if row.row.lower > scale.middle else ink.bad if row.row.upper < scale.middle else ink.bar
        text = Text(line)
        text.stylize(style, scale.place(row.row.lower), scale.place(row.row.upper) + 1)
        return text

    def _verdict(self, row: BoardRow, width: int) -> Text:
        """Return the decision of the stop rule, whose limits are valid at any time (the drawn ones are not)."""
        if row.standing is None:
            return Text()
        ink, words = inks(self.app), {"undecided": "open", "budget": "open"}
        style = {"better": ink.good, "worse": ink.bad}.get(row.standing.verdict, ink.muted)
        return Text(words.get(row.standing.verdict, row.standing.verdict), style)

    def _unparsed(self, row: BoardRow, width: int) -> Text:
        return Text(_count(row, row.row.unparsed), inks(self.app).warning if row.row.unparsed else "")

    def _missing(self, row: BoardRow, width: int) -> Text:
        return Text(_count(row, row.row.missing), inks(self.app).warning if row.row.missing else "")


def _share(noise: Noise | None, kind: Literal["flips", "ties"]) -> str:
    """Return the share of pairs of games that flip with the places, or are ties."""
    return "-" if noise is None else f"{100 * (noise.flips if kind == 'flips' else noise.ties) / noise.pairs:.0f}%"


def _constant(rows: Sequence[Row], baseline: str) -> frozenset[SortKey]:
    """Return the columns of counts that are the same in all rows: zeros, or the questions of every model."""
    rated = [row for row in rows if row.model != baseline or row.games]
    constant: set[SortKey] = {key for key in ("unparsed", "missing") if not any(getattr(row, key) for row in rated)}
    return frozenset(constant | ({"questions"} if len({row.questions for row in rated}) == 1 else set()))


def _ranks(row: BoardRow) -> str:
    if row.ranks is None:
        return ""
    best, worst = row.ranks
    return f"{best}-{worst}" if best < worst else str(best)


def _limits(row: BoardRow, width: int) -> str:
    if row.is_baseline:
        return "baseline"
    comma = ", " if width >= 13 else ","
    return f"[{row.row.lower:.1f}{comma}{row.row.upper:.1f}]"


def _tokens(row: BoardRow) -> str:
    return "-" if row.row.avg_tokens is None else str(row.row.avg_tokens)


def _count(row: BoardRow, count: int) -> str:
    return "-" if row.is_baseline and not row.row.games else str(count)


def headline(state: RunState, status: SessionStatus, judged: int, total: int, is_reading: bool, ink: Inks) -> Text:
    """Describe how many judgments the numbers rest on, and whether more will come."""
    is_active = status in ("running", "paused", "stopping", "following")
    if is_active and judged < total:
        return Text.assemble(("PROVISIONAL", ink.warning), f"  {judged:,} of {total:,} judgments so far")
    if state.stop_rule:
        share = f"on {judged:,} of {total:,} judgments, by the stop rule {one_line(state.stop_rule)}"
        control = f" ({words})" if (words := control_words(state.error_control)) else ""
        return Text.assemble((standing_words(state), ink.accent), f" {share}{control}")
    if judged < total:
        missing = f"{judged:,} of {total:,} judgments; create the rest with 1, then s"
        return Text.assemble(("INCOMPLETE", ink.warning), f"  {missing}")
    if is_reading:
        return Text("reading the judgments ...", ink.muted)
    return Text(f"{judged:,} judgments" if judged else "", ink.muted)


def described(
    choices: BoardChoices,
    board: Leaderboard | None,
    judges: Sequence[str],
    view: Sequence[str],
    activity: str,
    ink: Inks,
) -> Text:
    """Describe what is rated and how, non-default values accented. `view` is how rows are sorted and filtered."""
    phrases = choices.phrases()
    if choices.soft and board is not None and not isinstance(board.soft, UnsetType) and board.soft.width is not None:
        phrases.append(f"intervals {board.soft.width:.2f} times as wide")
    phrases += [phrase for phrase in view if phrase]
    line = Text(" · ", ink.muted).join(Text(phrase, ink.accent) for phrase in phrases)
    for phrase, style in (
        (f"judge {', '.join(map(one_line, judges))}" if judges else "", ink.accent if choices.judge else ink.muted),
        (_of_categories(board), ink.muted),
        (activity, ink.muted),
    ):
        if phrase:
            line.append(" · " if line.plain else "", ink.muted).append(phrase, style)
    return line


def view_words(sort: SortKey, reverse: bool, wanted_name: str) -> tuple[str, ...]:
    """Return in which order rows are, and which, where that is not all of them by rank."""
    order = "" if sort == "rank" else f"by {sort}"
    order = f"{order or 'by rank'}, reversed" if reverse else order
    return order, f'"{one_line(wanted_name.strip())}"' if wanted_name.strip() else ""


def _of_categories(board: Leaderboard | None) -> str:
    """Return the baselines with their categories, where they depend on the category."""
    if board is None or isinstance(board.baseline_by_category, UnsetType):
        return ""
    return " · ".join(own_baselines(board.baseline_by_category))


def row_line(row: BoardRow, opponent: str, ink: Inks) -> Text:
    """Return all numbers of one row, some of which may not fit in the table."""
    number = row.row
    line = Text.assemble((one_line(number.model), ink.strong))
    if row.is_baseline:
        return line.append("  baseline: 50 by definition", ink.muted)
    line.append(f"  {number.score:.2f} [{number.lower:.2f}, {number.upper:.2f}]")
    for name, value in (("by label", number.label_score), ("own style", number.same_style)):
        if isinstance(value, float):
            line.append(f"  {name} {value:.2f}", ink.accent)
    if row.standing is not None:
        line.append(f" {verdict_words('', row.standing, opponent).partition(':')[0]}", ink.accent)
    return line.append(f"  {number.questions} questions, {number.games} games", ink.muted)


def caution_line(warnings: Sequence[str], width: int) -> str:
    """Return the only warning if it fits, else the beginning of the first one and the key that shows all in full."""
    texts = [one_line(" ".join(warning.split())) for warning in warnings]
    if not texts or (len(texts) == 1 and text_width(texts[0]) + 2 <= width):
        return "".join(f"! {text}" for text in texts)
    more = f"  ! shows all {len(texts)}" if len(texts) > 1 else "  ! shows it in full"
    return f"! {clip(texts[0], width - 2 - len(more))}{more}"
