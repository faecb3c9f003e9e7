"""The curve of a training: what it shows in words, the plot, and the checkpoint under the cursor; it follows a run."""

from __future__ import annotations

import asyncio
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from arena_tui.advice import phrase, phrase_all, title
from arena_tui.board.choices import BoardChoices
from arena_tui.board.curve_view import CurveView
from arena_tui.keys import bind, leaving
from arena_tui.output.curve_words import curve_words, step_words, title_words
from arena_tui.safe_text import one_line, shorten
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import Inks, inks
from arena_tui.widgets.lines import TextLines
from arena_tui.widgets.screens import ArenaScreen, Pacer
from engine.errors import ArenaError, as_line
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.ratings.curve_result import Curve, CurvePoint, CurveReport
    from engine.results import JudgedBench

MARGINS = (2.0, 3.0, 5.0, 1.0)
_FEWEST_PLOT_LINES = 15  # of the plot and what belongs to it, as far as briefer words make room


class CurveScreen(ArenaScreen):
    """Draws the curves of the trainings of the bench, again whenever there are more judgments."""

    MODE = "leaderboard"
    HELP = (
        "Scores of the checkpoints of a training over its steps. The bands hold for all steps at once, with 95% "
        "confidence. `No further improvement` is a test: every later step is shown to be better by less than the "
        "margin, at most. Steps with a hollow mark are surely worse than another one. During a run the numbers are "
        "provisional; * marks steps of which a stop rule ended judging. `arena-tui curve` prints the same."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("next_list", "next_training(1)", title="Next training", tooltip="The curve of the next training"),
        bind("previous_list", "next_training(-1)", tooltip="The curve of the training before", show=False),
        bind("options", "next_margin", title="Margin", tooltip="An improvement is one of more points than this"),
        bind("warnings", "notes"),
        bind("again", tooltip="Read the files and draw it again", show=False),
        leaving("Leaderboard"),
    ]
    DEFAULT_CSS = """
    CurveScreen #about-point { padding: 0; }
    """

    def __init__(self, session: ArenaSession, choices: BoardChoices) -> None:
        super().__init__(session)
        self.margin = MARGINS[0]
        self.found: CurveReport | None = None
        self._choices = choices
        self._problem = ""
        self._series = ""  # the training that is shown
        self._pacer = Pacer()
        self._due: Timer | None = None
        self._read_moment: tuple[object, ...] = ()
        self._is_reading = False
        self._is_wanted = False

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="state")
        with Horizontal(classes="master-detail"):
            yield CurveView()
            with Vertical(classes="detail"):
                yield TextLines(id="about-point")
        yield TextLines(id="point")

    def on_mount(self) -> None:
        self.query_one(CurveView).focus()
        self._show()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    @property
    def curve(self) -> Curve | None:
        """The curve that is shown."""
        if self.found is None:
            return None
        return next((each for each in self.found.curves if each.series == self._series), self.found.curves[0])

    # -- reading

    def show_state(self, state: RunState) -> None:
        judged = sum(task.done + task.cached for key, task in state.tasks.items() if key.stage == "judgments")
        moment = judged, state.phase
        if self.session.is_open and moment != self._read_moment:
            if (wait := self._pacer.wait()) <= 0:
                self._read_moment = moment
                self.action_again()
            elif self._due is None:
                self._due = self.set_timer(wait, self._read_when_due)

    def _read_when_due(self) -> None:
        self._due = None
        if self.is_current:
            self.show_state(self.session.state)

    def action_again(self) -> None:
        """Read and draw; while that is in progress, once more afterwards."""
        self._pacer.start()
        self._is_wanted = True
        if not self._is_reading:
            self._is_reading = True
            self.attempt(self._read_as_wanted(), group="curve")

    async def _read_as_wanted(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                await self._pacer.measure(self._read)
        finally:
            self._is_reading = False
            self._show()

    async def _read(self) -> None:
        choices = self._choices
        try:
            judged = await self.session.judged((choices.judge,) if choices.judge else None, strict=choices.strict)
            self.found, self._problem = await asyncio.to_thread(self._curves, judged), ""
        except ArenaError as error:
            self.found, self._problem = None, as_line(title(error), phrase(error.hint))
        self._show()

    def _curves(self, judged: JudgedBench) -> CurveReport:
        from arena_tui.board.rating import narrowed
        from engine.api import JudgedSource
        from engine.training_curves import curves

        choices, session = self._choices, self.session
        judged = judged.with_null_games(choices.null_games)
        used = narrowed(judged, choices.group) if choices.group else judged
        source = JudgedSource(
            replace(used, warnings=phrase_all(used.warnings)),
            used.facts.baselines[0],
            choices.weight,
            session.bench,
            session.bench,
        )
        return curves(
            source,
            config=session.config,
            margin=self.margin,
            soft=choices.soft,
            first_game_only=choices.first_game_only,
        )

    # -- choosing

    def action_next_training(self, step: int) -> None:
        if self.found is not None and self.curve is not None:
            names = [each.series for each in self.found.curves]
            self._series = names[(names.index(self.curve.series) + step) % len(names)]
            self._show()

    def action_next_margin(self) -> None:
        self.margin = MARGINS[(MARGINS.index(self.margin) + 1) % len(MARGINS)]
        self.action_again()

    def action_notes(self) -> None:
        from arena_tui.widgets.dialogs import DetailsScreen

        text = "\n\n".join(f"! {one_line(each)}" for each in self._warnings()) or "No warnings about these numbers."
        self.app.push_screen(DetailsScreen("Warnings about these numbers", [], text))

    def action_leave(self) -> None:
        self.dismiss()

    def on_curve_view_point_changed(self) -> None:
        self._show_point()

    def on_curve_view_point_selected(self, message: CurveView.PointSelected) -> None:
        from arena_tui.board.model_screen import ModelScreen

        point = self.query_one(CurveView).point
        if point is not None and not point.questions:
            self.report("the baseline has no page: the page of each model shows its games against it")
            return
        self.app.push_screen(ModelScreen(self.session, message.model, self._choices))

    # -- painting

    def _warnings(self) -> list[str]:
        if self.found is None or self.curve is None:
            return [self._problem] if self._problem else []
        return [*phrase_all(self.found.warnings), *self.curve.warnings]

    def _show(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#state", TextLines).show(*self._lines())
        self.query_one(CurveView).show(self.curve)
        self._show_point()

    def _lines(self) -> list[Text]:
        """Return what the curve shows, in words, as far as the plot keeps room."""
        ink, curve = inks(self.app), self.curve
        if curve is None:
            return [Text(self._problem, ink.warning) if self._problem else Text("reading ...", ink.muted)]
        room = max(3, self.size.height - 5 - _FEWEST_PLOT_LINES)
        lines = self._words(curve, brief=False)
        lines = lines if len(lines) <= room else self._words(curve, brief=True)
        return [*lines, Text(self._described(curve), ink.muted)]

    def _words(self, curve: Curve, *, brief: bool) -> list[Text]:
        ink, width, lines = inks(self.app), max(40, self.size.width - 2), []
        for at, sentence in enumerate(curve_words(curve, brief=brief)):
            words = f"provisional: {sentence}" if at == 0 and self.session.is_running else sentence
            wrapped = textwrap.wrap(words, width, subsequent_indent="  ")
            lines += [Text(line, ink.strong if at == 0 else "") for line in wrapped]
        return lines

    def _described(self, curve: Curve) -> str:
        assert self.found is not None
        count = len(self.found.curves)
        place = [each.series for each in self.found.curves].index(curve.series) + 1
        parts = [title_words(curve), f"against {one_line(self.found.baseline)}"]
        parts += [f"training {place} of {count} (Tab)"] if count > 1 else []
        warnings = len(self._warnings())
        parts += [f"{warnings} warning{'s' if warnings > 1 else ''} (!)"] if warnings else []
        return " · ".join(parts)

    def _show_point(self) -> None:
        view, ink = self.query_one(CurveView), inks(self.app)
        point, curve = view.point, self.curve
        detail = self.query_one("#about-point", TextLines)
        is_beside = self.query_one(".detail", Vertical).display
        if point is None or curve is None:
            detail.show()
            self.query_one("#point", TextLines).show()
            return
        facts = point_lines(point, curve, ink, max(20, detail.size.width or 44))
        detail.show(*facts)
        short = Text(" · ").join(line for line in facts[1:4] if line.plain)
        line = Text.assemble((f"step {step_words(point.step)}  ", ink.strong), short)
        self.query_one("#point", TextLines).show(*([] if is_beside else [line]))


def point_lines(point: CurvePoint, curve: Curve, ink: Inks, width: int) -> list[Text]:
    """Return the lines about one checkpoint: name, score, gain, whether it can be the best, what they rest on."""
    early = "*" if point.limits == "any time" else ""
    score = Text.assemble((f"{point.score:.1f}", ink.strong), f" [{point.lower:.1f}, {point.upper:.1f}]{early}")
    lines = [
        Text(shorten(one_line(f"step {step_words(point.step)}  {point.model}"), width), ink.strong + ink.accent),
        score,
    ]
    if (gain := point.gain) is None:
        lines.append(Text("the first step", ink.muted))
    else:
        style = {"better": ink.good, "worse": ink.bad, "undecided": ink.muted}[gain.verdict]
        numbers = f"{gain.difference:+.1f} [{gain.lower:.1f}, {gain.upper:.1f}] over step {step_words(gain.over)}: "
        lines.append(Text.assemble(numbers, (gain.verdict, style)))
    if point.model == curve.keep.model:
        standing = Text("keep", ink.good)
    else:
        standing = Text("can be the best" if point.can_be_best else "surely not the best", ink.muted)
    lines.append(standing)
    lines += [
        Text(),
        Text(f"{point.questions:,} questions", ink.muted),
        Text(f"highest in {point.first_share:.0%} of question sets", ink.muted),
    ]
    if gain is not None and gain.p_value is not None:
        lines.append(Text(f"p {gain.p_value:.4f}, adjusted for all steps", ink.muted))
    if early:
        lines.append(Text("* stopped early: limits at every look", ink.warning))
    return lines
