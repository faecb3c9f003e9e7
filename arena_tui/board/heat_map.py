"""All pairs of models as a map: a row and a column for each model, the difference in points where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from arena_tui.keys import bind
from arena_tui.safe_text import one_line, shorten, text_width
from arena_tui.theme import inks
from engine.ratings import ALPHA
from engine.ratings.compare import PairComparison

CELL = 5  # columns
_NUMBER = 4  # columns before a name
_LEAST_NAME, _MOST_NAME = 8, 26
_STEPS = (0.0, 40.0)  # points, from which a colour is deeper
Shades: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
# Colours of the xterm cube: the same with 256 colours. With two colours, the sign and the mark of undecided stay.
_DARK: Shades = ("#005f00", "#008700"), ("#5f0000", "#870000")
_LIGHT: Shades = ("#d7ffd7", "#87ff87"), ("#ffd7d7", "#ff8787")
_INK = {True: "#ffffff", False: "#000000"}


class Met(NamedTuple):
    """The comparison of the models of a row and a column; `sign` is -1 if it was made the other way round."""

    pair: PairComparison
    sign: int

    @property
    def difference(self) -> float:
        return self.sign * self.pair.difference

    @property
    def is_decided(self) -> bool:
        """Whether the difference holds for all pairs together."""
        return self.pair.p_holm < ALPHA


class HeatMap(ScrollView, can_focus=True, inherit_bindings=False):
    """The map with a cursor on one pair. Positive and green: the model of the row is better."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "select", title="Difference", tooltip="Compare these two models"),
        bind("up", "move(-1, 0)", show=False),
        bind("down", "move(1, 0)", show=False),
        bind("previous_item", "move(0, -1)", title="Left", tooltip="Model before", show=False),
        bind("next_item", "move(0, 1)", title="Right", tooltip="Next model", show=False),
        bind("first", "move(-100000, 0)", show=False),
        bind("last", "move(100000, 0)", show=False),
    ]
    DEFAULT_CSS = """
    HeatMap { height: 1fr; scrollbar-size: 1 1; background: $background; color: $foreground; }
    """

    class PairChanged(Message):
        """The cursor is on another pair."""

        def __init__(self, met: Met | None) -> None:
            super().__init__()
            self.met = met

    class PairSelected(Message):
        """Enter or a click on the pair under the cursor."""

        def __init__(self, one: str, other: str) -> None:
            super().__init__()
            self.one = one
            self.other = other

    def __init__(self) -> None:
        super().__init__(id="heat-map")
        self._models: Sequence[str] = ()
        self._pairs: dict[tuple[str, str], Met] = {}
        self.at = (0, 1)  # row and column of the cursor

    def show(self, models: Sequence[str], pairs: Sequence[PairComparison]) -> None:
        """Show `models` in their order."""
        self._models = models
        self._pairs = {(pair.model_a, pair.model_b): Met(pair, 1) for pair in pairs}
        self._pairs |= {(pair.model_b, pair.model_a): Met(pair, -1) for pair in pairs}
        self.virtual_size = Size(self._name_width + CELL * len(models), len(models) + 1)
        self.refresh()
        self._moved()

    @property
    def met(self) -> Met | None:
        """The pair under the cursor."""
        row, column = self.at
        if max(row, column) >= len(self._models):
            return None
        return self._pairs.get((self._models[row], self._models[column]))

    def action_move(self, rows: int, columns: int) -> None:
        last = max(0, len(self._models) - 1)
        self.at = max(0, min(last, self.at[0] + rows)), max(0, min(last, self.at[1] + columns))
        self._keep_in_view()
        self._moved()

    def action_select(self) -> None:
        if self.met is not None:
            self.post_message(self.PairSelected(self._models[self.at[0]], self._models[self.at[1]]))

    def on_click(self, event: events.Click) -> None:
        row = event.y - 1 + self.scroll_offset.y
        column = (event.x - self._name_width + self.scroll_offset.x) // CELL
        if event.y and event.x >= self._name_width and row < len(self._models) and column < len(self._models):
            if (row, column) == self.at:
                self.action_select()
            self.at = row, column
            self._moved()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return the numbers of the columns, or a model with its differences; names stay while columns scroll."""
        first = self.scroll_offset.x // CELL
        shown = max(1, (self.size.width - self._name_width) // CELL)
        columns = range(first, min(len(self._models), first + shown))
        ink = inks(self.app)
        row = y - 1 + self.scroll_offset.y
        if y == 0:
            titles = "".join(str(column + 1).rjust(CELL - 1) + " " for column in columns)
            segments = [Segment(" " * self._name_width + titles, ink.muted)]
        elif row < len(self._models):
            name = shorten(one_line(self._models[row]), self._name_width - _NUMBER - 1)
            blanks = " " * (self._name_width - _NUMBER - text_width(name))
            style = ink.strong if row == self.at[0] else None
            segments = [Segment(f"{row + 1:>{_NUMBER - 1}} ", ink.muted), Segment(name + blanks, style)]
            segments += [self._cell(row, column) for column in columns]
        else:
            segments = []
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _cell(self, row: int, column: int) -> Segment:
        ink = inks(self.app)
        met = self._pairs.get((self._models[row], self._models[column]))
        cursor = Style(reverse=True) if (row, column) == self.at and self.has_focus else Style.null()
        if met is None:
            return Segment(("·" if row == column else "-").rjust(CELL - 1) + " ", ink.muted + cursor)
        points = f"{met.difference:+.0f}" if abs(met.difference) >= 0.5 else "0"
        if not met.is_decided:
            return Segment(f"~{points}".rjust(CELL - 1) + " ", ink.muted + cursor)
        return Segment(points.rjust(CELL - 1) + " ", self._shade(met.difference) + cursor)

    def _shade(self, difference: float) -> Style:
        ink = inks(self.app)
        theme = self.app.current_theme
        if self.app.no_color or theme.name.endswith("contrast"):
            return ink.strong + (ink.good if difference > 0 else ink.bad)
        better, worse = _DARK if theme.dark else _LIGHT
        step = sum(abs(difference) >= least for least in _STEPS) - 1
        colour = (better if difference > 0 else worse)[step]
        return Style(color=_INK[theme.dark], bgcolor=colour, bold=True)

    @property
    def _name_width(self) -> int:
        longest = max((text_width(one_line(name)) for name in self._models), default=0)
        return _NUMBER + max(_LEAST_NAME, min(longest, _MOST_NAME, self.size.width // 3)) + 1

    def _moved(self) -> None:
        self.refresh()
        self.post_message(self.PairChanged(self.met))

    def _keep_in_view(self) -> None:
        row, column = self.at
        top, left = self.scroll_offset.y, self.scroll_offset.x // CELL
        rows = max(1, self.size.height - 1)
        columns = max(1, (self.size.width - self._name_width) // CELL)
        y = row if row < top else row - rows + 1 if row >= top + rows else top
        x = column if column < left else column - columns + 1 if column >= left + columns else left
        self.scroll_to(x=x * CELL, y=y, animate=False, immediate=True, force=True)
