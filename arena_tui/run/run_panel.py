"""Beside the tables of a run: its speed over time, and the scores so far with their narrowing intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from arena_tui.output.forest import Scale, Strokes, terminal_strokes
from arena_tui.safe_text import one_line, shorten, text_width
from arena_tui.session.history import Moment, RunHistory
from arena_tui.theme import Inks, inks
from arena_tui.widgets.columns import short_number, short_seconds
from arena_tui.widgets.lines import TextLines

if TYPE_CHECKING:
    from engine.ratings.leaderboard import Leaderboard, Row

_BLOCKS = " ▁▂▃▄▅▆▇█"
_SPANS = (5.0, 10.0, 25.0, 50.0)  # points to both sides of the middle
_LEAST_NAME, _LEAST_BAR = 8, 15  # columns


class RunPanel(Vertical):
    """Calls and tokens a second, latency, and a forest plot. Hidden on narrow terminals."""

    DEFAULT_CSS = """
    RunPanel {
        #history { padding: 0; }
        #scores { padding: 0; margin-top: 1; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="detail")
        self._strokes = terminal_strokes()

    def compose(self) -> ComposeResult:
        yield TextLines(id="history")
        yield TextLines(id="scores")

    def show(self, history: RunHistory, board: Leaderboard | None, *, is_final: bool) -> None:
        """Show the history of a run, and its leaderboard so far."""
        if not self.display:
            return
        width, ink = max(20, self.size.width - 1), inks(self.app)
        lines = history_lines(history.moments(width), ink)
        self.query_one("#history", TextLines).show(*lines)
        room = self.size.height - len(lines) - 1
        title = Text("scores" if is_final else "scores so far", ink.strong + ink.accent)
        rows, baseline = (board.rows, board.baseline) if board is not None else ((), "")
        scores = score_lines(rows, baseline, width, room - 1, self._strokes, ink)
        self.query_one("#scores", TextLines).show(title, *scores)


def history_lines(moments: Sequence[Moment], ink: Inks) -> list[Text]:
    """Return three sparklines, each with a line of numbers above it."""
    if not any(moment.calls for moment in moments):
        return [Text("speed", ink.strong + ink.accent), Text("drawn here once calls end", ink.muted)]
    calls, tokens = [moment.calls for moment in moments], [moment.tokens for moment in moments]
    seconds = [moment.latency or 0.0 for moment in moments]
    lines: list[Text] = []
    for name, values, words in (
        ("calls/s", calls, short_number),
        ("tokens/s", tokens, short_number),
        ("latency", seconds, short_seconds),
    ):
        now = next((value for value in reversed(values) if value), 0.0)
        numbers = Text.assemble((name, ink.strong + ink.accent), "  ", (words(now), ink.strong))
        lines.append(numbers.append(f"  most {words(max(values))}", ink.muted))
        lines += (Text(line, ink.bar) for line in sparkline(values))
    return lines


def sparkline(values: Sequence[float]) -> tuple[str, str]:
    """Return two lines of blocks, one above the other, as high as the values; the greatest fills both."""
    most = max(values, default=0.0)
    levels = [max(1, round(16 * value / most)) if value else 0 for value in values]
    return (
        "".join(_BLOCKS[max(0, level - 8)] for level in levels),
        "".join(_BLOCKS[min(8, level)] for level in levels),
    )


def score_lines(rows: Sequence[Row], baseline: str, width: int, room: int, strokes: Strokes, ink: Inks) -> list[Text]:
    """Return a forest plot of at most `room` lines. The scale changes in few steps, so that intervals narrow on it."""
    if not rows:
        return [Text("drawn here after the first judgments", ink.muted)]
    lines: list[Text] = []
    shown = list(rows[: max(1, room - 3 if len(rows) > room - 2 else len(rows))])
    middle = next((row.score for row in rows if row.model == baseline), 50.0)
    name = max(_LEAST_NAME, min(max(text_width(one_line(row.model)) for row in shown), width - _LEAST_BAR - 7))
    reach = max(abs(limit - middle) for row in shown for limit in (row.lower, row.upper))
    span = next((span for span in _SPANS if reach <= span), _SPANS[-1])
    scale = Scale(max(0.0, middle - span), min(100.0, middle + span), width - name - 7, middle)
    for row in shown:
        label = shorten(one_line(row.model), name)
        line = Text(label + " " * (name - text_width(label) + 1))
        style = ink.good if row.lower > middle else ink.bad if row.upper < middle else ink.bar
        bar = Text(scale.bar(row.lower, row.score, row.upper, strokes), ink.muted)
        if row.model != baseline:
            bar.stylize(style, scale.place(row.lower), scale.place(row.upper) + 1)
        lines.append(line.append_text(bar).append(f" {row.score:5.1f}"))
    indent = " " * (name + 1)
    lines += [Text(indent + scale.axis(strokes), ink.muted), Text(indent + scale.numbers(), ink.muted)]
    if len(shown) < len(rows):
        lines.append(Text(f"{len(rows) - len(shown)} more: 2", ink.muted))
    return lines
