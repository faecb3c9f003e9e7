"""The judge's page: whether it can be trusted for this bench, in words; worked out in a thread while one may leave."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from arena_tui.board.choices import BoardChoices
from arena_tui.safe_text import printable
from arena_tui.screens.base import ArenaScreen
from arena_tui.theme import Inks, inks
from arena_tui.widgets.text_lines import TextLines
from engine.errors import ArenaError

if TYPE_CHECKING:
    from engine.ratings.audit.report import AuditReport, Level
    from engine.ratings.estimate import RatingOptions

_NARROWEST = 48
_TOLD_EVERY = 20  # questions


class _GivenUp(Exception):
    """Nobody waits for the audit any more."""


class AuditScreen(ArenaScreen):
    """Audits the judges that `choices` name, with their weight of strong verdicts; Escape goes back."""

    MODE = "leaderboard"
    HELP = (
        "What the judge's own verdicts tell of it: does the winner change with the places, does it like long answers, "
        "does it mind the wrong language, does it agree with itself and with people? `arena-tui audit` tells the same, "
        "and with --probe or --repeat asks the judge more."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Again", tooltip="Read the files and audit once more"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("escape,backspace", "leave", "Leaderboard"),
    ]
    DEFAULT_CSS = """
    AuditScreen VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; overflow-y: scroll; }
    """

    class Progress(Message):
        """How far the audit is."""

        def __init__(self, told: str) -> None:
            super().__init__()
            self.told = told

    def __init__(self, choices: BoardChoices) -> None:
        super().__init__()
        self.report: AuditReport | None = None
        self._choices = choices
        self._given_up = threading.Event()

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        with VerticalScroll():
            yield Static(id="page")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.action_again()

    def on_unmount(self) -> None:
        self._given_up.set()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    def on_audit_screen_progress(self, message: Progress) -> None:
        if self.report is None:
            self._tell(f"{message.told}   Escape goes back and gives it up")

    def action_again(self) -> None:
        self.report = None
        self._given_up.set()
        self._given_up = threading.Event()
        self._tell("reading the judgments and answers ...")
        self.query_one("#page", Static).update("")
        self.attempt(self._audit(self._given_up), group="audit")

    def action_leave(self) -> None:
        self._given_up.set()
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    async def _audit(self, given_up: threading.Event) -> None:
        from engine.ratings.estimate import RatingOptions

        baseline = self.session.config.judge.baseline
        options = RatingOptions(baseline=baseline, weight=self._choices.weight)
        try:
            report = await asyncio.to_thread(self._report, options, given_up)
        except _GivenUp:
            return
        except ArenaError as error:
            self._tell("")
            self.query_one("#page", Static).update(Text(printable(f"{error.title}\n\n{error.hint}")))
            return
        self.report = report
        self._show()

    def _report(self, options: RatingOptions, given_up: threading.Event) -> AuditReport:
        from engine.audit.material import material_of_bench
        from engine.audit.report import Auditor

        def tell(done: int, of: int) -> None:
            if given_up.is_set():
                raise _GivenUp
            if done % _TOLD_EVERY == 0:
                self.post_message(self.Progress(f"languages of the answers: {done} of {of} questions"))

        session = self.session
        judges = (self._choices.judge,) if self._choices.judge else tuple(session.config.judge.model)
        material = material_of_bench(session.bench, session.config, judges, options.baseline)
        tell(0, len(material.battles.questions))
        return Auditor(material, options, tell).report()

    def _tell(self, told: str) -> None:
        ink = inks(self.app)
        self.query_one("#state", TextLines).show(*([Text(told, ink.warning)] if told else []))

    def _show(self) -> None:
        if self.report is None:
            return
        width = max(_NARROWEST, self.query_one(VerticalScroll).scrollable_content_region.width)
        self._tell("")
        self.query_one("#page", Static).update(page(self.report, width, inks(self.app)))


def page(report: AuditReport, width: int, ink: Inks) -> Text:
    """The command's own page, with its marks in colour and the cautions about it at the end."""
    from arena_tui.audit_output import MARKS, format_audit

    styles: dict[Level, object] = {"good": ink.good, "care": ink.warning, "bad": ink.bad, "unknown": ink.muted}
    text = Text(format_audit(report, "table", width=width), no_wrap=True)
    for level, mark in MARKS.items():
        text.highlight_regex(rf"(?m)^{mark.replace('?', '[?]')}(?= )", styles[level])  # type: ignore[arg-type]
    text.highlight_regex(r"(?m)^.*  --  trust: (yes|with care|no)$", ink.strong + ink.accent)
    for warning in report.warnings:
        text.append(f"! {printable(warning)}\n", ink.warning)
    return text
