"""A model's page: its score by category, and its hardest losses or flips, each of which opens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.timer import Timer

from arena_tui.board.choices import BoardChoices
from arena_tui.board.group_table import FOLDED, GroupTable, arranged
from arena_tui.judgments.judgment_list import FLAG_WORDS
from arena_tui.keys import bind, leaving
from arena_tui.safe_text import brief, one_line, printable, shorten
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.lines import TextLines
from arena_tui.widgets.screens import LibraryScreen, Pacer
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError
from engine.review.listing import Listed, Marks

if TYPE_CHECKING:
    from arena_tui.board.rating import ModelPage, Which


_LISTED = {"losses": "Hardest losses", "flips": "Flips: the winner changes with the position"}


class ModelScreen(LibraryScreen):
    """One model on the judgments of `choices`; updated while judgments come in."""

    MODE = "leaderboard"
    HELP = (
        "One model against the baseline. A question is won if both its games together are; a flip is a question whose "
        "two games have opposite winners, so that the position decided. Enter on a category lists only its judgments "
        "(again: all), Enter on a judgment opens it. Categories are sorted by the upper limit of their interval, "
        "so that sure weaknesses come first; those of fewer than 10 questions are folded."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("next_list", "app.focus_next"),
        bind("previous_list", "app.focus_previous", show=False),
        bind("filter", "other", title="Flips", tooltip="List flips, or losses"),
        leaving("Leaderboard"),
    ]
    DEFAULT_CSS = """
    ModelScreen #groups { height: auto; }
    ModelScreen #listed { padding: 0 1; }
    """

    def __init__(self, session: ArenaSession, model: str, choices: BoardChoices) -> None:
        super().__init__(session)
        self.model = model
        self.page: ModelPage | None = None
        self.listed: Which = "losses"
        self.group: str | None = None  # list only its judgments
        self._unfolded = False  # whether groups of few questions are shown
        self._choices = choices
        self._pacer = Pacer()
        self._due: Timer | None = None

    def compose_body(self) -> ComposeResult:

        yield TextLines(id="about")
        yield GroupTable()
        yield TextLines(id="listed")
        yield LossList()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#losses").focus()
        self._show()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    def show_library(self) -> None:
        """Update the page for changed judgments, but not so often that it slows down a run."""
        if (wait := self._pacer.wait()) <= 0:
            self._pacer.start()
            self.attempt(self._pacer.measure(self._update), group="page")
        elif self._due is None:
            self._due = self.set_timer(wait, self._update_when_due)

    def _update_when_due(self) -> None:
        self._due = None
        self.show_library()

    def action_leave(self) -> None:
        if self.group is not None:
            self.group = None
            self._show()
        else:
            self.dismiss()

    def action_other(self) -> None:
        self.listed = "flips" if self.listed == "losses" else "losses"
        self._show()

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        from arena_tui.judgments.viewer_screen import ViewerScreen

        if message.virtual_list.id == "groups":
            name = message.row.name
            if name == FOLDED:
                self._unfolded = not self._unfolded
                self._show()
                return
            self.group = None if self.group == name else name
            self._show()
            return
        losses = message.virtual_list
        rows, index = list(losses.rows), message.index
        self.app.push_screen(ViewerScreen(self.session, rows, index, lambda row: losses.move_to_key(row.key)))

    async def _update(self) -> None:
        from arena_tui.board.rating import model_page

        session, choices = self.session, self._choices
        try:
            judged = await session.judged((choices.judge,) if choices.judge else None, strict=choices.strict)
            self.page = await asyncio.to_thread(model_page, judged, self.model, choices)
        except ArenaError as error:
            self.page = None
            self.query_one("#about", TextLines).show(Text(" ".join(printable(str(error)).split())))
            return
        self._show()

    def _show(self) -> None:
        from arena_tui.board.rating import judgments_of

        page, session = self.page, self.session
        if page is None:
            self.query_one("#about", TextLines).show(Text(f"{one_line(self.model)}: reading ...", inks(self.app).muted))
            return
        self.query_one("#about", TextLines).show(*self._about(page))
        groups = self.query_one(GroupTable)
        groups.display = bool(page.groups)
        rows_of_groups = arranged(page.groups, unfolded=self._unfolded)
        groups.styles.height = 1 + min(len(rows_of_groups), max(2, self.size.height // 4))
        groups.show(rows_of_groups)
        judges = (self._choices.judge,) if self._choices.judge else tuple(session.config.judge.model)
        rows = judgments_of(self.library.entries, page, judges, self.listed, self._questions(page))
        several = len({entry.row.judge for entry in rows}) > 1
        empty = "none" if self.is_read else "reading ..."
        self.query_one(LossList).show(rows, self.library.marks, several_judges=several, empty=empty)
        self.query_one("#listed", TextLines).show(Text(), self._about_list(len(rows)))

    def _questions(self, page: ModelPage) -> set[str] | None:
        """Return the questions of the chosen groups; None for all."""
        from engine.ratings.leaderboard import UNNAMED_GROUP

        chosen = self._choices.group
        wanted = [(chosen.kind, chosen.name)] if chosen else []
        if self.group is not None and page.kind is not None:
            wanted.append((page.kind, self.group))
        if not wanted:
            return None
        return {
            key
            for key, (_, question) in self.library.questions.items()
            if all((getattr(question, kind) or UNNAMED_GROUP) == name for kind, name in wanted)
        }

    def _about(self, page: ModelPage) -> list[Text]:
        ink, row, stats = inks(self.app), page.whole.row, page.whole.stats
        room = max(12, (self.size.width - 36) // 2)
        first = Text.assemble(
            (shorten(one_line(page.model), room), ink.strong),
            (" against ", ink.muted),
            shorten(one_line(", ".join(page.baselines)), room),
        )
        if row is None or stats is None:
            return [first.append("   no game has a label", ink.warning)]
        first.append(f"   {row.score:.2f}", ink.strong).append(f" [{row.lower:.2f}, {row.upper:.2f}]")
        second = Text(f"{row.questions} questions: ", ink.muted)
        second.append(f"+ {stats.question_wins} won", ink.good).append(f"  = {stats.question_ties} tied  ")
        second.append(f"- {stats.question_losses} lost", ink.bad)
        share = f"({100 * stats.flips / max(1, row.questions):.0f}%)"
        second.append(f"   {stats.flips} flip{'' if stats.flips == 1 else 's'} {share}")
        if row.unparsed:
            second.append(f"   {row.unparsed} unparsed", ink.warning)
        third = Text(f"games: {stats.wins} won, {stats.ties} tied, {stats.losses} lost", ink.muted)
        third.append(f"; clearly {stats.strong_wins} to {stats.strong_losses}", ink.muted)
        if stats.game_1 is not None and stats.game_2 is not None:
            third.append(f"; {stats.game_1:.1f} as B, {stats.game_2:.1f} as A", ink.muted)
        if row.avg_tokens is not None:
            third.append(f"; {row.avg_tokens} tokens", ink.muted)
        return [first, second, third]

    def _about_list(self, count: int) -> Text:
        ink = inks(self.app)
        line = Text.assemble((_LISTED[self.listed], ink.strong + ink.accent), (f"  {count}", ink.muted))
        if self.group is not None:
            line.append(" · ", ink.muted).append(f"only {one_line(self.group)}", ink.accent)
        return line


class LossList(VirtualList[Listed]):
    """Judgments of one model, without its name; with a column for the judge if there are several."""

    def __init__(self) -> None:
        self._columns = self._make_columns(several_judges=False)
        self._marks = Marks()
        super().__init__(
            self._row,
            key=lambda row: row.key,
            header=self._header_line,
            empty="reading ...",
            id="losses",
        )

    def show(self, rows: Sequence[Listed], marks: Marks, *, several_judges: bool, empty: str) -> None:
        self._marks = marks
        self._columns = self._make_columns(several_judges=several_judges)
        self.empty = empty
        self.repaint()
        self.set_rows(rows)

    def _row(self, row: Listed, width: int) -> Text:
        return self._columns.row(row, width)

    def _header_line(self, width: int) -> Text:
        return self._columns.header(width)

    def _make_columns(self, *, several_judges: bool) -> Columns[Listed]:
        columns: list[Column[Listed]] = [
            Column("#", lambda row, _: str(row.number or "-"), width=4, right=True, need=4),
            Column("game 1", lambda row, _: row.row.labels[0] or "none", width=6, need=8),
            Column("game 2", lambda row, _: _second(row), width=6, need=7),
            Column("marks", self._flags, width=10, need=5),
            Column("category", lambda row, _: one_line(row.category), width=14, need=1),
            Column("question", lambda row, width: brief(row.question, width), width=None, least=14, need=9),
        ]
        if several_judges:
            columns.insert(1, Column("judge", lambda row, _: one_line(row.row.judge), width=14, middle=True, need=6))
        return Columns(columns)

    def _flags(self, row: Listed, width: int) -> Text:
        words = " ".join(FLAG_WORDS[flag] for flag in self._marks.flags(row))
        return Text(words[:width], inks(self.app).warning)


def _second(row: Listed) -> str:
    if len(row.row.labels) < 2 or not row.row.played[1]:
        return "-"
    return row.row.labels[1] or "none"
