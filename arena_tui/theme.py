"""The themes, and the styles that self-painting widgets use. Colour is never the only signal."""

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
        primary="#5ea1ff",
        secondary="#8b7cf6",
        accent="#f2b84b",
        success="#5fc98f",
        warning="#f2b84b",
        error="#ff6b78",
        foreground="#d7dce5",
        background="#11141a",
        surface="#181c24",
        panel="#212732",
        variables={
            "ink-muted": "#8a94a6",
            "ink-good": "#5fc98f",
            "ink-bad": "#ff7b87",
            "ink-warning": "#f2b84b",
            "ink-accent": "#7db3ff",
            "ink-bar": "#3f7fd6",
            "block-cursor-background": "#5ea1ff",
            "block-cursor-foreground": "#0b0e13",
            "footer-background": "#181c24",
            "scrollbar": "#39424f",
            "scrollbar-background": "#181c24",
        },
    ),
    Theme(
        name=LIGHT,
        dark=False,
        primary="#1f5fbf",
        secondary="#6b4fd8",
        accent="#9a5b00",
        success="#1c7a45",
        warning="#9a5b00",
        error="#b3202f",
        foreground="#1b2028",
        background="#fbfbf9",
        surface="#f1f1ec",
        panel="#e3e4de",
        variables={
            "ink-muted": "#5d6570",
            "ink-good": "#1c7a45",
            "ink-bad": "#b3202f",
            "ink-warning": "#8a5200",
            "ink-accent": "#1f5fbf",
            "ink-bar": "#3a78cf",
            "footer-background": "#f1f1ec",
            "scrollbar": "#b9bcb4",
            "scrollbar-background": "#f1f1ec",
        },
    ),
    Theme(
        name=CONTRAST,
        dark=True,
        primary="#ffff00",
        secondary="#00ffff",
        accent="#00ffff",
        success="#00ff66",
        warning="#ffff00",
        error="#ff8080",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        variables={
            "ink-muted": "#dddddd",
            "ink-good": "#00ff66",
            "ink-bad": "#ff8080",
            "ink-warning": "#ffff00",
            "ink-accent": "#00ffff",
            "ink-bar": "#ffffff",
            "block-cursor-background": "#ffff00",
            "block-cursor-foreground": "#000000",
            "footer-background": "#000000",
            "scrollbar": "#ffffff",
            "scrollbar-background": "#000000",
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
