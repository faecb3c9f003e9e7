"""Pages of text computed in a thread, which the user may leave at any time: audit, study plan."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from arena_tui.advice import phrase, title
from arena_tui.board.choices import BoardChoices
from arena_tui.keys import SCROLLING, bind, leaving
from arena_tui.safe_text import one_line, printable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import Inks, inks
from arena_tui.widgets.lines import TextLines
from arena_tui.widgets.screens import ArenaScreen
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.board.rating import Board
    from engine.auditing.findings import FindingLevel
    from engine.auditing.report import AuditReport
    from engine.ratings.power import StudyPlan


_NARROWEST = 48
Report: TypeAlias = Callable[[str], None]


class GivenUp(Exception):
    """The page is no longer wanted."""


class PageScreen(ArenaScreen):
    """Subclasses compute a result in `find` (in a thread), and format it in `text`."""

    MODE = "leaderboard"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("again", tooltip="Read the files and compute it again"),
        *SCROLLING,
        leaving("Leaderboard"),
    ]
    DEFAULT_CSS = """
    PageScreen VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; overflow-y: scroll; }
    """

    class Advanced(Message):
        """Progress of the computation."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self.found: object = None
        self._given_up = threading.Event()

    def find(self, report: Report) -> object:
        """Compute the result. `report` shows progress, and raises GivenUp if the user has left. Raises ArenaError."""
        raise NotImplementedError

    def text(self, found: object, width: int, ink: Inks) -> Text:
        """Format the result for `width` columns."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        with VerticalScroll():
            yield Static(id="page")

    def on_mount(self) -> None:
        self.focus_page()
        self.action_again()

    def focus_page(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_unmount(self) -> None:
        self._given_up.set()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    def on_page_screen_advanced(self, message: Advanced) -> None:
        if self.found is None:
            self._show_progress(f"{message.text}   Escape cancels")

    def action_again(self) -> None:
        self.found = None
        self._given_up.set()
        self._given_up = threading.Event()
        self._show_progress("reading ...")
        self.clear_page()
        self.attempt(self._find(self._given_up), group="page")

    def action_leave(self) -> None:
        self._given_up.set()
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        for page in self.query(VerticalScroll):
            page.scroll_relative(y=lines, animate=False)

    async def _find(self, given_up: threading.Event) -> None:
        def report(text: str) -> None:
            if given_up.is_set():
                raise GivenUp
            self.post_message(self.Advanced(text))

        try:
            found = await asyncio.to_thread(self.find, report)
        except GivenUp:
            return
        except ArenaError as error:
            self._show_progress("")
            self.show_problem(printable(f"{title(error)}\n\n{phrase(error.hint)}"))
            return
        self.found = found
        self._show()

    def _show_progress(self, text: str) -> None:
        ink = inks(self.app)
        self.query_one("#state", TextLines).show(*([Text(text, ink.warning)] if text else []))

    def _show(self) -> None:
        if self.found is not None:
            self._show_progress("")
            self.show_found(self.found)

    def show_found(self, found: object) -> None:
        """Paint the result."""
        width = max(_NARROWEST, self.query_one(VerticalScroll).scrollable_content_region.width)
        self.query_one("#page", Static).update(self.text(found, width, inks(self.app)))

    def show_problem(self, text: str) -> None:
        """Paint why there is no result."""
        self.query_one("#page", Static).update(Text(text))

    def clear_page(self) -> None:
        self.query_one("#page", Static).update("")


def with_warnings(text: Text, warnings: list[str], ink: Inks) -> Text:
    """Append the warnings to a page."""
    for warning in warnings:
        text.append(f"\n! {one_line(phrase(warning))}\n", ink.warning)
    return text


_REPORT_EVERY = 20  # questions


class AuditScreen(PageScreen):
    """Audits the judges of `choices`."""

    HELP = (
        "Whether the judge can be trusted, by its own labels: does the winner change with the position, does it prefer "
        "long answers, does it punish the wrong language, does it agree with itself and with people? `arena-tui audit` "
        "prints the same; with --probe or --repeat it asks the judge more questions."
    )

    def __init__(self, session: ArenaSession, choices: BoardChoices) -> None:
        super().__init__(session)
        self._choices = choices

    def find(self, report: Report) -> AuditReport:
        from engine.auditing.auditor import Auditor
        from engine.auditing.material import material_of_bench
        from engine.ratings.estimate import RatingOptions

        def count(done: int, of: int) -> None:
            if done % _REPORT_EVERY == 0:
                report(f"languages of the answers: {done} of {of} questions")

        session = self.session
        judges = (self._choices.judge,) if self._choices.judge else tuple(session.config.judge.model)
        choices = self._choices
        material = material_of_bench(
            session.bench,
            session.config,
            judges,
            session.config.judge.pairing.first,
            strict=choices.strict,
            null_games=choices.null_games,
        )
        options = RatingOptions(baseline=material.baseline, weight=self._choices.weight)
        report("counting ...")
        return Auditor(material, options, count).report()

    def text(self, found: object, width: int, ink: Inks) -> Text:
        """Format the page of the command `audit`, with its marks in colour."""
        from arena_tui.output.audit import MARKS, format_audit

        report = cast("AuditReport", found)
        styles: dict[FindingLevel, object] = {
            "good": ink.good,
            "care": ink.warning,
            "bad": ink.bad,
            "unknown": ink.muted,
        }
        text = Text(format_audit(report, "table", width=width), no_wrap=True)
        for level, mark in MARKS.items():
            text.highlight_regex(rf"(?m)^{mark.replace('?', '[?]')}(?= )", styles[level])  # type: ignore[arg-type]
        text.highlight_regex(r"(?m)^.*  --  trust: (yes|with care|no)$", ink.strong + ink.accent)
        return with_warnings(text, report.warnings, ink)


_DIFFERENCES = (2.0, 3.0, 5.0, 10.0)  # points


class StudyScreen(PageScreen):
    """How many questions, calls and minutes a difference needs, with the board as a pilot study."""

    HELP = (
        "How many questions are needed to detect a difference with 80% power, by the variance between the questions of "
        "this bench. Two models on the same questions need fewer. `arena-tui plan` accepts other differences and "
        "another power."
    )

    def __init__(self, session: ArenaSession, board: Board) -> None:
        super().__init__(session)
        self._board = board

    def find(self, report: Report) -> StudyPlan:
        from engine.bench.pace import answering_pace, judging_pace
        from engine.ratings.power import MeasuredPace, plan_study

        judged, bench = self._board.judged, self.session.bench
        report("reading the pace of the bench ...")
        answering = answering_pace(bench.index, bench.models_with_answers())
        pace = MeasuredPace(judging_pace(bench.index, judged.facts.judges), answering)
        return plan_study(judged.battles, self._board.options, judged.facts, _DIFFERENCES, pace=pace)

    def text(self, found: object, width: int, ink: Inks) -> Text:
        from arena_tui.output.power import format_study_plan

        plan = cast("StudyPlan", found)
        return with_warnings(Text(format_study_plan(plan, "table", width=width - 1)), plan.warnings, ink)
