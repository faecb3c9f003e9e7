"""What every screen has: the palette, the help, themes, copying, and a net below all widgets."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from judged_bench import make_bench, opened, painted, settle, until
from rich.segment import Segment
from textual.color import Color
from textual.command import CommandPalette
from textual.pilot import Pilot

from arena_tui.app import ArenaApp, pause_after
from arena_tui.judgments.copying import copy_sequences
from arena_tui.judgments.filter_screen import FilterScreen
from arena_tui.judgments.viewer_screen import ViewerScreen
from arena_tui.theme import THEMES, ControlsOff
from arena_tui.widgets.dialogs import HelpScreen
from arena_tui.widgets.screens import MODES


async def choose(app: ArenaApp, pilot: Pilot[None], words: str) -> None:
    """Look for a command and carry out the first that is found."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await pilot.press(*words)
    await until(pilot, lambda: words.lower() in listed(app).lower())
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
    await settle(pilot)


def listed(app: ArenaApp) -> str:
    """All that the palette offers now."""
    options = app.screen.query_one("CommandList").options  # type: ignore[attr-defined]
    return "\n".join(str(option.prompt) for option in options)


async def test_the_palette_offers_what_can_be_done_here_and_on_the_other_screens(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await until(pilot, lambda: "Theme: light" in listed(app))
        offered = listed(app)
        for title in ("Search", "Filter", "Order", "Clear", "Open", "Quit", "Help"):
            assert re.search(rf"^{title}  \(", offered, re.M), title
        for title in (
            "Go to Run",
            "Go to Leaderboard",
            "Go to Review",
            "Run: Start",
            "Run: Pause",
            "Run: Retry failed",
        ):
            assert title in offered, title
        for not_a_command in ("Scroll", "Copy selected text", "Review: Tie", "Page up"):
            assert not_a_command not in offered


async def test_a_command_of_another_screen_goes_there_even_past_what_is_open_on_it(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ViewerScreen))
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "review" and getattr(app.screen, "is_read", False))
        await choose(app, pilot, "Judgments: Filter")
        await until(pilot, lambda: isinstance(app.screen, FilterScreen))
        assert app.current_mode == "judgments"


async def test_a_command_that_is_not_possible_shows_a_notice(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await choose(app, pilot, "Run: Pause")
        await until(pilot, lambda: any("not possible here" in notice.message for notice in app._notifications))
        assert app.current_mode == "run"


@pytest.mark.parametrize("mode", [mode.name for mode in MODES])
async def test_help_shows_the_purpose_of_a_screen_and_its_own_keys_first(tmp_path: Path, mode: str):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await app.switch_mode(mode)
        await settle(pilot)
        about = app.screen.HELP  # type: ignore[attr-defined]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await settle(pilot)
        text = painted(app)
        assert about.split()[0] in text
        assert "On this screen" in text
        assert "Copy selected" not in text
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_every_theme_can_be_reached_by_one_key(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        seen = [app.theme]
        for _ in THEMES[1:]:
            await pilot.press("ctrl+t")
            seen.append(app.theme)
        assert sorted(seen) == sorted(theme.name for theme in THEMES)


async def test_while_typing_the_key_bar_shows_only_keys_that_are_not_typed(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments", (80, 24)) as (app, pilot):
        await pilot.press("slash")
        await settle(pilot)
        bottom = painted(app).splitlines()[-1]
        assert "Leave" in bottom
        assert "Filter" not in bottom
        assert "?" not in bottom
        await pilot.press("question_mark", "escape")
        await settle(pilot)
        assert "Filter" in painted(app).splitlines()[-1]


def test_painting_is_held_to_a_sixtieth_of_a_core_and_never_stops():
    assert pause_after(0.001) == 0.0  # with every tick
    assert [pause_after(cost) >= 3 * cost * 60 for cost in (0.004, 0.01)] == [True, True]
    assert pause_after(10.0) == 2.0


def test_text_is_copied_as_the_terminal_around_takes_it():
    plain = "\x1b]52;c;" + base64.b64encode("héllo".encode()).decode() + "\x07"
    assert list(copy_sequences("héllo", {})) == [plain]
    assert list(copy_sequences("héllo", {"TMUX": "/tmp/tmux-0/default,1,0"})) == [
        plain,
        f"\x1bPtmux;\x1b{plain}\x1b\\",
    ]
    (wrapped,) = copy_sequences("x" * 1000, {"STY": "1.pts"})
    chunks = re.findall("\x1bP(.*?)\x1b\\\\", wrapped)
    assert all(len(chunk) <= 252 for chunk in chunks)
    assert base64.b64decode("".join(chunks).removeprefix("\x1b]52;c;").removesuffix("\x07")) == b"x" * 1000


def test_nothing_that_is_painted_can_steer_the_terminal_whatever_widget_it_comes_from():
    black = Color(0, 0, 0)
    harmless = [Segment("plain "), Segment("naïve → ")]
    assert ControlsOff().apply(harmless, black) is harmless
    painted = ControlsOff().apply([Segment("a\x1b[31mb"), Segment("\x9b5A\n\t\u202e")], black)
    text = "".join(segment.text for segment in painted)
    assert not any(char < " " or "\x7f" <= char < "\xa0" or char == "\u202e" for char in text)
    assert "[31m" in text
