"""The line below the title of every screen: what the run does, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.session.status import StatusPart, fitted_parts
from arena_tui.theme import Inks, inks
from arena_tui.widgets.virtual_list import segments

_SEPARATOR = " · "


class StatusLine(Widget):
    """One line, painted only when it changes."""

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._parts: Sequence[StatusPart] = ()

    def show(self, parts: Sequence[StatusPart]) -> None:
        if list(parts) != list(self._parts):
            self._parts = parts
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, ink = self.size.width, inks(self.app)
        line = Text(_SEPARATOR, ink.muted).join(
            Text(part.text, _style(part, ink)) for part in fitted_parts(self._parts, width, len(_SEPARATOR))
        )
        line.truncate(width, overflow="ellipsis")
        return Strip(segments(line, self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)


def _style(part: StatusPart, ink: Inks) -> Style:
    styles = {"strong": ink.strong, "muted": ink.muted, "good": ink.good, "bad": ink.bad}
    return styles.get(part.tone) or {"warning": ink.warning, "accent": ink.accent}.get(part.tone, Style())
