"""The bottom line: the keys that do something here, as many as fit, and always `?` for the rest."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

_GAP = 2
_TYPING = (("⏎", "Done", "enter"), ("esc", "Leave", "escape"))  # all other keys go into the field
_HELP = "?", "Help", "question_mark"


class KeyBar(Widget):
    """Shows the bindings of the screen and of its focused widget that are meant to be shown; a click presses one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        background: $surface;
        color: $foreground;
        & > .key-bar--key { color: $ink-accent; text-style: bold; }
    }
    """

    def __init__(self, *, help: bool = True) -> None:
        """`help` False leaves `?` out, for a screen where it is typed into a field."""
        super().__init__()
        self._ends_with = [_HELP] if help else []
        self._is_typed_into = False
        self._keys: tuple[tuple[str, str, str], ...] = ()  # as shown, what it does, as Textual calls it

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
        """The keys from the left as far as there is room, then `?` as the last of all."""
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
