"""The themes, and the styles that self-painting widgets use. Colour is never the only signal.

SSH does not forward COLORTERM, so many terminals are painted with 256 colours. One palette serves both depths: inks are
colours of the xterm cube, and backgrounds are greys tinted so little (saturation below 0.15) that rich maps them to
the grey ramp instead of the cube, in which they would turn black or navy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.filter import LineFilter
from textual.theme import Theme

from arena_tui.safe_text import is_harmless, printable

if TYPE_CHECKING:
    from textual.app import App

DARK, LIGHT, CONTRAST = "arena-dark", "arena-light", "arena-contrast"

THEMES = (
    Theme(
        name=DARK,
        dark=True,
        primary="#5fafff",
        secondary="#af87ff",
        accent="#ffd75f",
        success="#5fd787",
        warning="#ffd75f",
        error="#ff5f5f",
        foreground="#dadce0",
        background="#121418",
        surface="#1a1d21",
        panel="#262a30",
        variables={
            "ink-muted": "#8f97a3",
            "ink-good": "#5fd787",
            "ink-bad": "#ff8787",
            "ink-warning": "#ffd75f",
            "ink-accent": "#5fafff",
            "ink-bar": "#5f87d7",
            "row-cursor": "#343b45",
            "block-cursor-blurred-background": "#343b45",
            "input-selection-background": "#4b535f",
            "block-cursor-background": "#5fafff",
            "block-cursor-foreground": "#121418",
            "border": "#5fafff",
            "border-blurred": "#343b45",
            "footer-background": "#262a30",
            "scrollbar": "#4b535f",
            "scrollbar-hover": "#5f87d7",
            "scrollbar-active": "#5fafff",
            "scrollbar-background": "#1a1d21",
            "scrollbar-background-hover": "#1a1d21",
            "scrollbar-background-active": "#1a1d21",
        },
    ),
    Theme(
        name=LIGHT,
        dark=False,
        primary="#005faf",
        secondary="#5f5fd7",
        accent="#875f00",
        success="#005f00",
        warning="#875f00",
        error="#af0000",
        foreground="#1b1e22",
        background="#ffffff",
        surface="#f0f0ee",
        panel="#e2e3e0",
        variables={
            "ink-muted": "#5f656d",
            "ink-good": "#005f00",
            "ink-bad": "#af0000",
            "ink-warning": "#875f00",
            "ink-accent": "#005faf",
            "ink-bar": "#5f87d7",
            "row-cursor": "#cdd2d9",
            "block-cursor-blurred-background": "#cdd2d9",
            "input-selection-background": "#b6bac0",
            "block-cursor-background": "#005faf",
            "block-cursor-foreground": "#ffffff",
            "border": "#005faf",
            "border-blurred": "#b6bac0",
            "footer-background": "#e2e3e0",
            "scrollbar": "#b6bac0",
            "scrollbar-hover": "#5f87d7",
            "scrollbar-active": "#005faf",
            "scrollbar-background": "#f0f0ee",
            "scrollbar-background-hover": "#f0f0ee",
            "scrollbar-background-active": "#f0f0ee",
        },
    ),
    Theme(
        name=CONTRAST,
        dark=True,
        primary="#ffff00",
        secondary="#00ffff",
        accent="#00ffff",
        success="#00ff5f",
        warning="#ffff00",
        error="#ff8787",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        variables={
            "ink-muted": "#dadada",
            "ink-good": "#00ff5f",
            "ink-bad": "#ff8787",
            "ink-warning": "#ffff00",
            "ink-accent": "#00ffff",
            "ink-bar": "#ffffff",
            "row-cursor": "#303030",
            "block-cursor-blurred-background": "#303030",
            "input-selection-background": "#4e4e4e",
            "block-cursor-background": "#ffff00",
            "block-cursor-foreground": "#000000",
            "border": "#ffffff",
            "border-blurred": "#dadada",
            "footer-background": "#000000",
            "scrollbar": "#ffffff",
            "scrollbar-hover": "#ffffff",
            "scrollbar-active": "#ffff00",
            "scrollbar-background": "#000000",
            "scrollbar-background-hover": "#000000",
            "scrollbar-background-active": "#000000",
        },
    ),
)


class Inks(msgspec.Struct, frozen=True):
    """Rich styles of the current theme for texts. Each accompanies a word or a mark of the same meaning."""

    muted: Style
    good: Style
    bad: Style
    warning: Style
    accent: Style
    bar: Style
    strong: Style = Style(bold=True)

    @property
    def found(self) -> Style:
        """Of words that were searched for."""
        return self.warning + Style(bold=True, underline=True)

    @property
    def differing(self) -> Style:
        """Of words that another text does not have."""
        return self.accent + Style(underline=True)

    @property
    def found_here(self) -> Style:
        """Of the current one of them."""
        return self.warning + Style(bold=True, reverse=True)


def inks(app: App[object]) -> Inks:
    """Return the styles of the current theme of `app`."""
    variables = app.theme_variables
    names = ("muted", "good", "bad", "warning", "accent", "bar")
    return _inks(tuple(variables.get(f"ink-{name}", variables["foreground"]) for name in names))


@lru_cache(8)
def _inks(colors: tuple[str, ...]) -> Inks:
    return Inks(*(Style(color=TextualColor.parse(color).rich_color) for color in colors))


class ColorsOff(LineFilter):
    """Reduces to the terminal's own two colours, for NO_COLOR. Rows with a highlighted background are reversed."""

    def __init__(self, standing_out: Sequence[str]) -> None:
        super().__init__()
        self._standing_out = frozenset(TextualColor.parse(color).rich_color for color in standing_out)

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        return [Segment(text, self._plain(style), control) for text, style, control in segments]

    def _plain(self, style: Style | None) -> Style | None:
        if style is None:
            return None
        reverse = bool(style.reverse) or style.bgcolor in self._standing_out
        return style + _DEFAULT_COLORS + (Style(reverse=True) if reverse else Style.null())


class ControlsOff(LineFilter):
    """Removes control characters from everything painted, in case a widget did not."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        if all(is_harmless(segment.text) for segment in segments):
            return segments
        return [
            Segment(printable(text).replace("\n", " ").expandtabs(1), style, control)
            for text, style, control in segments
        ]


_DEFAULT_COLORS = Style.from_color(Color.parse("default"), Color.parse("default"))
