"""Two models compared, paired by question: the difference with its interval, and how many more questions it needs."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.advice import phrase, phrase_all, title
from arena_tui.board.choices import BoardChoices
from arena_tui.keys import SCROLLING, bind, closing
from arena_tui.output.forest import Scale, terminal_strokes
from arena_tui.safe_text import one_line, printable
from arena_tui.theme import Inks, inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import ArenaScreen
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.board.rating import Board
    from engine.ratings.compare import Comparison, PairComparison


_NAME_COLUMNS = 13
_POINTS = 5.0  # a difference worth detecting


def open_contrast(screen: ArenaScreen, choices: BoardChoices, pair: tuple[str, str] | None) -> None:
    """Open the questions in which the models of a difference differ, if the user wants them."""
    from arena_tui.board.contrast_screen import ContrastScreen

    if pair is not None:
        screen.app.push_screen(ContrastScreen(screen.session, *pair, choices))


class DifferenceScreen(ModalScreen["tuple[str, str] | None"]):
    """Compares `one` minus `other` on the judgments and options of `board`. Returns the pair to read its questions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("reverse", "swap", title="Swap", tooltip="Swap the two models"),
        bind("open", "questions", title="Questions", tooltip="The questions in which they differ, with the answers"),
        bind("copy", tooltip="Copy the verdict or the whole comparison"),
        *closing("difference"),
        *SCROLLING,
    ]

    def __init__(self, board: Board, one: str, other: str, *, provisional: bool = False) -> None:
        super().__init__()
        self.board = board
        self.pair = one, other
        self._provisional = provisional
        self._result: Comparison | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"), VerticalScroll():
            yield Static(Text("comparing ..."), id="result")
        yield KeyBar()

    def on_mount(self) -> None:
        self._compare()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._compare()

    def action_swap(self) -> None:
        self.pair = self.pair[1], self.pair[0]
        self._compare()

    def action_copy(self) -> None:
        from arena_tui.judgments.copying import CopyPart, CopyScreen
        from arena_tui.output.compare import format_comparison
        from arena_tui.output.verdict import pair_words

        if self._result is not None and self._result.pairs:
            verdict = pair_words(self._result.pairs[0])
            whole = format_comparison(self._result, "table")
            self.app.push_screen(
                CopyScreen([CopyPart("the verdict", verdict), CopyPart("the whole comparison", whole)])
            )

    def action_questions(self) -> None:
        self.dismiss(self.pair)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _compare(self) -> None:
        self.run_worker(self._show(), exclusive=True, exit_on_error=False)

    async def _show(self) -> None:
        from engine.ratings.compare import compare

        judged, options = self.board.judged, self.board.options
        try:
            result = await asyncio.to_thread(compare, judged.battles, options, judged.facts, self.pair)
        except ArenaError as error:
            text = Text(printable(f"{title(error)}\n{phrase(error.hint)}"))
        else:
            self._result = result
            width = self.query_one(VerticalScroll).scrollable_content_region.width - 1
            gate = await asyncio.to_thread(_gate_words, self.board, *self.pair)
            text = difference_text(result, width, inks(self.app), gate) if result.pairs else _no_pair(result)
            if self._provisional:
                note = Text("PROVISIONAL: judgments are missing", inks(self.app).warning)
                text = Text("\n\n").join([note, text])
        self.query_one("#result", Static).update(text)


def _gate_words(board: Board, model: str, reference: str) -> str:
    """Describe the margin with which the command `gate` would pass the model; empty if it cannot decide."""
    from engine.ratings.gate import least_margin
    from engine.results import gate_result

    try:
        margin = least_margin(gate_result(board.judged, board.options), model, reference)
    except ArenaError:
        return ""
    needed = f"a margin of {math.ceil(10.0 * margin) / 10.0:.1f} points or more" if margin else "any margin"
    return f"passes with {needed} (not worse, 97.5% sure)"


def difference_text(result: Comparison, width: int, ink: Inks, gate: str = "") -> Text:
    """Return a headline, the interval drawn to scale, and what it rests on; `gate` is the line about the gate."""
    from engine.ratings import ALPHA

    pair = result.pairs[0]
    a, b = one_line(pair.model_a), one_line(pair.model_b)
    is_decided = pair.p_value < ALPHA
    text = Text()
    text.append(a, ink.strong)
    if is_decided:
        word, style = ("better", ink.good) if pair.difference > 0 else ("worse", ink.bad)
        text.append(" is ").append(word, ink.strong + style).append(" than ")
    else:
        text.append(" and ")
    text.append(b, ink.strong)
    text.append("\n" if is_decided else (Text.assemble(": ", ("undecided", ink.warning), "\n")))
    text.append("\n")
    for name, value in (*_facts(pair, result), *([("gate", Text(gate))] if gate else [])):
        text.append(name.ljust(_NAME_COLUMNS), ink.muted).append_text(value).append("\n")
    text.append("\n").append_text(_drawn(pair, max(20, min(width, 66)), ink)).append("\n")
    text.append("\n").append(more_questions(pair, is_decided))
    for warning in result.warnings:
        text.append("\n\n! " + one_line(phrase(warning)), ink.warning)
    return text


def more_questions(pair: PairComparison, is_decided: bool) -> str:
    """Describe how many more questions would decide the pair."""
    from engine.ratings import MINIMUM_QUESTIONS
    from engine.ratings.power import questions_needed

    if pair.questions < MINIMUM_QUESTIONS:
        more = MINIMUM_QUESTIONS - pair.questions
        return f"Limits can be trusted from {MINIMUM_QUESTIONS} questions on: judge at least {more} more."
    spread = pair.std_error * pair.questions**0.5
    if is_decided:
        return f"The {pair.questions} common questions suffice."
    if not spread:
        return "No question decided so far: judge more questions."
    sentences = []
    if abs(pair.difference) > 0.05:
        needed = questions_needed(spread, abs(pair.difference))
        more = max(1, needed - pair.questions)
        sentences.append(
            f"If the true difference is {abs(pair.difference):.1f} points, as estimated, about {more:,} more questions "
            f"would decide this pair (with 80% power)."
        )
    needed = questions_needed(spread, _POINTS)
    if needed > pair.questions:
        sentences.append(f"A difference of {_POINTS:g} points needs {needed - pair.questions:,} more.")
    else:
        sentences.append(f"A difference of {_POINTS:g} points or more would have been detected.")
    return " ".join(sentences)


def _facts(pair: PairComparison, result: Comparison) -> list[tuple[str, Text]]:
    from engine.ratings.paired import DirectGames

    limits = f"[{pair.lower:+.2f}, {pair.upper:+.2f}]"
    narrower = 1.0 - pair.std_error / pair.unpaired_std_error if pair.unpaired_std_error else 0.0
    facts = [
        ("difference", Text.assemble((f"{pair.difference:+.2f}", "bold"), f" points, 95% CI {limits}")),
        ("p-value", Text("<0.0001" if pair.p_value < 0.0001 else f"{pair.p_value:.4f}")),
        ("scores", Text(f"{pair.score_a:.2f} and {pair.score_b:.2f} against {one_line(result.baseline)}")),
        ("questions", Text(f"{pair.questions} in common")),
        ("of those", Text(f"{pair.won:.0f}% won, {pair.tied:.0f}% tied, {pair.lost:.0f}% lost")),
    ]
    if narrower >= 0.005:
        facts.append(("pairing", Text(f"makes the interval {100 * narrower:.0f}% narrower")))
    if isinstance(pair.direct, DirectGames):
        direct = pair.direct
        facts.append(
            (
                "head to head",
                Text(f"{direct.score:.1f} [{direct.lower:.1f}, {direct.upper:.1f}] in {direct.games} games"),
            )
        )
    return facts


def _drawn(pair: PairComparison, columns: int, ink: Inks) -> Text:
    """Return the interval over an axis that contains 0."""
    strokes = terminal_strokes()
    reach = max(abs(pair.lower), abs(pair.upper), 1.0) * 1.1
    scale = Scale(-reach, reach, columns, 0.0)
    style = ink.good if pair.lower > 0 else ink.bad if pair.upper < 0 else ink.bar
    bar = Text(scale.bar(pair.lower, pair.difference, pair.upper, strokes))
    bar.stylize(style, scale.place(pair.lower), scale.place(pair.upper) + 1)
    sides = "worse".ljust(columns // 2) + "better".rjust(columns - columns // 2)
    return Text("\n").join(
        [bar, Text(scale.axis(strokes), ink.muted), Text(scale.numbers(), ink.muted), Text(sides, ink.muted)]
    )


def _no_pair(result: Comparison) -> Text:
    return Text(printable(" ".join(phrase_all(result.warnings))) or "too few questions in common")
