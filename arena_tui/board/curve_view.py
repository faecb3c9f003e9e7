"""The plot of a curve with a cursor on one checkpoint."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.keys import bind
from arena_tui.output.curve_plot import ASCII_MARKS, UNICODE_MARKS, Part, Run, curve_plot, legend, nearest
from arena_tui.output.forest import ASCII, terminal_strokes
from arena_tui.theme import inks
from engine.ratings.curve_result import Curve, CurvePoint

_BELOW = 4  # lines under the plot: axis, numbers, cursor, legend
_FEWEST_ROWS = 5


class CurveView(Widget, can_focus=True, inherit_bindings=False):
    """Draws a curve as large as it is given room, and moves a cursor over its checkpoints."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "select", title="Model", tooltip="The page of this checkpoint"),
        bind("previous_item", "move(-1)", title="Step before", tooltip="Step before"),
        bind("next_item", "move(1)", title="Next step", tooltip="Next step"),
        bind("first", "move(-1000000)", show=False),
        bind("last", "move(1000000)", show=False),
    ]
    DEFAULT_CSS = """
    CurveView { width: 1fr; height: 1fr; padding: 0 1; background: $background; color: $foreground; }
    """

    class PointChanged(Message):
        """The cursor is on another checkpoint."""

    class PointSelected(Message):
        """Enter, or a click on the checkpoint under the cursor."""

        def __init__(self, model: str) -> None:
            super().__init__()
            self.model = model

    def __init__(self) -> None:
        super().__init__(id="curve")
        self._curve: Curve | None = None
        self._model = ""  # under the cursor
        self._lines: list[list[Run]] = []

    @property
    def point(self) -> CurvePoint | None:
        """The checkpoint under the cursor."""
        return None if self._curve is None else next(p for p in self._curve.points if p.model == self._model)

    def show(self, curve: Curve | None) -> None:
        """Show a curve; the cursor stays on its checkpoint, or goes to the one to keep."""
        self._curve = curve
        if curve is not None and self._model not in {point.model for point in curve.points}:
            self._model = curve.keep.model
        self._moved()

    def action_move(self, steps: int) -> None:
        if self._curve is not None:
            models = [point.model for point in self._curve.points]
            self._model = models[max(0, min(len(models) - 1, models.index(self._model) + steps))]
            self._moved()

    def action_select(self) -> None:
        if self._curve is not None:
            self.post_message(self.PointSelected(self._model))

    def on_click(self, event: events.Click) -> None:
        if self._curve is not None:
            point = nearest(self._curve, self.content_size.width, event.x - 1)
            if point.model == self._model:
                self.action_select()
            self._model = point.model
            self._moved()

    def on_resize(self) -> None:
        self._draw()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if not self._lines or y >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        styles = self._styles()
        segments = [Segment(text, styles[part]) for text, part in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _styles(self) -> dict[Part, Style]:
        ink = inks(self.app)
        cursor = ink.accent + ink.strong if self.has_focus else ink.muted
        return {
            "axis": ink.muted,
            "even": ink.muted,
            "band": ink.bar,
            "best": ink.good + ink.strong,
            "possible": ink.strong,
            "excluded": ink.muted,
            "cursor": cursor,
        }

    def _moved(self) -> None:
        self._draw()
        self.post_message(self.PointChanged())

    def _draw(self) -> None:
        width, height = self.content_size
        marks = ASCII_MARKS if terminal_strokes() is ASCII else UNICODE_MARKS
        if self._curve is None or not width:
            self._lines = []
        else:
            rows = max(_FEWEST_ROWS, height - _BELOW)
            self._lines = [*curve_plot(self._curve, width, rows, marks=marks, cursor=self._model), legend(marks, width)]
        self.refresh()
