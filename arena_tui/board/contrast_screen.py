"""The questions in which two models differ, by margin; Enter opens both answers beside the baseline's."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from arena_tui.board.choices import BoardChoices
from arena_tui.keys import bind, leaving
from arena_tui.safe_text import brief, one_line, shorten
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.lines import TextLines
from arena_tui.widgets.screens import LibraryScreen
from arena_tui.widgets.virtual_list import VirtualList
from engine.ratings.leaderboard import UNNAMED_GROUP
from engine.review.contrast import Contrast, ContrastKind, contrasts, of_kind
from engine.review.listing import Listed

_KINDS: dict[ContrastKind, str] = {
    "differ": "differing",
    "won": "A better",
    "lost": "B better",
    "flips": "flips of either model",
    "all": "all common questions",
}


class ContrastScreen(LibraryScreen):
    """Lists the questions of models A and B on the judgments of `choices`."""

    MODE = "leaderboard"
    HELP = (
        "The questions on which two models did not do equally well against the baseline. `points` are percent of the "
        "games won on a question, ties half; the margin is A minus B. Games are shown as the judge labelled them: in "
        "game 1 the baseline is A, in game 2 the model is. f shows those that A or B did better on, or the flips."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("filter", "next_kind", tooltip="Only those that A or B did better on, the flips, or all"),
        bind("reverse", "swap", title="Swap", tooltip="Swap the two models"),
        leaving("Leaderboard"),
    ]

    def __init__(self, session: ArenaSession, one: str, other: str, choices: BoardChoices) -> None:
        super().__init__(session)
        self.pair = one, other
        self.kind: ContrastKind = "differ"
        self._choices = choices

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="about")
        yield ContrastList()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(ContrastList).focus()

    def show_library(self) -> None:
        choices, library = self._choices, self.library
        judges = (choices.judge,) if choices.judge else tuple(self.session.config.judge.model)
        group = choices.group
        questions = None
        if group is not None:
            questions = {
                key
                for key, (_, question) in library.questions.items()
                if (getattr(question, group.kind) or UNNAMED_GROUP) == group.name
            }
        rows = contrasts(
            library.entries,
            *self.pair,
            judges=judges,
            questions=questions,
            weight=choices.weight,
            first_game_only=choices.first_game_only,
        )
        shown = of_kind(rows, self.kind)
        listing = self.query_one(ContrastList)
        listing.empty = "reading ..." if not self.is_read else "none; f shows others"
        listing.set_rows(shown)
        self.query_one("#about", TextLines).show(*self._about(rows, len(shown)))

    def action_next_kind(self) -> None:
        kinds = list(_KINDS)
        self.kind = kinds[(kinds.index(self.kind) + 1) % len(kinds)]
        self.query_one(ContrastList).move_to(0)
        self.show_library()

    def action_swap(self) -> None:
        self.pair = self.pair[1], self.pair[0]
        self.show_library()

    def action_leave(self) -> None:
        self.dismiss()

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        from arena_tui.board.contrast_viewer import ContrastViewer

        listing = self.query_one(ContrastList)
        self.app.push_screen(ContrastViewer(self.session, list(listing.rows), message.index, listing.move_to))

    def _about(self, rows: list[Contrast], shown: int) -> tuple[Text, Text]:
        ink = inks(self.app)
        room = max(10, (self.size.width - 12) // 2)
        a, b = (shorten(one_line(name), room) for name in self.pair)
        first = Text.assemble(("A ", ink.muted), (a, ink.strong), ("   B ", ink.muted), (b, ink.strong))
        won, lost = len(of_kind(rows, "won")), len(of_kind(rows, "lost"))
        second = Text.assemble(
            (f"{len(rows):,} common", ink.muted),
            (f"   A better {won:,}", ink.good),
            (f"   B better {lost:,}", ink.bad),
            (f"   equal {len(rows) - won - lost:,}", ink.muted),
            (f"   flips {len(of_kind(rows, 'flips')):,}", ink.warning),
            (f"   · {_KINDS[self.kind]} {shown:,}", ink.accent),
        )
        return first, second


class ContrastList(VirtualList[Contrast]):
    """One line a question."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select", title="Answers", tooltip="Read the answers")]

    def __init__(self) -> None:
        self._columns: Columns[Contrast] = Columns(
            [
                Column("#", lambda row, _: str(row.a.number or "-"), width=4, right=True, need=6),
                Column("margin", self._margin, width=6, right=True, need=9),
                Column("A", lambda row, _: f"{row.points_a:.0f}", width=3, right=True, need=7),
                Column("B", lambda row, _: f"{row.points_b:.0f}", width=3, right=True, need=7),
                Column("games A", lambda row, _: _games(row.a), width=9, need=5),
                Column("games B", lambda row, _: _games(row.b), width=9, need=5),
                Column("flip", self._flip, width=4, need=4),
                Column("category", lambda row, _: one_line(row.a.category), width=14, need=1),
                Column("question", lambda row, width: brief(row.a.question, width), width=None, least=14, need=8),
            ],
            gap=1,
        )
        super().__init__(self._columns.row, key=_key, header=self._columns.header, empty="reading ...", id="contrasts")

    def _margin(self, row: Contrast, width: int) -> Text:
        ink = inks(self.app)
        style = ink.good if row.margin > 0 else ink.bad if row.margin < 0 else ink.muted
        return Text(f"{row.margin:+.0f}" if row.margin else "0", style)

    def _flip(self, row: Contrast, width: int) -> Text:
        flips = ("A" if row.a.is_flip else "") + ("B" if row.b is not None and row.b.is_flip else "")
        return Text(flips, inks(self.app).warning)


def _key(row: Contrast) -> tuple[object, ...]:
    return row.a.key, row.b.key if row.b is not None else None


def _games(entry: Listed | None) -> str:
    """Return the labels of both games as the judge gave them."""
    if entry is None:
        return "baseline"
    return " ".join((label or "none") if played else "-" for label, played in zip(*_both(entry), strict=True))


def _both(entry: Listed) -> tuple[tuple[str | None, ...], tuple[bool, ...]]:
    return entry.row.labels, entry.row.played
