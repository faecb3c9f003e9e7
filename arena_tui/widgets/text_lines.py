"""A few lines of our own text above or below the rest of a screen, painted only when they change."""

from __future__ import annotations

from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.widgets.virtual_list import segments


class TextLines(Widget):
    """As many lines as are shown; what does not fit is cut with an ellipsis."""

    DEFAULT_CSS = """
    TextLines { height: 1; padding: 0 1; background: $background; color: $foreground; }
    """

    def __init__(self, *lines: Text, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines

    @property
    def text(self) -> str:
        """What is shown, whole."""
        return "\n".join(line.plain for line in self._lines)

    def show(self, *lines: Text) -> None:
        """Show `lines`, of safe text."""
        if len(lines) != len(self._lines):
            self.styles.height = len(lines)
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self._lines[y].copy() if y < len(self._lines) else Text()
        line.truncate(self.size.width, overflow="ellipsis")
        strip = Strip(segments(line, self.app.console))
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)
