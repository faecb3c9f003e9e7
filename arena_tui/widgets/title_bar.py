"""The top line: which bench, what is going on, and the screens with their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.safe_text import clip, one_line, text_width

Tab = tuple[str, str, str]  # key, title, shorter title


class TitleBar(Widget):
    """`show` says what stands at the left; the tab of the screen that is shown stands in brackets."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"title-bar--current", "title-bar--notice"}
    DEFAULT_CSS = """
    TitleBar {
        dock: top;
        height: 1;
        background: $surface;
        color: $foreground;
        & > .title-bar--current { color: $ink-accent; text-style: bold; }
        & > .title-bar--notice { color: $ink-warning; text-style: bold; }
    }
    """

    def __init__(self, tabs: Sequence[Tab], current: str) -> None:
        super().__init__()
        self._tabs = tabs
        self._current = current  # its key
        self._title = ""
        self._notice = ""

    def show(self, title: str, notice: str = "") -> None:
        """`title` is what is shown, `notice` what must not be overlooked (such as SIMULATED or READ-ONLY)."""
        if (title, notice) != (self._title, self._notice):
            self._title, self._notice = title, notice
            self.refresh()

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        tabs = self._labels()
        right = sum(text_width(label) + 1 for label, _ in tabs)
        room = max(0, self.size.width - right - 2)
        notice = clip(self._notice, room)
        title = clip(one_line(self._title), max(0, room - text_width(notice) - 2))
        gap = self.size.width - 1 - text_width(title) - text_width(notice) - right - (2 if notice else 0)
        segments = [Segment(" ", style), Segment(title, style + Style(bold=True))]
        if notice:
            segments += [Segment("  ", style), Segment(notice, self.get_component_rich_style("title-bar--notice"))]
        segments.append(Segment(" " * max(0, gap), style))
        current = self.get_component_rich_style("title-bar--current")
        for label, key in tabs:
            segments += [Segment(label, current if key == self._current else style), Segment(" ", style)]
        return Strip(segments).adjust_cell_length(self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        at = self.size.width
        for label, key in reversed(self._labels()):
            at -= text_width(label) + 1
            if event.x >= at:
                self.app.simulate_key(key)
                return

    def _labels(self) -> list[tuple[str, str]]:
        """The tabs with their keys, short ones where the long ones would take more than two thirds of the line."""
        for which in (1, 2):
            labels = [(self._label(tab, tab[which]), tab[0]) for tab in self._tabs]
            if sum(text_width(label) + 1 for label, _ in labels) <= self.size.width * 2 // 3:
                break
        return labels

    def _label(self, tab: Tab, title: str) -> str:
        return f"[{tab[0]} {title}]" if tab[0] == self._current else f" {tab[0]} {title} "
