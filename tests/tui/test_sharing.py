"""What a user sends to colleagues: the leaderboard, a verdict, a report and a picture."""

from __future__ import annotations

from pathlib import Path

from judged_bench import make_bench, opened, painted, settle, until
from textual.command import CommandPalette
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.judgments.copying import CopyScreen
from arena_tui.screenshot import unused
from arena_tui.setup.export_screen import ExportScreen


async def command(app: ArenaApp, pilot: Pilot[None], words: str) -> None:
    """Carry out a command of the palette."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await pilot.press(*words)
    options = app.screen.query_one("CommandList")
    await until(pilot, lambda: words in "".join(str(option.prompt) for option in options.options))  # type: ignore[attr-defined]
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
    await settle(pilot)


def pictures(folder: Path) -> list[str]:
    return [picture.read_text("utf-8") for picture in folder.glob("arena-tui-*.svg")]


def rated(app: ArenaApp) -> bool:
    return app.session.plan is not None and getattr(app.screen, "board", None) is not None


async def test_the_leaderboard_is_copied_as_markdown_and_as_csv(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", ready=rated) as (app, pilot):
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, CopyScreen))
        await pilot.press("enter")
        await settle(pilot)
        assert any(line.startswith("|") and "good-model" in line for line in app.clipboard.splitlines())
        await pilot.press("y", "down", "enter")
        await settle(pilot)
        header, *rows = app.clipboard.strip().splitlines()
        assert "model" in header.split(",")
        assert any("good-model" in row.split(",") for row in rows)


async def test_the_verdict_on_two_models_and_on_a_judgment_is_copied(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", ready=rated) as (app, pilot):
        await pilot.press("space", "end", "space", "d")
        await until(pilot, lambda: "p-value" in painted(app))
        await pilot.press("y", "enter")
        await settle(pilot)
        assert "good-model" in app.clipboard
        assert "bad-model" in app.clipboard
        assert "points" in app.clipboard
        await pilot.press("escape", "3")
        await until(pilot, lambda: "6 of 6 judgments" in painted(app))
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("y", "enter")
        await settle(pilot)
        first, *games = app.clipboard.splitlines()
        assert first.startswith("bad-model against base: Why is the sky blue?")
        assert games == ["game 1: A>>B, baseline much better", "game 2: B>>A, baseline much better"]


async def test_the_palette_saves_a_picture_and_leads_to_the_report(tmp_path: Path, monkeypatch):
    make_bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with opened(tmp_path, "leaderboard", ready=rated) as (app, pilot):
        await command(app, pilot, "Save a screenshot")
        (text,) = pictures(tmp_path)
        assert text.startswith("<svg")
        assert "good-model" in text
        assert "Search for commands" not in text, "the palette itself is closed"
        await command(app, pilot, "Save the HTML report")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        assert "html" in painted(app)


def test_a_picture_never_replaces_a_file(tmp_path: Path):
    wanted = tmp_path / "a.svg"
    assert unused(wanted) == wanted
    wanted.touch()
    assert unused(wanted) == tmp_path / "a-2.svg"
    unused(wanted).touch()
    assert unused(wanted) == tmp_path / "a-3.svg"
