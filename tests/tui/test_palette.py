"""The palette at 256 and 16 colours, which is what a terminal over SSH is often painted with."""

from __future__ import annotations

import pytest
from rich.color import Color, ColorSystem
from textual.color import Color as TextualColor
from textual.theme import Theme

from arena_tui.theme import THEMES

NAMES = (
    "background",
    "surface",
    "panel",
    "foreground",
    "primary",
    "secondary",
    "accent",
    "error",
    "success",
    "warning",
)
GROUNDS = ("background", "surface", "panel", "row-cursor")
MOST_APART = 20  # of 255, in each channel


def colors(theme: Theme) -> dict[str, Color]:
    variables = {**theme.to_color_system().generate(), **theme.variables}
    return {name: TextualColor.parse(variables[name]).rich_color for name in (*NAMES, *theme.variables)}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_each_color_looks_the_same_in_256_colors(theme: Theme):
    for name, color in colors(theme).items():
        shown = color.downgrade(ColorSystem.EIGHT_BIT).get_truecolor()
        assert color.triplet is not None
        apart = max(abs(one - other) for one, other in zip(color.triplet, shown, strict=True))
        assert apart <= MOST_APART, f"{name}: {color.triplet.hex} turns into {shown.hex}"


@pytest.mark.parametrize("theme", [theme for theme in THEMES if theme.name != "arena-contrast"], ids=lambda t: t.name)
def test_panels_and_the_cursor_stay_apart_in_256_colors(theme: Theme):
    shown = [colors(theme)[name].downgrade(ColorSystem.EIGHT_BIT).number for name in GROUNDS]
    assert len(set(shown)) == len(GROUNDS)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_and_the_cursor_stay_visible_in_16_colors(theme: Theme):
    shown = {name: color.downgrade(ColorSystem.STANDARD).number for name, color in colors(theme).items()}
    assert shown["row-cursor"] != shown["background"]
    inks = ["foreground", *(name for name in theme.variables if name.startswith("ink-"))]
    assert not {shown[name] for name in inks} & {shown["background"]}
    assert shown["foreground"] != shown["row-cursor"]
