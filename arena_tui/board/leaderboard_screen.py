"""The leaderboard: a row for each model with its interval drawn to scale, rated again while judgments come in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import UNSET, UnsetType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input

from arena_tui.advice import phrase, phrase_all, title
from arena_tui.board.answer import BoardAnswer
from arena_tui.board.board_table import (
    SORT_KEYS,
    BoardRow,
    BoardTable,
    SortKey,
    board_rows,
    described,
    headline,
    row_line,
    view_words,
)
from arena_tui.board.choices import BoardChoice, BoardChoices, Group
from arena_tui.board.model_panel import ModelPanel
from arena_tui.board.ranking import Ranking
from arena_tui.board.rating import GroupRow
from arena_tui.keys import bind
from arena_tui.output.stop_rule import early_stop_cautions
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import LineInput, TextLines
from arena_tui.widgets.screens import ArenaScreen, Pacer
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError, as_line
from engine.work.progress import RunState

if TYPE_CHECKING:
    from arena_tui.board.opening import PageName
    from arena_tui.board.rating import Board, BoardRater
    from arena_tui.output.leaderboard import LeaderboardFormat


class LeaderboardScreen(ArenaScreen):
    """Rates what is on disk in a thread, again whenever there are more judgments."""

    MODE = "leaderboard"
    HELP = (
        "Win rates against the baseline, which is 50 by definition, with 95% intervals. `ranks` is the range of "
        "possible ranks, with 95% confidence for all models together. A model whose interval lies to one side of the "
        "dotted line is better or worse than the baseline. To compare two models, mark them (space) and press d. "
        "During a run the numbers are provisional. qu.: questions with a label; unp.: unparsed games; mis.: questions "
        "without a judgment."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("mark", tooltip="Mark this model for comparison (two at most)"),
        bind("difference", tooltip="Compare the marked models (or this one and the baseline)"),
        bind("judge", "page('audit')", title="Audit"),
        bind("options", tooltip="Judge, questions, interval, weight, games, style"),
        bind("order", "sort(1)", title="Sort"),
        bind("search", title="Filter", tooltip="Show only models whose name contains a text"),
        bind("reverse", show=False),
        bind("copy", tooltip="Copy the leaderboard as Markdown, CSV or text", show=False),
        bind("warnings", "notes"),
        bind("needed", "page('study')", title="Questions needed", show=False),
        bind("heat_map", "page('pairs')", title="All pairs", tooltip="Compare all pairs of models", show=False),
        bind("curve", "page('curve')", tooltip="Scores of checkpoints over the steps of their training", show=False),
        bind("category", "pick_group", show=False),
        bind("again", "rate", title="Rate again", tooltip="Read the files again", show=False),
        bind("clear", "reset", title="Reset", tooltip="Remove filter and marks, and reset all options", show=False),
        bind("close", "clear_search", title="Clear the search", key="escape", show=False),
    ]
    DEFAULT_CSS = "LeaderboardScreen #axis { padding: 0; }"

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self.choices = BoardChoices()
        self.board: Board | None = None
        self._problem = ""  # why there is no board
        self.marked: list[str] = []
        self.sort: SortKey = "rank"
        self.reverse = False
        self._wanted_name = ""
        self._pacer = Pacer()
        self._due: Timer | None = None  # for the next rating
        self._rated_moment: tuple[object, ...] = ()
        self._is_provisional = False  # judgments are missing
        self._is_rating = False
        self._is_wanted = False  # rate once more
        self._rater: BoardRater | None = None
        self._answer = BoardAnswer()
        self._first_rating = asyncio.Event()  # set when it has ended

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        yield LineInput(placeholder="part of a model's name; Enter goes to the list, Escape clears", id="search")
        with Horizontal(classes="master-detail"):
            yield Ranking()
            yield ModelPanel()

    def on_mount(self) -> None:
        self.query_one(BoardTable).focus()
        self._show_row(None)

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    async def ready(self) -> None:
        if self.session.is_open:
            await self._first_rating.wait()

    # -- rating

    def show_state(self, state: RunState) -> None:
        judged = sum(task.done + task.cached for key, task in state.tasks.items() if key.stage == "judgments")
        total = sum(task.total for key, task in state.tasks.items() if key.stage == "judgments")
        self._is_provisional = judged < total
        is_reading = self._is_rating and self.board is None
        first = headline(state, self.session.status, judged, total, is_reading, inks(self.app))
        described = Text(" · ", inks(self.app).muted).join(part for part in (first, self._described()) if part.plain)
        ink, width, is_partial = inks(self.app), self.size.width - 2, self._is_provisional
        answer = self._answer.text(
            self.session, self.board, self.choices, self.marked, width, ink, is_partial=is_partial
        )
        self.query_one("#state", TextLines).show(answer, described)
        moment = (judged, state.phase)
        if self.session.is_open and moment != self._rated_moment:
            if (wait := self._pacer.wait()) <= 0:
                self._rated_moment = moment
                self.action_rate()
            elif self._due is None:
                self._due = self.set_timer(wait, self._rate_when_due)

    def _rate_when_due(self) -> None:
        self._due = None
        if self.is_current:
            self.show_state(self.session.state)

    def action_rate(self) -> None:
        """Read and rate; while a rating is in progress, once more afterwards."""
        self._pacer.start()
        self._is_wanted = self.session.is_open
        if self._is_wanted and not self._is_rating:
            self._is_rating = True
            self.attempt(self._rate_as_wanted(), group="rating")

    async def _rate_as_wanted(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                await self._pacer.measure(self._rate)
        finally:
            self._is_rating = False
            self._first_rating.set()
            self._show()

    async def _rate(self) -> None:
        from arena_tui.board.rating import BoardRater

        if self._rater is None:
            self._rater = BoardRater()
        session, choices = self.session, self.choices
        try:
            judged = await session.judged((choices.judge,) if choices.judge else None, strict=choices.strict)
            rated = await asyncio.to_thread(self._rater.rate, session.bench, judged, choices)
            if self.board is None:
                self.board = rated
                self._show()
            self.board = await asyncio.to_thread(self._rater.rank, rated)
        except ArenaError as error:
            self.board, self._problem = None, as_line(title(error), phrase(error.hint))
            self.query_one(BoardTable).explain("nothing to rate yet")
        self._show()

    # -- choosing

    def choose(self, choices: BoardChoices) -> None:
        """Rate by other choices."""
        if choices != self.choices:
            self.choices = choices
            self.action_rate()
            self.paint(self.session.state)

    def _step(self, choice: BoardChoice, step: int) -> BoardChoices:
        """Rate by the next value of one choice, or (with `step` -1) by the previous one."""
        groups = self.board.groups if self.board else ()
        self.choose(self.choices.step(choice, step, self.session.config.judge.model, groups))
        return self.choices

    def action_options(self) -> None:
        from arena_tui.board.choices import BoardOptions

        self.app.push_screen(BoardOptions(self.choices, self._step))

    def action_pick_group(self) -> None:
        from arena_tui.board.choices import group_options
        from arena_tui.setup.pick_screen import Option, PickScreen

        if self.board is None or not self.board.groups:
            self.report("the questions of this bench have no categories")
            return
        known = group_options(self.board.groups)
        options = [Option(name, f"{group.questions} questions" if group else "") for name, group in known.items()]
        chosen = [name for name, group in known.items() if group == self.choices.group]
        picker = PickScreen("Which questions count", options, chosen)
        self.app.push_screen(picker, lambda names: self._group_picked(known[names[0]]) if names else None)

    def action_reset(self) -> None:
        self.marked, self._wanted_name, self.sort, self.reverse = [], "", "rank", False
        self.action_clear_search()
        self.choose(BoardChoices())
        self._show()

    def action_sort(self, step: int) -> None:
        self.sort = SORT_KEYS[(SORT_KEYS.index(self.sort) + step) % len(SORT_KEYS)]
        self._show()

    def action_reverse(self) -> None:
        self.reverse = not self.reverse
        self._show()

    def action_search(self) -> None:
        self.query_one(LineInput).open()

    def action_clear_search(self) -> None:
        """Show all models, and go back to the list."""
        box = self.query_one(LineInput)
        box.value = ""
        box.close()
        self.query_one(BoardTable).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted_name = event.value
        self._show()

    def on_input_submitted(self) -> None:
        self.query_one(LineInput).close(only_if_empty=True)
        self.query_one(BoardTable).focus()

    # -- models

    def action_mark(self) -> None:
        row = self.query_one(BoardTable).row
        if row is None:
            return
        model = row.row.model
        if model in self.marked:
            self.marked.remove(model)
        else:
            self.marked = [*self.marked, model][-2:]
        self._show()

    def action_difference(self) -> None:
        """Compare the marked models; if fewer than two, the current row with the marked model or the baseline."""
        from arena_tui.board.difference_screen import DifferenceScreen, open_contrast

        row = self.query_one(BoardTable).row
        if self.board is None or row is None:
            return
        pair = list(self.marked)
        for model in (row.row.model, self.board.options.baseline):
            if len(pair) < 2 and model not in pair:
                pair.append(model)
        if len(pair) < 2:
            self.report("this is the baseline: mark two models (space) or choose another row")
            return
        screen = DifferenceScreen(self.board, pair[0], pair[1], provisional=self._is_provisional)
        self.app.push_screen(screen, lambda chosen: open_contrast(self, self.choices, chosen))

    def action_copy(self) -> None:
        from arena_tui.judgments.copying import CopyPart, CopyScreen
        from arena_tui.output.leaderboard import format_leaderboard

        if self.board is None:
            self.report("there is no leaderboard to copy yet")
            return
        board = self.board.leaderboard
        forms: dict[str, LeaderboardFormat] = {"Markdown": "markdown", "CSV": "csv", "text": "table"}
        parts = [
            CopyPart(f"the leaderboard as {name}", format_leaderboard(board, form)) for name, form in forms.items()
        ]
        self.app.push_screen(CopyScreen(parts))

    def action_page(self, page: PageName) -> None:
        from arena_tui.board.opening import open_page

        open_page(self, page, self.board, self.choices)

    def action_notes(self) -> None:
        from arena_tui.widgets.dialogs import DetailsScreen

        style = self.board.leaderboard.style if self.board else UNSET
        facts = [
            (
                each.name,
                f"{each.weight:+.2f} [{each.lower:+.2f}, {each.upper:+.2f}] log odds per standard deviation",
            )
            for each in (() if isinstance(style, UnsetType) else style.covariates)
        ]
        text = "\n\n".join(f"! {warning}" for warning in self._warnings()) or "No warnings about these numbers."
        self.app.push_screen(DetailsScreen("Warnings about these numbers", facts, text))

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        from arena_tui.board.model_screen import ModelScreen

        chosen = message.row
        row, group = chosen, None
        if isinstance(chosen, GroupRow):
            row, group = self.query_one(BoardTable).row, chosen.name
        if not isinstance(row, BoardRow) or self.board is None:
            return
        if row.is_baseline and not row.row.games:
            self.report("the baseline has no page: the page of each model shows its games against it")
            return
        screen = ModelScreen(self.session, row.row.model, self.choices)
        screen.group = group
        self.app.push_screen(screen)

    def on_virtual_list_highlighted(self, message: VirtualList.Highlighted) -> None:
        if isinstance(message.row, BoardRow):
            self._show_row(message.row)

    # -- painting

    def on_board_table_layout_changed(self) -> None:
        axis = self.query_one(BoardTable).axis()
        self.query_one("#axis", TextLines).show(*([axis] if axis.plain else []))
        self.query_one(Ranking).fit()

    def _group_picked(self, group: Group | None) -> None:
        self.choose(msgspec.structs.replace(self.choices, group=group))

    def _show(self) -> None:
        """Paint rows, axis, the line of the current row, and warnings."""
        table, board = self.query_one(BoardTable), self.board
        if board is None:
            table.show([], [], "", self.sort, self.reverse)
        else:
            rows = board.leaderboard.rows
            shown = board_rows(
                rows,
                board.options.baseline,
                board.ranges,
                self.marked,
                sort=self.sort,
                reverse=self.reverse,
                name=self._wanted_name,
                standings=self.session.state.standings,
                noise=board.leaderboard.noise or {},
            )
            table.explain(f'no model name contains "{one_line(self._wanted_name.strip())}"; x shows all')
            table.show(shown, rows, board.options.baseline, self.sort, self.reverse)
        if self._answer.lacks(board, self.marked):
            self.attempt(self._compare_marked(), group="marked")
        self._show_row(table.row)
        self.query_one(Ranking).warn(self._warnings())
        if self.is_current:
            self.paint(self.session.state)

    async def _compare_marked(self) -> None:
        await self._answer.compare(self.marked)
        self.paint(self.session.state)

    def _described(self) -> Text:
        board, session = self.board, self.session
        judges = [self.choices.judge] if self.choices.judge else session.config.judge.model if session.is_open else []
        view = view_words(self.sort, self.reverse, self._wanted_name)
        rating = "rating ..." if self._is_rating and board is not None else ""
        return described(self.choices, board.leaderboard if board else None, judges, view, rating, inks(self.app))

    def _show_row(self, row: BoardRow | None) -> None:
        panel = self.query_one(ModelPanel)
        panel.show(self.board, row, self.choices)
        line = [] if row is None or panel.display else [row_line(row, self.session.state.opponent, inks(self.app))]
        self.query_one("#about-row", TextLines).show(*line)

    def _warnings(self) -> list[str]:
        if self.board is None:
            return [self._problem] if self._problem else []
        return [*phrase_all(self.board.leaderboard.warnings), *early_stop_cautions(self.session.state)]
