"""Lines around the lists: the title bar, the key bar, and lines of text painted only when they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.widgets.virtual_list import segments


class LineInput(Input):
    """A line to type into, shown on demand. Its styles are in arena.tcss, where they override those of Input."""

    @property
    def is_open(self) -> bool:
        return self.has_class("open")

    def open(self, text: str | None = None) -> None:
        """Show the line with `text`, or with what it contains, and focus it."""
        if text is not None:
            self.value = text
        self.add_class("open")
        self.focus()

    def close(self, *, only_if_empty: bool = False) -> None:
        """Hide the line; with `only_if_empty`, keep it if it contains text."""
        if not (only_if_empty and self.value.strip()):
            self.remove_class("open")


class TextLines(Widget):
    """Lines of text, cut with an ellipsis; the height follows their number."""

    DEFAULT_CSS = """
    TextLines { height: 1; padding: 0 1; background: $background; color: $foreground; }
    """

    def __init__(self, *lines: Text, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines
        self.styles.height = len(lines)

    @property
    def text(self) -> str:
        """The lines, not cut."""
        return "\n".join(line.plain for line in self._lines)

    @property
    def count(self) -> int:
        return len(self._lines)

    def show(self, *lines: Text) -> None:
        """Show `lines` of safe text."""
        if len(lines) != len(self._lines):
            self.styles.height = len(lines)
            self.refresh()
        else:
            for y, (line, before) in enumerate(zip(lines, self._lines, strict=True)):
                if line != before:
                    self.refresh(Region(0, y, self.size.width, 1))
        self._lines = lines

    def render_line(self, y: int) -> Strip:
        line = self._lines[y].copy() if y < len(self._lines) else Text()
        line.truncate(self.size.width, overflow="ellipsis")
        strip = Strip(segments(line, self.app.console))
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)


Tab = tuple[str, str, str]  # key, title, shorter title


class TitleBar(Widget):
    """A title and a notice at the left, the tabs of the screens at the right; the current one is in brackets."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"title-bar--current", "title-bar--notice"}
    DEFAULT_CSS = """
    TitleBar {
        dock: top;
        height: 1;
        background: $panel;
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
        """Show a title and a notice such as SIMULATED or READ-ONLY."""
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
        """Return the tabs with their keys; short ones if long ones would take more than two thirds of the line."""
        for which in (1, 2):
            labels = [(self._label(tab, tab[which]), tab[0]) for tab in self._tabs]
            if sum(text_width(label) + 1 for label, _ in labels) <= self.size.width * 2 // 3:
                break
        return labels

    def _label(self, tab: Tab, title: str) -> str:
        return f"[{tab[0]} {title}]" if tab[0] == self._current else f" {tab[0]} {title} "


_GAP = 2
_TYPING = (("⏎", "Done", "enter"), ("esc", "Leave", "escape"))  # while a field has the focus, which gets all other keys
_HELP = "?", "Help", "question_mark"


class KeyBar(Widget):
    """The visible bindings of the screen and its focused widget, as many as fit, and `?`; a click presses a key."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        background: $panel;
        color: $foreground;
        & > .key-bar--key { color: $ink-accent; text-style: bold; }
    }
    """

    def __init__(self, *, help: bool = True) -> None:
        """Without `help`, `?` is left out, for a screen with fields to type into."""
        super().__init__()
        self._ends_with = [_HELP] if help else []
        self._is_typed_into = False
        self._keys: tuple[tuple[str, str, str], ...] = ()  # display, description, Textual's name

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self._bindings_changed(self.screen)

    def render_line(self, y: int) -> Strip:
        style, key_style = self.rich_style, self.get_component_rich_style("key-bar--key")
        segments = [Segment(" ", style)]
        for shown, description, _ in self._fitting():
            segments += [Segment(shown, key_style), Segment(f" {description}" + " " * _GAP, style)]
        return Strip(segments).adjust_cell_length(self.size.width, style + Style())

    def on_click(self, event: events.Click) -> None:
        at = 1
        for shown, description, key in self._fitting():
            at += len(shown) + 1 + len(description) + _GAP
            if event.x < at:
                self.app.simulate_key(key)
                return

    def _bindings_changed(self, screen: Screen[object]) -> None:
        shown: dict[str, tuple[str, str, str]] = {}
        self._is_typed_into = isinstance(screen.focused, Input)
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.action not in shown:
                shown[binding.action] = self.app.get_key_display(binding), binding.description, binding.key
        keys = _TYPING if self._is_typed_into else tuple(shown.values())
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _fitting(self) -> list[tuple[str, str, str]]:
        """Return the keys that fit, then `?`."""
        ends_with = [] if self._is_typed_into else self._ends_with
        keys = [key for key in self._keys if key[2] != _HELP[2]]
        room = self.size.width - 1 - sum(map(_width, ends_with)) + (_GAP if ends_with else 0)
        fitting = []
        for key in keys:
            room -= _width(key)
            if room < 0:
                break
            fitting.append(key)
        return [*fitting, *ends_with]


def _width(key: tuple[str, str, str]) -> int:
    return len(key[0]) + 1 + len(key[1]) + _GAP
